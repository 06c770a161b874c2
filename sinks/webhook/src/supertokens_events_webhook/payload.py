"""What is posted for an event."""

from __future__ import annotations

from dataclasses import dataclass, field

from supertokens_events.sink import Delivery

__all__ = ["Payload", "payload_of"]


@dataclass(frozen=True, slots=True)
class Payload:
    """A body and its media type."""

    content_type: str
    body: bytes = field(repr=False)


def payload_of(delivery: Delivery) -> Payload:
    """The event as it was stored, byte for byte: the signature is over these bytes."""
    return Payload("application/json", delivery.body)
