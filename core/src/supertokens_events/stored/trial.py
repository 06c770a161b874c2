"""A test event: the example of a type, for one sink."""

from __future__ import annotations

from supertokens_events.catalog import Catalog, EventData
from supertokens_events.catalog.schema import EXAMPLE
from supertokens_events.config import SinkConfig
from supertokens_events.event import Actor, Context, Event
from supertokens_events.outbox import Entry, NewDelivery

__all__ = ["trial_entry"]

_USUAL = "user.created"


def trial_entry(config: SinkConfig, catalog: Catalog, event_type: str | None, source: str | None) -> Entry:
    """An event of the type, or of one that the sink wants, and its one delivery. Raises ``ValueError`` for a type that is not
    known.
    """
    data_model = _wanted(config, catalog) if event_type is None else catalog.get(event_type)
    if data_model is None:
        near = catalog.nearest(event_type or "")
        hint = f", did you mean {near!r}?" if near else ""
        raise ValueError(f"there is no event type {event_type!r} in the catalog{hint}")
    tenants = config.subscription.tenants
    event = Event(
        type=data_model.event_type,
        schema_version=data_model.schema_version,
        source=source,
        tenant_id=tenants[0] if tenants else EXAMPLE["tenant_id"],
        user_id=EXAMPLE["user_id"],
        actor=Actor(type="system"),
        context=Context.model_validate({"test": True}),
        data=dict(data_model.example),
    )
    return Entry(event, event.to_bytes(), [NewDelivery(config.name)])


def _wanted(config: SinkConfig, catalog: Catalog) -> type[EventData] | None:
    """The usual one, else the first that it wants; the usual one also when it wants none that is known."""
    patterns = config.subscription.patterns
    if not patterns.matches(_USUAL):
        for data_model in catalog:
            if patterns.matches(data_model.event_type):
                return data_model
    return catalog.get(_USUAL)
