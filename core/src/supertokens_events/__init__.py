"""Outbound events for SuperTokens: what happens in ``supertokens-python`` becomes durable events, delivered by sinks."""

from supertokens_events.event import Event
from supertokens_events.events import Events
from supertokens_events.hookspecs import hookimpl

__all__ = ["Event", "Events", "hookimpl"]
