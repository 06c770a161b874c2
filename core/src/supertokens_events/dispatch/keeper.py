"""Housekeeping: what is older than its retention goes, and the payloads of users who were deleted, where that is set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from supertokens_events.dispatch.line import Line
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import Erased, Pruned, Retention

__all__ = ["Keeper", "Keeping"]

log = get_logger(__name__)

_LEAD = "@housekeeping"  # what nobody can call a sink
_FIRST, _EVERY = 5.0, 60.0  # seconds
_PAUSE = 0.05  # seconds between two transactions, so that appends come between


@dataclass(frozen=True)
class Keeping:
    """What is to be kept. ``erase_deleted``: after ``user.deleted``, that user's payloads are erased once they are delivered."""

    retention: Retention = field(default_factory=Retention)
    erase_deleted: bool = False
    before: Callable[[], object] = lambda: None
    """Called each time before anything goes: whoever has to read it does so now."""

    @property
    def everything(self) -> bool:
        """Whether nothing ever goes."""
        return not self.erase_deleted and all(age is None for age in self.retention)


class Keeper:
    """One per dispatcher; of all that share an embedded outbox one works."""

    def __init__(self, line: Line, keeping: Keeping) -> None:
        self._line = line
        self._keeping = keeping

    async def run(self) -> None:
        """Look after the outbox now and then, until cancelled."""
        await anyio.sleep(_FIRST)
        while True:
            try:
                if await self._line.store(self._line.outbox.lead, _LEAD):
                    if not self._keeping.everything:
                        await self.once()
                    await self._line.store(self._line.outbox.scrub)  # what an erasure has left, a command's too
            except Exception as error:
                log.error("Housekeeping failed; it is tried again.", error=describe_exception(error))
            await anyio.sleep(_EVERY)

    async def once(self) -> tuple[Pruned, Erased]:
        """Everything that is due to go; returns how much that was."""
        pruned, erased = Pruned(), Erased()
        outbox = self._line.outbox
        await self._line.store(self._keeping.before)
        while any(went := await self._line.store(outbox.prune, self._keeping.retention)):
            pruned = Pruned(*map(sum, zip(pruned, went, strict=True)))
            await anyio.sleep(_PAUSE)
        while self._keeping.erase_deleted and any(gone := await self._line.store(outbox.erase_deleted)):
            erased = Erased(*map(sum, zip(erased, gone, strict=True)))
            await anyio.sleep(_PAUSE)
        if any(pruned) or any(erased):
            log.info("Housekeeping.", pruned=pruned._asdict(), erased=erased._asdict())
        return pruned, erased
