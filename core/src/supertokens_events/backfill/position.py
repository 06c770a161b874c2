"""How far a backfill has come: kept in the outbox, so that it goes on wherever it is started again."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from supertokens_events.outbox import Outbox, OutboxError

__all__ = ["Include", "Position", "Range", "Saved", "next_position"]

Include = Literal["roles", "metadata"]


class Range(BaseModel):
    """What is to be sent: who joined from ``since`` on and before ``until``, in seconds since the epoch, and what of theirs
    beside that they exist.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: float | None = None
    until: float
    include: tuple[Include, ...] = ()

    @property
    def first(self) -> float:
        """When it begins."""
        return self.since or 0.0

    def holds(self, other: Range) -> bool:
        """Whether everything of the other is in this one."""
        return self.first <= other.first and other.until <= self.until and set(other.include) <= set(self.include)


class Position(BaseModel):
    """Where a backfill of ``range`` stands. ``token`` leads to the next page of ``tenant``'s users. ``users``
    and ``events`` are counts so far. ``finished``: it has been to the end. ``covered`` is what the sink has then, with what
    earlier ones have sent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    range: Range
    covered: Range
    tenant: str | None = None
    token: str | None = None
    users: int = 0
    events: int = 0
    finished: bool = False

    @classmethod
    def beginning(cls, asked: Range, covered: Range | None = None) -> Self:
        """At the beginning of what is asked for."""
        return cls(range=asked, covered=covered or asked)


class Saved:
    """The position of one sink's backfill, as it lies in the outbox."""

    def __init__(self, outbox: Outbox, sink: str) -> None:
        self._records = outbox.records
        self._name = f"backfill:{sink}"
        self._sink = sink
        self._text = self._records.bookmark(self._name)

    @property
    def position(self) -> Position | None:
        """What was saved last; ``None``: the sink was never filled."""
        try:
            return None if self._text is None else Position.model_validate_json(self._text)
        except ValidationError:
            raise OutboxError(
                f"what the outbox says of the backfill of {self._sink!r} cannot be read: upgrade supertokens-events, "
                "or begin again with --again"
            ) from None

    def save(self, position: Position) -> Self:
        """Save it. Raises ``OutboxError`` when another backfill of this sink has gone on meanwhile."""
        text = position.model_dump_json()
        if text != self._text and not self._records.keep(self._name, text, self._text):
            raise OutboxError(f"another backfill of {self._sink!r} is running; this one has stopped")
        self._text = text
        return self


def next_position(before: Position | None, asked: Range, *, given: bool) -> Position:
    """Where to go on for what is ``asked``; ``given``: somebody has said so, and it is not the default.

    One that was interrupted goes on as it was begun; what an earlier one has been through to the end is not gone through again.
    Raises ``ValueError`` when it was begun otherwise.
    """
    if before is None:
        return Position.beginning(asked)
    if not before.finished:
        if given and (asked.since, asked.include) != (before.range.since, before.range.include):
            raise ValueError(
                "was interrupted, and goes on as it was begun: run it without --since, --until and --include, or begin again "
                "with --again"
            )
        return before
    covered = before.covered
    if covered.first <= asked.first and set(asked.include) <= set(covered.include):
        return _after(covered, asked)
    return Position.beginning(asked, asked if asked.holds(covered) else covered)


def _after(covered: Range, asked: Range) -> Position:
    """What of the one is not in the other, which it does not begin before."""
    rest = Range(since=max(asked.first, covered.until), until=asked.until, include=covered.include)
    if asked.first > covered.until:  # those in between are left out
        return Position.beginning(rest, covered)
    return Position.beginning(rest, covered.model_copy(update={"until": max(covered.until, asked.until)}))
