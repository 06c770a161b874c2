"""Plugins that want to know what the dispatcher does: told beside it, so that none of them can hold it up.

Each plugin has a thread of its own, begun with the first thing that it is told, and is told one thing after the other, in
order. What waits is bounded: a plugin that hangs, or is slower than what happens, misses the rest, and the ledger counts that.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from supertokens_events.ledger import Ledger, Reason
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import Settlement
from supertokens_events.plugins import HookCall, HookResult, Plugins
from supertokens_events.sink import Outcome

__all__ = ["Listeners"]

log = get_logger(__name__)

_MOST = 1000  # calls of one plugin's hooks that wait
_LAST_WORDS = 2.0  # seconds that all listeners together have for what still waits when the dispatcher ends


class Listeners:
    """The plugins that are told by the hooks ``delivery_settled``, ``breaker_opened`` and ``breaker_closed``. Telling does
    not block, and nothing is done where no plugin has the hook.
    """

    def __init__(self, plugins: Plugins, ledger: Ledger) -> None:
        self._plugins = plugins
        self._ledger = ledger
        self._threads: dict[str, _Listener] = {}
        self._of_settled = plugins.has("delivery_settled")

    def settled(self, settled: Sequence[tuple[Settlement, Outcome]]) -> None:
        """Outcomes were written down."""
        if self._of_settled:
            for settlement, outcome in settled:
                delivery = settlement.claim.delivery
                told = {"delivery": delivery, "outcome": outcome, "duration": settlement.duration}
                self.tell("delivery_settled", delivery.event_type, **told)

    def tell(self, hook: str, event_type: str = "", /, **arguments: Any) -> None:
        """Something has happened. A failure is counted for ``event_type``."""
        for call in self._plugins.calls(hook, **arguments):
            listener = self._threads.get(call.plugin)
            if listener is None:
                listener = self._threads[call.plugin] = _Listener(call.plugin, self._ledger)
                listener.start()
            listener.add(_Told(hook, event_type, call))

    def end(self) -> None:
        """Tell what waits, as far as there is time; nothing is told any more. Blocks: not for an event loop."""
        listeners, self._threads = list(self._threads.values()), {}
        deadline = time.monotonic() + _LAST_WORDS
        for listener in listeners:
            listener.close()
        for listener in listeners:
            listener.join(deadline)

    @property
    def any_told(self) -> bool:
        """Whether there is something to end."""
        return bool(self._threads)


class _Told(NamedTuple):
    """One call of a hook, and what it is about."""

    hook: str
    event_type: str
    call: HookCall


class _Listener:
    """One plugin, its thread and what it has still to be told."""

    def __init__(self, plugin: str, ledger: Ledger) -> None:
        self._plugin = plugin
        self._ledger = ledger
        self._waiting: deque[_Told | None] = deque()
        self._to_tell = threading.Semaphore(0)
        self._missing = False
        self._thread = threading.Thread(target=self._run, name=f"supertokens-events-tell-{plugin}", daemon=True)

    def start(self) -> None:
        """Begin. While the interpreter shuts down no thread does: then nothing is told any more."""
        with suppress(RuntimeError):
            self._thread.start()

    def add(self, told: _Told) -> None:
        """Have it told, unless too much waits. Called by the event loop alone."""
        if len(self._waiting) >= _MOST:
            self._miss(told)
            return
        if self._missing:
            self._missing = False
            log.warning("A plugin's hooks keep up again; it is told of what happens from now on.", plugin=self._plugin)
        self._waiting.append(told)
        self._to_tell.release()

    def close(self) -> None:
        """Nothing comes any more."""
        self._waiting.append(None)
        self._to_tell.release()

    def join(self, deadline: float) -> None:
        """Wait until everything is told; what is not by then, never is."""
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))
        with suppress(IndexError):
            while True:
                if (told := self._waiting.popleft()) is not None:
                    self._miss(told)

    def _miss(self, told: _Told) -> None:
        self._ledger.count(Reason.HOOK_HUNG, subject=self._plugin, event_type=told.event_type)
        if not self._missing:
            self._missing = True
            log.error(
                "A plugin's hook hangs, or is slower than what happens; the plugin misses it until the hook keeps up.",
                plugin=self._plugin,
                hook=told.hook,
                waiting=_MOST,
            )

    def _run(self) -> None:
        while True:
            self._to_tell.acquire()
            try:
                told = self._waiting.popleft()
            except IndexError:  # the dispatcher has ended meanwhile
                return
            if told is None:
                return
            self._call(told)

    def _call(self, told: _Told) -> None:
        try:
            result = told.call()
        except KeyboardInterrupt as error:  # the hook's own: nobody can interrupt a thread
            result = HookResult(self._plugin, error=error)
        if result.error is not None:
            self._ledger.count(Reason.LISTENER_FAILED, subject=self._plugin, event_type=told.event_type)
            log.error(
                "A plugin's hook raised.", plugin=self._plugin, hook=told.hook, error=describe_exception(result.error)
            )
