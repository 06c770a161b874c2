"""The catalog: all event types, each with its data model, example and JSON Schema. One module per domain."""

from __future__ import annotations

from types import ModuleType

from supertokens_events.catalog import password, session, user
from supertokens_events.catalog.base import Catalog, EventData

__all__ = ["Catalog", "EventData", "builtin_types"]

_DOMAINS: tuple[ModuleType, ...] = (user, session, password)


def builtin_types() -> list[type[EventData]]:
    """Every event type that capture can emit, in no promised order."""
    return [
        value
        for domain in _DOMAINS
        for value in vars(domain).values()
        if isinstance(value, type) and issubclass(value, EventData) and value is not EventData
    ]
