"""Operations that look: at events, deliveries, the catalog, and how everything stands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from supertokens_events.catalog import EventData
from supertokens_events.catalog.schema import data_schema
from supertokens_events.operate.types import stored_types
from supertokens_events.outbox import DeliveryState, SinkStatus, Wanted
from supertokens_events.server.answers import (
    DeliveryFacts,
    DeliveryList,
    EventFacts,
    EventList,
    EventTypeFacts,
    EventTypeList,
    LedgerFacts,
    OutboxFacts,
    SinkState,
    StatusFacts,
)
from supertokens_events.server.asking import Asked
from supertokens_events.server.operations import Api, Call, Operation
from supertokens_events.server.problems import Refused
from supertokens_events.server.times import seconds_of
from supertokens_events.sink import is_handler

__all__ = ["OPERATIONS"]

_LAST = 2**63 - 1  # sequence
_CURSOR = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")

Limit = Annotated[int, Field(ge=1, le=1000, description="At most so many.")]
Place = Annotated[int | None, Field(ge=0, le=_LAST)]


class EventQuery(Asked):
    """Which events: with `after` the first ones after that sequence, else the latest. `type` may be a pattern, such as `user.*`;
    `since` and `until` are when they were stored.
    """

    after: Place = None
    type: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: Limit = 100


class DeliveryQuery(Asked):
    """Which deliveries: with `after`, an earlier answer's `next`, or `0`, the first ones after that; else the latest. `type` may
    be a pattern, such as `user.*`; `since` and `until` are when their events were stored.
    """

    sink: str | None = None
    state: Literal["pending", "done", "dead", "skipped"] | None = None
    type: str | None = None
    event: str | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: str | None = None
    limit: Limit = 100


def _events(api: Api, call: Call) -> EventList:
    query: EventQuery = call.query
    wanted = Wanted(
        types=_types(api, query.type),
        user_id=query.user_id,
        tenant_id=query.tenant_id,
        correlation_id=query.correlation_id,
        since=seconds_of(query.since),
        until=seconds_of(query.until),
    )
    found = api.outbox.events(wanted=wanted, after=query.after, limit=query.limit)
    return EventList(
        events=[EventFacts.of(event) for event in found], next=found[-1].sequence if found else query.after
    )


def _event(api: Api, call: Call) -> EventFacts:
    found = api.outbox.event(call.path["id"])
    if found is None:
        raise Refused(404, f"there is no event {call.path['id']!r} in the outbox")
    return EventFacts.of(found)


def _deliveries(api: Api, call: Call) -> DeliveryList:
    query: DeliveryQuery = call.query
    wanted = Wanted(
        types=_types(api, query.type),
        user_id=query.user_id,
        tenant_id=query.tenant_id,
        since=seconds_of(query.since),
        until=seconds_of(query.until),
        event_id=query.event,
        sink=query.sink,
        state=None if query.state is None else DeliveryState(query.state),
    )
    after = None if query.after is None else _place(query.after)
    found = api.outbox.deliveries(wanted=wanted, after=after, limit=query.limit)
    return DeliveryList(
        deliveries=[DeliveryFacts.of(delivery) for delivery in found],
        next=_cursor(found[-1].cursor) if found else query.after,
    )


def _types(api: Api, pattern: str | None) -> Sequence[str] | None:
    try:
        return None if pattern is None else stored_types(api.outbox, [pattern])
    except ValueError as error:
        raise Refused(422, f"request: query.type: {error}") from None


def _cursor(place: tuple[int, int]) -> str:
    return f"{place[0]}-{place[1]}"


def _place(cursor: str) -> tuple[int, int]:
    """``0`` is before everything."""
    if (match := _CURSOR.fullmatch(cursor)) is None:
        raise Refused(422, "request: query.after: expected the 'next' of an earlier answer, or 0 for the first")
    return int(match[1]), int(match[2] or 0)


def _status(api: Api, _call: Call) -> StatusFacts:
    statuses = {one.sink: one for one in api.outbox.status()}
    sinks = api.settings.sinks
    events, size = api.outbox.counts()
    return StatusFacts(
        sinks=[
            SinkState.of(statuses.get(name) or SinkStatus(name), _is_on(api, name))
            for name in sorted({*statuses, *sinks})
        ],
        outbox=OutboxFacts(events=events, bytes=size),
        ledger=[LedgerFacts.of(line) for line in api.outbox.ledger()],
    )


def _is_on(api: Api, name: str) -> Literal["on", "off", "gone"]:
    config = api.settings.sinks.get(name)
    if config is None:
        return "on" if is_handler(name) else "gone"
    return "on" if config.enabled else "off"


def _catalog(api: Api, _call: Call) -> EventTypeList:
    return EventTypeList(event_types=[_type_facts(data_model) for data_model in api.plugins.catalog])


def _type_facts(data_model: type[EventData]) -> EventTypeFacts:
    return EventTypeFacts(
        type=data_model.event_type,
        summary=data_model.summary(),
        schema_version=data_model.schema_version,
        high_volume=data_model.high_volume,
        example=dict(data_model.example),
        data=data_schema(data_model),
    )


OPERATIONS = (
    Operation(
        *("GET", "/v1/events", "listEvents", "Stored events, to read on from where one was", _events, EventList),
        query=EventQuery,
    ),
    Operation("GET", "/v1/events/{id}", "readEvent", "One event", _event, EventFacts, errors=(404,)),
    Operation(
        *("GET", "/v1/deliveries", "listDeliveries", "Deliveries with their attempts"),
        *(_deliveries, DeliveryList),
        query=DeliveryQuery,
    ),
    Operation("GET", "/v1/status", "readStatus", "How each sink stands, the outbox, the ledger", _status, StatusFacts),
    Operation("GET", "/v1/catalog", "readCatalog", "The event types", _catalog, EventTypeList),
)
