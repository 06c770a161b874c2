"""What is missing, by the sequences of the events that came.

``sequence`` counts every event of the sender's outbox, without a gap and whoever wants it. So a number that is missing means
something only to a receiver that gets *every* event: ``events = ["*"]``, no ``tenants``, no ``where``. To any other it says
nothing, and nothing that stands in an event could: what was not sent is not there to tell its type. Such a receiver can
still be told of repeats and of the order, and has to ask the sender for the rest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from supertokens_events.event import Event

__all__ = ["Gap", "Seen", "SequenceCheck"]


@dataclass(frozen=True, slots=True)
class Gap:
    """The numbers from ``first`` to ``last``, none of which has come."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one event is among those before it.

    ``repeated``: it has come before. ``late``: one with a higher number came first. ``restarted``: the numbers have begun
    anew, as they do with a new outbox, and so has the check.
    """

    repeated: bool = False
    late: bool = False
    restarted: bool = False


class SequenceCheck:
    """Looks at events in any order, with repeats, and names the numbers that are missing.

    ``filtered`` says whether the sink leaves anything out; then nothing can be said of gaps, and :attr:`missing` is
    ``None``. A number counts as missing once one has come that is more than ``window`` above it: up to there it is only
    out of order. ``after`` is where an earlier check has stopped (its :attr:`complete_up_to`); without it the first event
    is where this one begins. ``most`` bounds what it remembers: of gaps the latest, of ids the latest.

    Not for several threads at once. One check is for one outbox: two apps with an outbox each count on their own.
    """

    def __init__(self, *, filtered: bool, after: int | None = None, window: int = 1000, most: int = 10_000) -> None:
        self.filtered = filtered
        self.window = window
        self.most = most
        self._begin(after)

    def _begin(self, after: int | None) -> None:
        self.highest = after
        self._gaps: list[Gap] = []  # in order, apart from each other
        self._complete: int | None = None  # where gaps begin that were too many to remember
        self._ids: OrderedDict[int, str] = OrderedDict()
        self._latest: datetime | None = None

    @property
    def missing(self) -> tuple[Gap, ...] | None:
        """The gaps that are older than the window, in order; ``None`` when that cannot be known."""
        if self.filtered:
            return None
        settled = (self.highest or 0) - self.window - 1
        return tuple(Gap(gap.first, min(gap.last, settled)) for gap in self._gaps if gap.first <= settled)

    @property
    def complete_up_to(self) -> int | None:
        """The highest number up to which nothing is missing; ``None`` before the first event, and when it cannot be known.

        Keep it, and a later check goes on after it.
        """
        if self.filtered or self._complete is not None:
            return self._complete
        return self._gaps[0].first - 1 if self._gaps else self.highest

    def see(self, event: Event) -> Seen:
        """Take note of ``event``. One without a sequence changes nothing."""
        number = event.sequence
        if number is None:
            return Seen()
        known = self._ids.get(number)
        if known == event.id:
            return Seen(repeated=True)
        restarted = known is not None or self._is_of_a_new_outbox(number, event)
        if restarted:
            self._begin(None)
        late = self.highest is not None and number <= self.highest
        if late:
            self._fill(number)
        else:
            self._advance(number)
        self._remember(number, event)
        return Seen(late=late, restarted=restarted)

    def _is_of_a_new_outbox(self, number: int, event: Event) -> bool:
        """What happened after all the others has a number far below theirs."""
        if self.highest is None or self._latest is None:
            return False
        return number < self.highest - self.window and event.timestamp > self._latest

    def _advance(self, number: int) -> None:
        if self.highest is not None and number > self.highest + 1 and not self.filtered:
            self._gaps.append(Gap(self.highest + 1, number - 1))
            if len(self._gaps) > self.most:
                forgotten = self._gaps.pop(0)
                self._complete = forgotten.first - 1 if self._complete is None else self._complete
        self.highest = number

    def _remember(self, number: int, event: Event) -> None:
        self._latest = event.timestamp if self._latest is None else max(self._latest, event.timestamp)
        self._ids[number] = event.id
        if len(self._ids) > self.most:
            self._ids.popitem(last=False)

    def _fill(self, number: int) -> None:
        """Take ``number`` out of its gap, if it is in one."""
        place = bisect_right(self._gaps, number, key=lambda gap: gap.first) - 1
        if place < 0 or self._gaps[place].last < number:
            return
        gap = self._gaps[place]
        halves = (Gap(gap.first, number - 1), Gap(number + 1, gap.last))
        self._gaps[place : place + 1] = [half for half in halves if half.first <= half.last]
