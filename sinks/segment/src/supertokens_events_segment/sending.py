"""One call of the sink: its batches are posted one after the other, and what Segment refuses is halved until the event is
found.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from supertokens_events.sink import Delivered, Outcome, Rejected, Retry
from supertokens_events_segment.answers import Refused
from supertokens_events_segment.batches import Parcel

__all__ = ["MAX_REQUESTS", "Sending"]

MAX_REQUESTS = 64
"""Requests in one call: what is not found by then is looked for in the next."""

_LEAST_TIME = 1.0  # seconds: with less, a request is not begun
_SUSPICIOUS = 5  # events refused one by one, and none taken: then it may not be the events,
_MAKE_SURE = 16  # and that is sure when so many more requests, with the largest parts first, are refused too

Post = Callable[[Sequence[Parcel], float], Awaitable[Outcome | Refused]]
"""Posts a batch within so many seconds; what it came to."""


class Sending:
    """Finds the outcome of every parcel. ``until`` is when the call has to be over, on ``clock``, in seconds."""

    def __init__(self, post: Post, *, until: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._post = post
        self._until = until
        self._clock = clock
        self._requests = 0
        self._sure_at = 0
        self._taken = False
        self._refused: dict[int, Refused] = {}
        self._halt: Retry | None = None
        self.outcomes: dict[int, Outcome] = {}
        """By the position of the parcel."""

    async def send(self, batches: Sequence[Sequence[Parcel]]) -> None:
        """Post the batches. Returns with an outcome for each of their parcels."""
        waiting = list(reversed(batches))
        while waiting:
            batch = waiting.pop(self._next(waiting))
            if halt := self._halted():
                self._came_to(batch, halt)
                continue
            self._requests += 1
            match await self._post(batch, self._until - self._clock()):
                case Refused() as refused if len(batch) > 1:
                    half = len(batch) // 2
                    waiting += [batch[half:], batch[:half]]
                case Refused() as refused:
                    self._refuse(batch[0], refused)
                case outcome:
                    self._came_to(batch, outcome)
        for position, refused in self._refused.items():
            self.outcomes[position] = self._everything() if self._suspects else _alone(refused)

    @property
    def _suspects(self) -> bool:
        """Whether it may be that everything is refused."""
        return not self._taken and len(self._refused) >= _SUSPICIOUS

    def _next(self, waiting: Sequence[Sequence[Parcel]]) -> int:
        """Which part is posted: the next one, so that bad events are found in order; the largest, to see if any is taken."""
        return max(range(len(waiting)), key=lambda place: len(waiting[place])) if self._suspects else -1

    def _halted(self) -> Retry | None:
        """Why nothing more is posted in this call."""
        if self._halt is not None:
            return self._halt
        if self._suspects and self._requests >= self._sure_at:
            self._halt = self._everything()
        elif self._requests >= MAX_REQUESTS:
            self._halt = Retry("what Segment refused is still being looked for among others", counts=False)
        elif self._until - self._clock() < _LEAST_TIME:
            self._halt = Retry("there was no time left in this call", counts=False)
        return self._halt

    def _came_to(self, batch: Sequence[Parcel], outcome: Outcome) -> None:
        self._taken = self._taken or isinstance(outcome, Delivered)
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

    def _refuse(self, parcel: Parcel, refused: Refused) -> None:
        self._refused[parcel.position] = replace(refused, detail={**refused.detail, "bytes": parcel.size})
        if len(self._refused) == _SUSPICIOUS:
            self._sure_at = self._requests + _MAKE_SURE

    def _everything(self) -> Retry:
        """What comes of all when each of several is refused alone and none is taken: it is not each one's fault."""
        first = next(iter(self._refused.values()))
        return Retry(f"{first.reason}, to every event: is it the events?", detail=first.detail)


def _alone(refused: Refused) -> Rejected:
    return Rejected(f"{refused.reason}, to this event alone", refused.detail)
