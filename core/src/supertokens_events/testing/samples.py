"""Events as they are captured, for tests."""

from __future__ import annotations

from typing import Any

from supertokens_events.catalog import Catalog, builtin_types
from supertokens_events.event import Event

__all__ = ["sample_event"]

_CATALOG = Catalog(builtin_types())


def sample_event(event_type: str = "user.created", **fields: Any) -> Event:
    """An event of this type, with its catalog example as ``data``. ``fields`` are the event's own; they replace the sample's."""
    model = _CATALOG.get(event_type)
    sample = {
        "tenant_id": "public",
        "user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
        "data": dict(model.example) if model else {},
    }
    return Event(type=event_type, **(sample | fields))
