"""The catalog: all event types, each with its data model, example and JSON Schema. One module per domain."""

from __future__ import annotations

from importlib import import_module

from supertokens_events.catalog.base import Catalog, EventData, Unloaded, event_types_of
from supertokens_events.catalog.names import HIGH_VOLUME, TYPES

__all__ = ["Catalog", "EventData", "builtin_catalog", "builtin_types"]


def builtin_catalog() -> Catalog:
    """A catalog of every event type that capture can emit. A domain is imported when one of its types is asked for: a
    hundred models cost more than all the rest of an app's start with us.
    """
    return Catalog(
        Unloaded(name, f"{__name__}.{domain}", name in HIGH_VOLUME)
        for domain, names in TYPES.items()
        for name in names.split()
    )


def builtin_types() -> list[type[EventData]]:
    """Every event type that capture can emit, in no promised order."""
    return [data_model for domain in TYPES for data_model in event_types_of(import_module(f"{__name__}.{domain}"))]
