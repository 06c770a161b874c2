"""One call of the sink: its batches are posted one after the other, and what Segment refuses is taken apart until each event
that it refuses has been posted alone.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from supertokens_events.sink import Delivered, Outcome, Rejected, Retry
from supertokens_events_segment.answers import Refused
from supertokens_events_segment.batches import Parcel, packed
from supertokens_events_segment.verdicts import Verdicts

__all__ = ["MAX_REQUESTS", "Sending"]

MAX_REQUESTS = 64
"""Requests in one call: what is not found by then is looked for in the next."""

_LEAST_TIME = 1.0  # seconds: with less, a request is not begun
_GOES_ON = 1.0  # seconds until what this call did not come to is due
_MANY = (
    5  # events refused, and no more taken: from then on halves would be refused as well, and cost more than they tell
)

Post = Callable[[Sequence[Parcel], float], Awaitable[Outcome | Refused]]
"""Posts a batch within so many seconds; what it came to."""


class Sending:
    """Finds the outcome of every parcel. ``until`` is when the call has to be over, on ``clock``, in seconds.

    A parcel is judged, taken or refused, only by an answer that holds for it: a refused batch says nothing of one of its parts.
    At least one for every eight requests is; what the call does not come to uses up no attempt. Whatever was refused before
    comes last, so that it keeps no other from its turn.
    """

    def __init__(
        self, post: Post, verdicts: Verdicts, *, until: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._post = post
        self._verdicts = verdicts
        self._until = until
        self._clock = clock
        self._requests = 0
        self._taken = 0
        self._refused = 0
        self._taken_before = verdicts.taken
        self._waiting: list[Sequence[Parcel]] = []
        self._doubtful: list[Parcel] = []
        self._halt: Retry | None = None
        self.outcomes: dict[int, Outcome] = {}
        """By the position of the parcel."""

    async def send(self, parcels: Iterable[Parcel]) -> None:
        """Post them in batches. Returns with an outcome for each."""
        in_turn = sorted(parcels, key=lambda parcel: self._verdicts.last_refused(parcel.event_id))
        self._waiting = list(reversed([*packed(in_turn)]))
        while self._waiting or self._ask_again():
            batch = self._waiting.pop()
            if halt := self._halted():
                for parcel in batch:
                    self.outcomes.setdefault(parcel.position, halt)  # one that was to be asked again has its outcome
                continue
            self._requests += 1
            match await self._post(batch, self._until - self._clock()):
                case Refused() if len(batch) > 1:
                    self._refused_parts(batch)
                case Refused() as refused:
                    self._refuse(batch[0], refused)
                case outcome:
                    self._came_to(batch, outcome)

    def _ask_again(self) -> bool:
        """Whether there is something to post once more: what was refused before anything was taken, if something was since. Else
        a place that has come back in this call would have cost what it refused until then.
        """
        if self._verdicts.taken == self._taken_before or self._halted():
            return False
        self._waiting, self._doubtful = [[parcel] for parcel in reversed(self._doubtful)], []
        return bool(self._waiting)

    def _refuse(self, parcel: Parcel, refused: Refused) -> None:
        told = replace(refused, detail={**refused.detail, "bytes": parcel.size})
        outcome = self._verdicts.of(parcel.event_id, told, taken=self._taken_before)
        self.outcomes[parcel.position] = outcome
        self._refused += 1
        if isinstance(outcome, Retry):
            self._doubtful.append(parcel)

    def _refused_parts(self, batch: Sequence[Parcel]) -> None:
        """Its halves are posted next, or each parcel alone where most are refused."""
        size = 1 if self._refused >= max(_MANY, self._taken) else (len(batch) + 1) // 2
        self._waiting += reversed([batch[start : start + size] for start in range(0, len(batch), size)])

    def _halted(self) -> Retry | None:
        """Why nothing more is posted in this call."""
        if self._halt is not None:
            return self._halt
        if self._requests >= MAX_REQUESTS:
            self._halt = _later("what Segment refused is still being looked for among others")
        elif self._until - self._clock() < _LEAST_TIME:
            self._halt = _later("there was no time left in this call")
        return self._halt

    def _came_to(self, batch: Sequence[Parcel], outcome: Outcome) -> None:
        if isinstance(outcome, Delivered):
            self._taken += len(batch)
            self._verdicts.taken += 1
        if isinstance(outcome, Rejected) and outcome.disables:
            self._disable(batch, outcome)
            return
        if isinstance(outcome, Retry) and outcome.away:
            self._halt = outcome
        for parcel in batch:
            self.outcomes[parcel.position] = outcome

    def _disable(self, batch: Sequence[Parcel], outcome: Rejected) -> None:
        """One event says so, and the others are kept: nothing of it is their fault."""
        first, *others = batch
        self.outcomes[first.position] = outcome
        self._halt = Retry(outcome.reason, counts=False, detail=outcome.detail)
        for parcel in others:
            self.outcomes[parcel.position] = self._halt


def _later(reason: str) -> Retry:
    return Retry(reason, _GOES_ON, counts=False)
