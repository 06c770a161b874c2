"""Outcomes into the outbox, as many at once as have come: one transaction for all that waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio

from supertokens_events.dispatch.line import Line
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import OutboxError, OutboxUnavailable, Settlement
from supertokens_events.sink import Outcome

__all__ = ["Settler"]

log = get_logger(__name__)

_GATHER = (
    0.001  # seconds, for each outcome of the last transaction, that the next waits for more: one costs as much for
)
_LONGEST_GATHER = 0.01  # ten as for one

Settled = tuple[Settlement, Outcome]


class Settler:
    """Writes down what one lane's calls came to. While the outbox is not available it tries again for ``last_try``
    seconds: the lease holds so long, and nobody wants a delivery twice. ``settled`` is called after each transaction.
    """

    def __init__(
        self, line: Line, sink: str, *, last_try: float, pause: float, settled: Callable[[Sequence[Settlement]], None]
    ) -> None:
        self._line = line
        self._sink = sink
        self._last_try = last_try
        self._pause = pause
        self._settled = settled
        self._waiting: list[Settled] = []
        self._writing = 0
        self._gather = _GATHER
        self._hurry = False

    @property
    def unsettled(self) -> int:
        """Outcomes that are not written down yet."""
        return len(self._waiting) + self._writing

    def hurry(self) -> None:
        """Do not try again any more."""
        self._hurry = True

    async def add(self, settled: Sequence[Settled]) -> None:
        """Have outcomes written down. Who finds nobody writing does it, also for those who come meanwhile."""
        self._waiting += settled
        if self._writing:
            return
        # What the sink has done is done: write it down even when we are asked to stop.
        with anyio.CancelScope(shield=True):
            while self._waiting:
                self._writing = 1
                await anyio.sleep(self._gather)
                batch, self._waiting = self._waiting, []
                self._gather = min(_GATHER * len(batch), _LONGEST_GATHER)
                self._writing = len(batch)
                try:
                    await self._write(batch)
                finally:
                    self._writing = 0
                    self._settled([settlement for settlement, _ in batch])

    async def _write(self, batch: Sequence[Settled]) -> None:
        try:
            batch = await self._store(batch)
        except Exception as error:
            log.error(
                "Outcomes could not be written down; the deliveries are made again.",
                sink=self._sink,
                deliveries=len(batch),
                error=str(error) if isinstance(error, OutboxError) else describe_exception(error),
            )
            return
        await self._line.save_ledger()
        try:
            self._line.tell(batch)
        except Exception as error:  # a bug of ours must not end the lane
            log.error("What became of deliveries could not be told.", sink=self._sink, error=describe_exception(error))

    async def _store(self, batch: Sequence[Settled]) -> Sequence[Settled]:
        """Write them down; those of which may be told. A place may repeat what it got, also when that is erased by now."""
        settlements = [settlement for settlement, _ in batch]
        last_try = anyio.current_time() + self._last_try
        while True:
            try:
                held = await self._line.store(self._line.outbox.settle, settlements)
            except OutboxUnavailable:
                if self._hurry or anyio.current_time() >= last_try:
                    raise
                await anyio.sleep(self._pause)
            else:
                break
        if held == len(batch):
            return batch
        claims = await self._line.not_erased([settlement.claim for settlement in settlements])
        told = {claim.id for claim in claims}
        return [settled for settled in batch if settled[0].claim.id in told]
