"""Whether it is an event that Segment refuses, or everything.

A 400 to one event alone does not say which: a proxy may refuse all there is. So an event is given up only when it is refused
after Segment has taken another one: in the same call, or since the event was refused for the first time.
"""

from __future__ import annotations

from itertools import count

from supertokens_events.sink import Rejected, Retry
from supertokens_events_segment.answers import Refused

__all__ = ["Verdicts"]

_REMEMBERED = 10_000  # events; one that is forgotten is refused for the first time again, and no sooner given up


class Verdicts:
    """What a sink knows of the events that were refused alone, in all its calls since it was made."""

    def __init__(self) -> None:
        self.taken = 0
        """How many requests Segment has taken."""
        self._numbers = count(1)
        self._refused: dict[
            str, tuple[int, int]
        ] = {}  # by the event's id: `taken` at first, the number of the last time

    def last_refused(self, event_id: str) -> int:
        """A number that grows with every refusal; 0 for an event that was not refused alone yet. Whoever begins with the lowest
        comes to all of them, in however many calls.
        """
        return self._refused.get(event_id, (0, 0))[1]

    def of(self, event_id: str, refused: Refused, *, taken: int) -> Rejected | Retry:
        """What comes of an event that was refused alone. ``taken`` is :attr:`taken` when the call began."""
        before, _ = self._refused.pop(event_id, (taken, 0))
        reason = f"{refused.reason}, to this event alone"
        if self.taken > before:
            return Rejected(reason, refused.detail)
        self._refused[event_id] = before, next(self._numbers)
        if len(self._refused) > _REMEMBERED:
            del self._refused[next(iter(self._refused))]
        return Retry(f"{reason}; no other has been taken since: is it the event?", detail=refused.detail)
