"""What lanes share: the outbox off the event loop, the ledger, and who is told what became of a delivery."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread

from supertokens_events.dispatch.disabling import tell_disabled
from supertokens_events.dispatch.listeners import Listeners
from supertokens_events.dispatch.notices import Tell, tell_nobody
from supertokens_events.ledger import Ledger
from supertokens_events.log import get_logger
from supertokens_events.outbox import Claim, DeliveryState, Outbox, OutboxError, Settlement
from supertokens_events.sink import Outcome

__all__ = ["Aside", "Line", "in_threads", "is_stop"]

log = get_logger(__name__)

_THREADS = 4  # of one lane that may wait for the outbox at once

T = TypeVar("T")


class Aside(Protocol):
    """Runs a function that may block where it does not block the event loop."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


def in_threads() -> Aside:
    """In threads. Their number is the caller's own: sinks that block every thread of the loop do not stop the lanes."""
    return partial(anyio.to_thread.run_sync, limiter=anyio.CapacityLimiter(_THREADS))


class Line:
    """One lane's way to everything around it."""

    def __init__(
        self, outbox: Outbox, listeners: Listeners, ledger: Ledger, aside: Aside, notices: Tell = tell_nobody
    ) -> None:
        self.outbox = outbox
        self.ledger = ledger
        self.listeners = listeners
        self._aside = aside
        self._notices = notices

    async def store(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call the outbox off the event loop: a locked database must not stop the other lanes' clocks."""
        return await self._aside(partial(function, *arguments, **named))

    async def not_erased(self, claims: Sequence[Claim]) -> list[Claim]:
        """Those whose events were not erased meanwhile: of the others nothing is to be told any more. When that cannot be known,
        none.
        """

        def look() -> list[Claim]:
            stored = [(claim, self.outbox.event(claim.delivery.event_id)) for claim in claims]
            return [claim for claim, event in stored if event is None or event.body is not None]

        try:
            return await self.store(look)
        except OutboxError:
            return []

    async def save_ledger(self) -> None:
        """Store the counts; what the outbox does not take now waits."""
        counts = self.ledger.take()
        try:
            if counts:
                await self.store(self.outbox.record, counts)
        except OutboxError:
            self.ledger.put_back(counts)

    def tell(self, settled: Sequence[tuple[Settlement, Outcome]]) -> None:
        """Log, and tell the listeners, what became of deliveries."""
        all_of_them = log.tells_debug
        tell_disabled([settlement for settlement, _ in settled])
        for settlement, _ in settled:
            if all_of_them or settlement.state is DeliveryState.DEAD:
                self._log(settlement)
        self.listeners.settled(settled)
        self._notices([settlement for settlement, _ in settled])

    def _log(self, settlement: Settlement) -> None:
        delivery = settlement.claim.delivery
        write = log.warning if settlement.state is DeliveryState.DEAD else log.debug
        write(
            "A delivery was settled.",
            sink=delivery.sink,
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            attempt=delivery.attempt,
            state=str(settlement.state),
            reason=settlement.reason,
        )


def is_stop(error: BaseException) -> bool:
    """Whether it is us who are asked to stop. Anything else that a sink raises, were it ``SystemExit``, is the sink's."""
    return isinstance(error, KeyboardInterrupt) or anyio.current_effective_deadline() == -math.inf
