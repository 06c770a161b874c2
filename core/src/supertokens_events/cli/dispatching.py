"""The dispatcher in a process of its own: until a signal, or until nothing is due."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Sequence
from functools import partial

import anyio

from supertokens_events.config import Settings
from supertokens_events.dispatch import Dispatcher
from supertokens_events.events import Events
from supertokens_events.log import get_logger
from supertokens_events.outbox import SinkStatus

__all__ = ["deliver", "summary"]

_GRACE = 10.0  # seconds that what is in flight gets to finish after the first signal

log = get_logger(__name__)


def deliver(events: Events, *, until_empty: bool) -> list[str]:
    """Run a dispatcher; returns the sinks that are turned on and could not be opened."""
    opened = anyio.run(partial(_run, events, until_empty=until_empty), backend="asyncio")
    counts = events.ledger.take()
    if counts:  # what was counted since the last settlement
        events.outbox.record(counts)
    return [config.name for config in events.settings.sinks.values() if config.enabled and config.name not in opened]


async def _run(events: Events, *, until_empty: bool) -> set[str]:
    dispatcher = events.dispatcher()
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals, anyio.CancelScope() as all_of_it:
        log.info("Dispatching.", sinks=[lane.sink.name for lane in dispatcher.lanes])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stop_on_signal, signals, dispatcher, all_of_it)
            await (dispatcher.run_until_empty() if until_empty else dispatcher.run())
            tasks.cancel_scope.cancel()
    return {lane.sink.name for lane in dispatcher.lanes if lane.opened}


async def _stop_on_signal(
    signals: AsyncIterator[signal.Signals], dispatcher: Dispatcher, all_of_it: anyio.CancelScope
) -> None:
    """The first signal stops claiming and sets a deadline; the second one ends the process, and the leases end by themselves."""
    stopping = False
    async for signum in signals:
        if stopping:
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
        stopping = True
        log.info("Stopping: what is in flight may finish.", signal=signum.name, seconds=_GRACE)
        dispatcher.stop(_GRACE)
        all_of_it.deadline = anyio.current_time() + _GRACE


def summary(settings: Settings, before: Sequence[SinkStatus], after: Sequence[SinkStatus]) -> dict[str, int]:
    """What became of the configured sinks' deliveries in between. ``later`` is all that waits, the others are new."""
    was = {status.sink: status for status in before}
    now = [(was.get(status.sink, SinkStatus(status.sink)), status) for status in after if status.sink in settings.sinks]
    return {
        "delivered": sum(new.done - old.done for old, new in now),
        "later": sum(new.pending for _, new in now),
        "dead": sum(new.dead - old.dead for old, new in now),
    }
