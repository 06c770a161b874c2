"""Hook calls, bounded: one that does not return costs its plugin its say, and nobody else anything."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from supertokens_events.emit.writer import Call, Retired, Writer
from supertokens_events.ledger import Ledger, Reason
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.plugins import HookResult, Plugins

__all__ = ["HookHung", "Hooks"]

log = get_logger(__name__)

_HOOKS = ("enrich_event", "filter_event", "events_stored", "event_emitted")


class HookHung(Exception):
    """A hook that was not called: an earlier call of its plugin's hooks has not returned."""


class Hooks:
    """The plugins' hooks, called on a writer's thread. ``limit`` is how many seconds one call may take; then ``hung`` is asked
    to have another thread take over, and says whether that was done.
    """

    def __init__(self, plugins: Plugins, ledger: Ledger, *, limit: float, hung: Callable[[Writer, Call], bool]) -> None:
        self._plugins = plugins
        self._ledger = ledger
        self._limit = limit
        self._ask_successor = hung
        self._hung: set[str] = set()
        self._there = frozenset(filter(plugins.has, _HOOKS))

    def forget(self) -> None:
        """After a fork: the thread that hangs is not in the child."""
        self._hung.clear()

    def watch(self, writer: Writer) -> None:
        """Notice a hook that does not return to ``writer``, whose thread this is."""
        if self._there:
            watching = threading.Thread(
                target=self._watch, args=(writer,), name="supertokens-events-watch", daemon=True
            )
            try:
                watching.start()
            except RuntimeError:  # the interpreter shuts down, and stopping has a deadline of its own
                return

    def call(self, writer: Writer, hook: str, event_type: str, **arguments: Any) -> Iterable[HookResult]:
        """Each plugin's answer about events of a type. A failure is counted and logged by :meth:`failed`.

        Raises :class:`Retired` when another thread has taken over meanwhile.
        """
        return self._call(writer, hook, event_type, arguments) if hook in self._there else ()

    def _call(self, writer: Writer, hook: str, event_type: str, arguments: Mapping[str, Any]) -> Iterator[HookResult]:
        for call in self._plugins.calls(hook, **arguments):
            if call.plugin in self._hung:
                yield HookResult(call.plugin, error=HookHung())
                continue
            writer.enter(Call(call.plugin, hook, event_type))
            result = call()
            try:
                writer.leave()
            except Retired:
                self._hung.discard(call.plugin)
                log.warning("A plugin's hook has returned; its hooks are called again.", plugin=call.plugin, hook=hook)
                raise
            yield result

    def failed(self, reason: Reason, result: HookResult, event_type: str) -> None:
        """Count it, and log what is new."""
        error = result.error
        if error is None:
            return
        if isinstance(error, HookHung):
            self._ledger.count(Reason.HOOK_HUNG, subject=result.plugin, event_type=event_type)
            return
        self._ledger.count(reason, subject=result.plugin, event_type=event_type)
        log.error(
            "A plugin's hook raised.",
            plugin=result.plugin,
            event_type=event_type,
            kind=str(reason),
            error=describe_exception(error),
        )

    def _watch(self, writer: Writer) -> None:
        """Asleep while the writer is, so that an idle process stays idle."""
        while writer.busy.wait() and not writer.over.wait(self._limit / 4):
            call = writer.call
            if call is None or time.monotonic() - call.began < self._limit:
                continue
            self._hung.add(call.plugin)
            if self._ask_successor(writer, call):
                log.error(
                    "A plugin's hook hangs; its hooks are skipped until it returns.",
                    plugin=call.plugin,
                    hook=call.hook,
                    event_type=call.event_type,
                    seconds=self._limit,
                )
                return
            self._hung.discard(call.plugin)
