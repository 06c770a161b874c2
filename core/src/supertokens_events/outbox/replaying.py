"""What a person makes due again: which deliveries, what came of each, and a replay that is under way."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, NamedTuple

from supertokens_events.outbox.contract import DeliveryState

__all__ = ["GRACE", "HELD", "LIVE", "OUTCOME", "RESUMABLE", "Replayed", "Run", "Selection", "Verdict", "attempt_of"]

HELD = "held: filter_event of the plugin "
"""How the reason begins of a delivery that was stored dead since a filter failed: nobody has said that it may go out."""

OUTCOME = "replayed"
"""The outcome of the attempt row that a replay leaves."""

GRACE = 60.0
"""Seconds after a replay in which what has arrived since is not sent again by another one: two people may have the same idea."""

LIVE = 60.0
"""Seconds since its last sign of life that a replay counts as under way."""

RESUMABLE = 86400.0
"""Seconds since its last sign of life that an interrupted replay can be gone on with."""


class Verdict(StrEnum):
    """What a replay makes of a delivery that it was asked for."""

    DUE = "due"
    """It is due now, or would be."""
    PENDING = "pending"
    """Left alone: it goes out anyway."""
    DONE = "done"
    """Left alone: the sink has it, and it was not asked for all the same."""
    DEAD = "dead"
    """Left alone: a dead letter, and another state was asked for."""
    SKIPPED = "skipped"
    """Left alone: skipped, and another state was asked for."""
    ERASED = "erased"
    """Cannot be: the event's payload is gone."""
    HELD = "held"
    """Left alone: a filter failed on the event, so it may be one that should not leave."""
    REPLAYED = "replayed"
    """Left alone: it was replayed by this replay already, by another one under way, or a moment ago."""


class Replayed(NamedTuple):
    """How many deliveries got which :class:`Verdict`. ``last`` is where to go on after; ``None``: there are no more."""

    due: int = 0
    pending: int = 0
    done: int = 0
    dead: int = 0
    skipped: int = 0
    erased: int = 0
    held: int = 0
    replayed: int = 0
    last: int | None = None

    @property
    def found(self) -> int:
        """All that were asked for."""
        return sum(self[:-1])

    def plus(self, other: Replayed) -> Replayed:
        """Both together; to go on after the second."""
        counts = zip(self._fields, self[:-1], other[:-1], strict=False)
        return other._replace(**{name: mine + others for name, mine, others in counts})


class Selection(NamedTuple):
    """Which deliveries: those to ``sink`` in ``state`` whose event was stored from ``since`` until before ``until`` (seconds
    since the epoch) and is of one of ``types``; or else those of ``event_ids``, to ``sink`` or to all.

    ``to`` is another sink for them to go to, ``ordered`` whether that one gets each user's events one after the other; with
    ``event_ids`` they then need not have gone anywhere. ``held``: also what a filter that failed has held back. ``again``:
    also what ``to`` has, or what was replayed a moment ago.
    """

    sink: str | None = None
    event_ids: tuple[str, ...] = ()
    state: DeliveryState = DeliveryState.DEAD
    types: tuple[str, ...] | None = None
    since: float | None = None
    until: float | None = None
    to: str | None = None
    ordered: bool = False
    held: bool = False
    again: bool = False

    @property
    def target(self) -> str | None:
        """The sink that gets them; ``None``: each that had them."""
        return self.to or self.sink

    def to_json(self) -> str:
        """For the store to keep."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> Selection:
        """What :meth:`to_json` gave."""
        facts: dict[str, Any] = json.loads(text)
        types = facts["types"]
        facts |= {"event_ids": tuple(facts["event_ids"]), "types": None if types is None else tuple(types)}
        return cls(**facts | {"state": DeliveryState(facts["state"])})


class Run(NamedTuple):
    """A replay under way. ``since``: what was replayed then or later is not replayed again. ``resumed``: it was begun at
    ``began_at`` by ``by`` and interrupted; its ``selection`` is the one of then.
    """

    id: int
    selection: Selection
    by: str
    began_at: float
    since: float
    resumed: bool = False


def attempt_of(run: Run, by: str) -> tuple[str, str]:
    """The reason and the detail of the attempt row that ``by`` leaves on what is replayed."""
    source = {"from": run.selection.sink} if run.selection.to and run.selection.sink else {}
    return f"by {by}", json.dumps({"by": by, **source})
