"""What is posted for an event, or for several: the formats, and what a sink's setting ``format`` means."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, NamedTuple

from supertokens_events import cloudevents
from supertokens_events.sink import Delivery

__all__ = ["Document", "Format", "Pack", "Payload", "full", "pack_for", "thin"]

Format = Literal["full", "thin", "cloudevents", "cloudevents-binary", "cloudevents-batch", "set"]

_IDS = ("id", "type", "timestamp", "tenant_id", "user_id", "correlation_id", "sequence")


class Document(NamedTuple):
    """A delivery, and the JSON that says its event: as it was stored, or what the sink's transform made of it."""

    delivery: Delivery
    body: bytes


@dataclass(frozen=True, slots=True)
class Payload:
    """A body, its media type, the ``webhook-id`` that it goes under, and what else stands in the header."""

    id: str
    content_type: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


Pack = Callable[[Sequence[Document]], Payload]
"""Makes one payload of documents: of one of them, unless the format is a batch."""


def pack_for(format_: Format) -> Pack:
    """What packs in a format that needs no key of its own: all but ``set``."""
    return {
        "full": full,
        "thin": thin,
        "cloudevents": _structured,
        "cloudevents-binary": _binary,
        "cloudevents-batch": _batch,
    }[format_]


def full(documents: Sequence[Document]) -> Payload:
    """The event as it was stored, byte for byte: the signature is over these bytes."""
    ((delivery, body),) = documents
    return Payload(delivery.event_id, "application/json", body)


def thin(documents: Sequence[Document]) -> Payload:
    """What happened, when, and to whom, as ids: a receiver that may know more asks for it."""
    ((delivery, body),) = documents
    event = json.loads(body)
    told = {name: event[name] for name in _IDS if name in event}
    return Payload(delivery.event_id, "application/json", _compact(told))


def _structured(documents: Sequence[Document]) -> Payload:
    ((delivery, body),) = documents
    return Payload(delivery.event_id, cloudevents.STRUCTURED, cloudevents.structured(delivery, body))


def _binary(documents: Sequence[Document]) -> Payload:
    ((delivery, body),) = documents
    return Payload(delivery.event_id, cloudevents.DATA, body, cloudevents.headers(delivery))


def _batch(documents: Sequence[Document]) -> Payload:
    ids = "\n".join(document.delivery.event_id for document in documents)
    body = b"[" + b",".join(cloudevents.structured(*document) for document in documents) + b"]"
    return Payload(batch_id(ids), cloudevents.BATCH, body)


def batch_id(ids: str) -> str:
    """The ``webhook-id`` of a batch: the same whenever the same events go out together in the same order, and never that of
    another batch.
    """
    return f"batch_{sha256(ids.encode()).hexdigest()[:32]}"


def _compact(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
