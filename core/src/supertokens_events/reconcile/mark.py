"""How far the record of what was told reaches, and the key of its fingerprints."""

from __future__ import annotations

import hmac
import secrets
import time
from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from supertokens_events.outbox import Change, Outbox, OutboxError

__all__ = ["Book", "Mark"]

_NAME = "reconcile"


class Mark(BaseModel):
    """``through``: the last sequence that was read; ``since``: who joined before, in seconds since the epoch, was there before
    us, and is taken as found. ``tenants``, ``roles``: whether those of the core were taken down once. ``lost``: events that went
    before they were read. ``key``: of the fingerprints, in hexadecimal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    through: int
    since: float
    tenants: bool = False
    roles: bool = False
    lost: int = 0

    def __repr__(self) -> str:
        return f"Mark(through={self.through})"

    def fingerprint(self, value: str | None) -> str | None:
        """What stands in the record for an address or a number: without the key nobody can tell which it is."""
        if value is None:
            return None
        return hmac.digest(bytes.fromhex(self.key), value.encode("utf-8", "replace"), "sha256").hex()[:24]


class Book(NamedTuple):
    """The mark with the text that it was read from: whoever writes it says what it was."""

    outbox: Outbox
    mark: Mark
    text: str

    @classmethod
    def opened(cls, outbox: Outbox) -> Self | None:
        """The one that is there; ``None``: nobody has ever compared."""
        text = outbox.records.bookmark(_NAME)
        if text is None:
            return None
        try:
            return cls(outbox, Mark.model_validate_json(text), text)
        except ValidationError:
            raise OutboxError(
                "what the outbox says of the last comparison cannot be read: upgrade supertokens-events, or take everything "
                "as it is with 'supertokens-events reconcile --baseline'"
            ) from None

    @classmethod
    def begun(cls, outbox: Outbox) -> Self:
        """A new one, at the first event from which on none is missing."""
        first = outbox.records.complete_since()
        sequence, since = first or (1, time.time())
        mark = Mark(key=secrets.token_hex(16), through=sequence - 1, since=since)
        return cls._written(outbox, mark, outbox.records.bookmark(_NAME))

    @classmethod
    def begun_anew(cls, outbox: Outbox) -> Self:
        """A new one, at the last event: everything before is forgotten."""
        was = outbox.records.bookmark(_NAME)
        through = _last_sequence(outbox)
        mark = Mark(key=secrets.token_hex(16), through=through, since=time.time(), tenants=True, roles=True)
        return cls._written(outbox, mark, was)

    @classmethod
    def _written(cls, outbox: Outbox, mark: Mark, was: str | None) -> Self:
        text = mark.model_dump_json()
        if not outbox.records.keep(_NAME, text, was, Change(anew=True)):
            raise OutboxError("another comparison has begun at this moment; begin again")
        return cls(outbox, mark, text)

    def moved(self, mark: Mark, change: Change) -> Self | None:
        """Change the record; ``None`` when somebody else has done so meanwhile."""
        text = mark.model_dump_json()
        if not self.outbox.records.keep(_NAME, text, self.text, change):
            return None
        return type(self)(self.outbox, mark, text)


def _last_sequence(outbox: Outbox) -> int:
    latest = outbox.events(limit=1)
    after = latest[0].sequence if latest else 0
    return outbox.records.stretch(after, 1_000_000, ()).through
