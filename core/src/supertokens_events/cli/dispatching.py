"""The dispatcher in a process of its own: until a signal, or until nothing is due."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

import anyio

from supertokens_events.cli.ending import Ending
from supertokens_events.config import Settings
from supertokens_events.dispatch import Dispatcher
from supertokens_events.events import Events
from supertokens_events.log import get_logger
from supertokens_events.outbox import OutboxError, SinkStatus

__all__ = ["deliver", "summary"]

_GRACE = 10.0  # seconds that what is in flight gets to finish after the first signal
_GIVING_BACK = 5.0  # seconds beyond them to give back the rest, and for sinks to close

log = get_logger(__name__)


def deliver(events: Events, *, until_empty: bool) -> list[str]:
    """Run a dispatcher; returns the sinks that are turned on and could not be opened.

    SIGINT or SIGTERM ends it. When it has not ended 15 s later, because a sink blocks its thread or the event loop, the
    process ends. SIGHUP, as from logrotate, has it look at its configuration now; where a terminal is its input, it ends it with
    that.
    """
    run = _Run(events, until_empty=until_empty)
    with run.ending:
        opened = anyio.run(run.deliver, backend="asyncio")
    run.store_counts()
    return [config.name for config in events.settings.sinks.values() if config.enabled and config.name not in opened]


class _Run:
    """One life of the dispatcher."""

    def __init__(self, events: Events, *, until_empty: bool) -> None:
        self.ending = Ending(self._stop, self._give_up, limit=_GRACE + _GIVING_BACK)
        self._events = events
        self._until_empty = until_empty
        self._running: Future[tuple[Dispatcher, asyncio.AbstractEventLoop, anyio.Event]] = Future()

    async def deliver(self) -> set[str]:
        """Returns the sinks that could be opened."""
        dispatcher, asked = self._events.dispatcher(), anyio.Event()
        self._running.set_result((dispatcher, asyncio.get_running_loop(), asked))
        with _hang_ups() as hang_ups, anyio.CancelScope() as all_of_it:
            log.info("Dispatching.", sinks=[lane.sink.name for lane in dispatcher.lanes])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._finish_when_asked, asked, dispatcher, all_of_it)
                if hang_ups is not None:
                    tasks.start_soon(self._look_at_each, hang_ups)
                await (dispatcher.run_until_empty() if self._until_empty else dispatcher.run())
                tasks.cancel_scope.cancel()
        return {lane.sink.name for lane in dispatcher.lanes if lane.opened}

    async def _finish_when_asked(
        self, asked: anyio.Event, dispatcher: Dispatcher, all_of_it: anyio.CancelScope
    ) -> None:
        """Stop claiming, and set a deadline."""
        await asked.wait()
        dispatcher.stop(_GRACE)
        all_of_it.deadline = anyio.current_time() + _GRACE

    async def _look_at_each(self, hang_ups: AsyncIterator[signal.Signals]) -> None:
        async for one in hang_ups:
            log.info("Looking at the configuration.", signal=one.name)
            await anyio.to_thread.run_sync(lambda: self._events.follow(now=True), abandon_on_cancel=True)

    def store_counts(self) -> None:
        """What was counted since the last settlement. Raises ``OutboxError``."""
        if counts := self._events.ledger.take():
            self._events.outbox.record(counts)

    # On the thread that ends the process ---------------------------------------------------------------------------

    def _stop(self) -> None:
        with contextlib.suppress(FutureTimeoutError, RuntimeError):  # it has not begun; the loop has just ended
            _, loop, asked = self._running.result(_GRACE)
            loop.call_soon_threadsafe(asked.set)
        # Here, for the event loop may be blocked.
        assert self.ending.signal is not None
        log.info("Stopping: what is in flight may finish.", signal=self.ending.signal.name, seconds=_GRACE)

    def _give_up(self) -> None:
        unfinished = self._running.result()[0].unfinished if self._running.done() else []
        log.error(
            "Ending at once: a sink does not return, or has left a thread behind. What is in flight is delivered again when "
            "its lease ends.",
            sinks=unfinished,
        )
        with contextlib.suppress(OutboxError):
            self.store_counts()


def _hang_ups() -> contextlib.AbstractContextManager[AsyncIterator[signal.Signals] | None]:
    """Every SIGHUP; ``None`` where a terminal is the input, which says so when it is closed."""
    if sys.stdin is not None and sys.stdin.isatty():
        return contextlib.nullcontext()
    return anyio.open_signal_receiver(signal.SIGHUP)


def summary(settings: Settings, before: Sequence[SinkStatus], after: Sequence[SinkStatus]) -> dict[str, int]:
    """What became of the configured sinks' deliveries in between. ``later`` is all that waits, the others are new."""
    was = {status.sink: status for status in before}
    now = [(was.get(status.sink, SinkStatus(status.sink)), status) for status in after if status.sink in settings.sinks]
    return {
        "delivered": sum(new.done - old.done for old, new in now),
        "later": sum(new.pending for _, new in now),
        "dead": sum(new.dead - old.dead for old, new in now),
    }
