"""Delivery: what became of sinks and of deliveries to them. It goes to every other sink that wants it, never to that one."""

from __future__ import annotations

from supertokens_events.catalog.base import EventData

__all__ = ["DeliveryExhausted", "SinkDisabled"]


class SinkDisabled(EventData):
    """A sink's place wanted no more events: nothing goes out to it until a person enables it. Source: the dispatcher."""

    event_type = "sink.disabled"
    example = {"sink": "crm", "why": "crm.example.com answered 410 Gone: it wants no more events"}

    sink: str
    """Its name in the configuration."""
    why: str
    """What its place said."""


class DeliveryExhausted(EventData):
    """A delivery was given up after its last attempt. Source: the dispatcher.

    Never said of a delivery of such an event itself, so that none begets another.
    """

    event_type = "delivery.exhausted"
    example = {
        "sink": "crm",
        "about_event_id": "evt_01JD7Q3K5X9V0W1Y2Z3A4B5C6D",
        "about_event_type": "user.created",
        "attempts": 10,
        "why": "given up after 10 attempts: crm.example.com answered 500 Internal Server Error",
    }

    sink: str
    """Its name in the configuration."""
    about_event_id: str
    """The event that was not delivered."""
    about_event_type: str
    """That event's type."""
    attempts: int
    """How many were used up."""
    why: str
    """What the last one came to."""
