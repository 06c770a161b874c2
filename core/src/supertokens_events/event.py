"""The event: one thing that happened, said once, and the bytes that say it.

An :class:`Event` is made once, when the fact is captured or the app emits it. Its JSON is made once too
(:meth:`Event.to_bytes`), stored as it is and sent as it is. Only ``sequence`` comes later: the outbox
assigns it at commit, and :func:`with_sequence` adds it to the bytes without making them again.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from pydantic_core import PydanticSerializationError, to_json

__all__ = [
    "Actor",
    "Context",
    "Event",
    "derived_event_id",
    "event_type",
    "iso_timestamp",
    "made_at",
    "new_event_id",
    "with_sequence",
]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EVENT_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")


def new_event_id(now: float | None = None) -> str:
    """A new event id: ``evt_`` and a ULID, so that ids sort by time.

    It contains no ``.``, because Standard Webhooks signs ``id.time.body``. ``now`` is in seconds since the epoch and
    defaults to the current time.
    """
    return _event_id(int((time.time() if now is None else now) * 1000), os.urandom(10))


def derived_event_id(milliseconds: int, *parts: str) -> str:
    """The event id that follows from a time, in milliseconds since the epoch, and from ``parts``: the same for the same, so that
    what is said again is known to be so.
    """
    return _event_id(milliseconds, hashlib.sha256(to_json(parts)).digest()[:10])


def _event_id(milliseconds: int, rest: bytes) -> str:
    number = (milliseconds << 80) | int.from_bytes(rest)
    return "evt_" + "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def made_at(event_id: str) -> float:
    """When an id of :func:`new_event_id` was made, in seconds since the epoch, to the millisecond."""
    milliseconds = 0
    for character in event_id.removeprefix("evt_")[:10]:
        milliseconds = milliseconds << 5 | _CROCKFORD.index(character)
    return milliseconds / 1000


def event_type(name: str) -> str:
    """``name`` itself when it is a valid event type: dot-separated ``[a-z0-9_]+``, at least two parts.

    Raises ``ValueError`` otherwise (Standard Webhooks, "Event types").
    """
    if not _EVENT_TYPE.fullmatch(name):
        raise ValueError(f"{name!r} is not an event type: expected dot-separated [a-z0-9_]+, such as 'user.created'")
    return name


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a timestamp needs a time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a timestamp lies in the years 1 to 9999 of UTC") from None


def iso_timestamp(value: datetime) -> str:
    """A time in UTC as every event says it: ``2026-11-23T07:15:22.104533Z``."""
    return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _well_formed(text: str) -> str:
    """``text`` with a ``?`` for each lone surrogate: a client can send one, and no store and no JSON can hold it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


Text = Annotated[str, AfterValidator(_well_formed)]
EventTypeName = Annotated[str, AfterValidator(event_type)]
Timestamp = Annotated[datetime, AfterValidator(_in_utc), PlainSerializer(iso_timestamp, when_used="json")]


class Actor(BaseModel):
    """Who did it: a ``user`` (by session), an ``admin`` (dashboard), the ``system`` (backend code) or ``unknown``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["user", "admin", "system", "unknown"] = "unknown"
    user_id: str | None = None
    session_handle: str | None = None
    email: str | None = None
    """An admin's, where it is known: the dashboard's users have no id."""


class Context(BaseModel):
    """Where it came from. ``enrich_event`` hooks may add keys of their own; values are JSON."""

    model_config = ConfigDict(frozen=True, extra="allow")

    ip: str | None = None
    user_agent: str | None = None
    method: str | None = None
    path: str | None = None
    request_id: str | None = None
    origin: str | None = None


class Event(BaseModel):
    """One thing that happened. Frozen; ``data`` holds the fields promised for its type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(default_factory=new_event_id)
    """The same at every delivery, so that a receiver can drop what it has seen. Ids sort by time."""
    type: EventTypeName
    """What happened."""
    timestamp: Timestamp = Field(default_factory=lambda: datetime.now(UTC))
    """When it happened, in UTC."""
    schema_version: int = 1
    """Of this type's ``data``. A new optional field keeps it."""
    source: Text | None = None
    """The app's URL."""
    tenant_id: Text | None = None
    """The tenant where it happened; null when it is about none."""
    user_id: Text | None = None
    """The user whom it is about."""
    sequence: int | None = None
    """Its place in the outbox."""
    correlation_id: Text | None = None
    """The same for all events of one request."""
    actor: Actor = Actor()
    """Who did it."""
    context: Context = Context()
    """Where it came from."""
    data: dict[str, Any] = Field(default_factory=dict)
    """The fields of its type."""

    def to_bytes(self) -> bytes:
        """The event's JSON, UTF-8, without ``sequence`` (see :func:`with_sequence`) and without absent context fields."""
        try:
            return _to_json(self)
        except (PydanticSerializationError, UnicodeEncodeError):
            # A lone surrogate from a client's input must not cost the event.
            context = Context.model_construct(**_without_surrogates(dict(self.context)))
            return _to_json(self.model_copy(update={"context": context, "data": _without_surrogates(self.data)}))

    @classmethod
    def from_bytes(cls, body: bytes | str) -> Self:
        """The event that ``body`` says. Raises ``pydantic.ValidationError`` when it says none."""
        return cls.model_validate_json(body)


def with_sequence(body: bytes, sequence: int) -> bytes:
    """``body`` (of :meth:`Event.to_bytes`) with its place in the outbox, as the last key. Nothing else changes."""
    return body[:-1] + b',"sequence":%d}' % sequence


def _to_json(event: Event) -> bytes:
    document = event.model_dump(mode="json", exclude={"sequence", "context", "actor"})
    data = document.pop("data")
    document["actor"] = event.actor.model_dump(mode="json", exclude_none=True)
    document["context"] = event.context.model_dump(mode="json", exclude_none=True)
    document["data"] = data
    return to_json(document, inf_nan_mode="null")


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return _well_formed(value)
        case dict():
            return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_without_surrogates(item) for item in value]
        case _:
            return value
