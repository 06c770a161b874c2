"""What came of a comparison."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Found", "Report"]


class Found(NamedTuple):
    """A difference, without what it is about: which event is missing, of whom. ``event_id``: of the event that says it now,
    ``None`` when none was stored.
    """

    event_type: str
    user_id: str | None
    tenant_id: str | None
    event_id: str | None = None


@dataclass
class Report:
    """``users`` were compared; ``noted`` were taken as found, since they joined before the outbox began. ``begun``: nobody had
    compared before. ``found`` are the differences, ``fixed`` how many of them are said now, ``withheld`` how many deletions
    are not, though that was asked for: they are too many to be believed.
    """

    users: int = 0
    noted: int = 0
    begun: bool = False
    fixed: int = 0
    withheld: int = 0
    found: list[Found] = field(default_factory=list)

    @property
    def by_type(self) -> Counter[str]:
        """How many of each event type are missing."""
        return Counter(one.event_type for one in self.found)
