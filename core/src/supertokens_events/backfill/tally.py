"""What came of a backfill, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Tally"]


@dataclass
class Tally:
    """Counts by event type. ``stored``: for the sink, with this run. ``had``: it has them, they wait for it,
    or they are dead letters (``replay`` sends those).
    ``unwanted``: its subscription leaves them out. ``kept_back``: a ``filter_event`` hook dropped them, or ``[capture] events``
    does not ask for them. ``users``: looked at.
    """

    users: int = 0
    stored: Counter[str] = field(default_factory=Counter)
    had: Counter[str] = field(default_factory=Counter)
    unwanted: Counter[str] = field(default_factory=Counter)
    kept_back: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, int | Mapping[str, int]]:
        """As JSON says it."""
        return {
            "users": self.users,
            "stored": dict(sorted(self.stored.items())),
            "had": dict(sorted(self.had.items())),
            "unwanted": dict(sorted(self.unwanted.items())),
            "kept_back": dict(sorted(self.kept_back.items())),
        }
