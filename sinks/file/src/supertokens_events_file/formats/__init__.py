"""What a line says of an event: the formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from supertokens_events import cloudevents
from supertokens_events.sink import Delivery
from supertokens_events_file.formats.ocsf import ocsf

__all__ = ["Encode", "Format", "encoder"]

Format = Literal["jsonl", "cloudevents", "ocsf"]

Encode = Callable[[Delivery], bytes]
"""The line without its end. Raises ``ValueError`` for what is not an event."""


def encoder(format_: Format) -> Encode:
    """What makes the lines of a format."""
    return {"jsonl": _as_stored, "cloudevents": _cloudevent, "ocsf": _ocsf}[format_]


def _as_stored(delivery: Delivery) -> bytes:
    return delivery.body


def _cloudevent(delivery: Delivery) -> bytes:
    _ = delivery.event  # parses it: what is no event has no attributes
    return cloudevents.structured(delivery, delivery.body)


def _ocsf(delivery: Delivery) -> bytes:
    return ocsf(delivery.event, delivery.sequence)
