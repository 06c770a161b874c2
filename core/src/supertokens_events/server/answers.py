"""What the API answers with. Times are in UTC, ISO 8601."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, JsonValue

from supertokens_events.outbox import Breaker, Disabled, LedgerCount, SinkStatus, StoredDelivery, StoredEvent
from supertokens_events.server.times import moment
from supertokens_events.stored.sinks import Made, SinkView

__all__ = [
    "DeliveryList",
    "EventFacts",
    "EventList",
    "EventTypeFacts",
    "EventTypeList",
    "SinkDeleted",
    "SinkEnabled",
    "SinkFacts",
    "SinkList",
    "SinkMade",
    "SinkTypeFacts",
    "SinkTypeList",
    "StatusFacts",
    "TestSent",
]


def _maybe(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)


# Sinks -----------------------------------------------------------------------------------------------------------------


class SinkFacts(BaseModel):
    """A sink. `settings` are the keys of its table; a secret in them is `{"configured": true}`, at most with its last four
    characters, and may be sent back as it is. One with `origin` `configuration` is changed in that file only. `problems` say why
    it cannot be used where the API runs.
    """

    name: str
    type: str
    origin: Literal["configuration", "api"]
    enabled: bool
    settings: dict[str, JsonValue]
    problems: list[str]
    revision: int | None
    created_at: datetime | None
    updated_at: datetime | None

    @staticmethod
    def facts(view: SinkView) -> dict[str, Any]:
        """The fields of one."""
        times = {"created_at": _maybe(view.created_at), "updated_at": _maybe(view.updated_at)}
        return {**vars(view), "problems": list(view.problems), **times}

    @classmethod
    def of(cls, view: SinkView) -> SinkFacts:
        """One."""
        return cls(**cls.facts(view))


class SinkMade(SinkFacts):
    """A sink, and the `secrets` that were made with it. They are shown this once."""

    secrets: dict[str, str]

    @classmethod
    def made(cls, made: Made) -> SinkMade:
        """One."""
        return cls(**cls.facts(made.sink), secrets=dict(made.secrets))


class DisabledFacts(BaseModel):
    """Since when nothing goes out to a sink, and what its place said."""

    since: datetime
    reason: str

    @classmethod
    def of(cls, disabled: Disabled | None) -> DisabledFacts | None:
        """One, if there is any."""
        return None if disabled is None else cls(since=moment(disabled.since), reason=disabled.reason)


class SinkEnabled(SinkFacts):
    """A sink that is turned on. `was_disabled`: its place had said that it wants no more, and that is over."""

    was_disabled: DisabledFacts | None

    @classmethod
    def enabled_again(cls, view: SinkView, over: Disabled | None) -> SinkEnabled:
        """One."""
        return cls(**cls.facts(view), was_disabled=DisabledFacts.of(over))


class SinkList(BaseModel):
    """Every sink, by name."""

    sinks: list[SinkFacts]


class SinkDeleted(BaseModel):
    """A sink that is gone. `skipped` is how many deliveries waited for it: they are kept, as skipped."""

    name: str
    skipped: int


class TestSent(BaseModel):
    """A test event that is stored, and goes out as every event does. `GET /v1/deliveries?event=…` says what became of it."""

    event_id: str
    type: str
    sequence: int | None


class SinkTypeFacts(BaseModel):
    """A kind of place. `settings` is the JSON Schema of its own keys; those of every sink are in `common`."""

    type: str
    settings: dict[str, JsonValue]


class SinkTypeList(BaseModel):
    """What is installed. `common` is the JSON Schema of the keys that every sink has."""

    common: dict[str, JsonValue]
    sink_types: list[SinkTypeFacts]


# Events and deliveries -------------------------------------------------------------------------------------------------


class EventFacts(BaseModel):
    """A stored event. `event` is what is sent; null once it was erased."""

    sequence: int
    id: str
    type: str
    timestamp: str
    tenant_id: str | None
    user_id: str | None
    correlation_id: str | None
    stored_at: datetime
    event: dict[str, JsonValue] | None

    @classmethod
    def of(cls, event: StoredEvent) -> EventFacts:
        """One."""
        return cls(
            sequence=event.sequence,
            id=event.id,
            type=event.type,
            timestamp=event.timestamp,
            tenant_id=event.tenant_id,
            user_id=event.user_id,
            correlation_id=event.correlation_id,
            stored_at=moment(event.stored_at),
            event=None if event.body is None else json.loads(event.body),
        )


class EventList(BaseModel):
    """Events in the order of their sequences. `next` is what `after` takes to go on: also when there is no more yet."""

    events: list[EventFacts]
    next: int | None


class AttemptFacts(BaseModel):
    """One try at a delivery, counted from 1. `duration` is in seconds; `detail` is what the sink noted."""

    number: int
    started_at: datetime
    duration: float
    outcome: str
    reason: str | None
    detail: dict[str, JsonValue]


class DeliveryFacts(BaseModel):
    """One event on its way to one sink, with its attempts. `used` counts the attempts that were used up; `behind` is the event of
    the same user that it waits for.
    """

    sequence: int
    event_id: str
    event_type: str
    sink: str
    state: Literal["pending", "done", "dead", "skipped"]
    used: int
    due_at: datetime
    reason: str | None
    stored_at: datetime
    user_id: str | None
    behind: str | None
    attempts: list[AttemptFacts]

    @classmethod
    def of(cls, delivery: StoredDelivery) -> DeliveryFacts:
        """One."""
        attempts = [
            AttemptFacts(**{**one._asdict(), "started_at": moment(one.started_at), "detail": dict(one.detail)})
            for one in delivery.attempts
        ]
        return cls(
            **{
                **delivery._asdict(),
                "state": str(delivery.state),
                "due_at": moment(delivery.due_at),
                "stored_at": moment(delivery.stored_at),
                "attempts": attempts,
            }
        )


class DeliveryList(BaseModel):
    """Deliveries in the order of their events. `next` is what `after` takes to go on: also when there is no more yet."""

    deliveries: list[DeliveryFacts]
    next: str | None


# Status and catalog ----------------------------------------------------------------------------------------------------


class BreakerFacts(BaseModel):
    """A place that is away: since when, what it said last, when it is asked next, and how often that was in vain."""

    open_since: datetime
    failing_since: datetime
    probe_at: datetime
    probes: int
    reason: str

    @classmethod
    def of(cls, breaker: Breaker | None) -> BreakerFacts | None:
        """One, if it is open."""
        if breaker is None:
            return None
        return cls(
            open_since=moment(breaker.open_since),
            failing_since=moment(breaker.failing_since),
            probe_at=moment(breaker.probe_at),
            probes=breaker.probes,
            reason=breaker.reason,
        )


class SinkState(BaseModel):
    """How a sink stands. `configuration`: whether it is on, turned off, or not there any more."""

    sink: str
    configuration: Literal["on", "off", "gone"]
    pending: int
    due: int
    done: int
    dead: int
    skipped: int
    blocked: int
    oldest: datetime | None
    last_success: datetime | None
    last_failure: datetime | None
    last_reason: str | None
    breaker: BreakerFacts | None
    disabled: DisabledFacts | None

    @classmethod
    def of(cls, status: SinkStatus, configuration: Literal["on", "off", "gone"]) -> SinkState:
        """One."""
        facts: Mapping[str, Any] = status._asdict()
        times = {name: _maybe(facts[name]) for name in ("oldest", "last_success", "last_failure")}
        beside = {"breaker": BreakerFacts.of(status.breaker), "disabled": DisabledFacts.of(status.disabled)}
        return cls(**{**facts, **times, **beside, "configuration": configuration})


class OutboxFacts(BaseModel):
    """How many events there are, and how many bytes they take on disk."""

    events: int
    bytes: int


class LedgerFacts(BaseModel):
    """What did not become a delivery, or failed: how often, for which reason, about what."""

    reason: str
    subject: str
    event_type: str
    count: int
    first_at: datetime
    last_at: datetime

    @classmethod
    def of(cls, line: LedgerCount) -> LedgerFacts:
        """One."""
        return cls(
            reason=line.reason,
            subject=line.subject,
            event_type=line.event_type,
            count=line.count,
            first_at=moment(line.first_at),
            last_at=moment(line.last_at),
        )


class StatusFacts(BaseModel):
    """How everything stands."""

    sinks: list[SinkState]
    outbox: OutboxFacts
    ledger: list[LedgerFacts]


class EventTypeFacts(BaseModel):
    """An event type, and what its `data` promises."""

    type: str
    summary: str
    schema_version: int
    high_volume: bool
    example: dict[str, JsonValue]
    data: dict[str, JsonValue]


class EventTypeList(BaseModel):
    """The catalog."""

    event_types: list[EventTypeFacts]
