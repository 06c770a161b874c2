"""CloudEvents 1.0 around our events: structured, in a batch, or as headers beside the body (HTTP protocol binding 1.0.2).

``data`` is the event as it was stored, byte for byte, so that nothing is lost and one JSON Schema holds in every format.
The attributes repeat what routers look at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from supertokens_events.sink import Delivery

__all__ = ["BATCH", "DATA", "STRUCTURED", "UNKNOWN_SOURCE", "attributes", "headers", "structured"]

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
DATA = "application/json"
UNKNOWN_SOURCE = "urn:supertokens-events:unknown"
"""``source`` of an app that has not said its own in ``[app] source``: the attribute is required."""

_IN_A_URI = ":/?#[]@!$&'()*+,;=%~"
_NOT_IN_A_STRING = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")  # "Type System", String
_IN_A_HEADER = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


def attributes(delivery: Delivery) -> dict[str, str]:
    """The context attributes: the required ones, ``subject`` (the user), ``time``, and as extensions the tenant, the request and
    the place in the outbox. What is not known is left out.
    """
    return {name: text for name, value in _attributes(delivery) if (text := _string(value))}


def structured(delivery: Delivery, body: bytes) -> bytes:
    """One CloudEvent as JSON, with ``body`` as its ``data``."""
    head = json.dumps(attributes(delivery), ensure_ascii=False, separators=(",", ":")).encode()
    return head[:-1] + b',"data":' + body + b"}"


def headers(delivery: Delivery) -> dict[str, str]:
    """The attributes as headers of binary mode: ``ce-`` and the name, the value percent-encoded as section 3.1.3.2 says.

    ``datacontenttype`` is not among them: it is the ``content-type``.
    """
    return {
        f"ce-{name}": quote(value, safe=_IN_A_HEADER)
        for name, value in attributes(delivery).items()
        if name != "datacontenttype"
    }


def _attributes(delivery: Delivery) -> Iterator[tuple[str, Any]]:
    event = json.loads(delivery.body)
    yield "specversion", "1.0"
    yield "id", delivery.event_id
    yield "source", quote(event.get("source") or "", safe=_IN_A_URI) or UNKNOWN_SOURCE
    yield "type", delivery.event_type
    yield "time", event["timestamp"]
    yield "subject", delivery.user_id
    yield "datacontenttype", DATA
    yield "tenantid", delivery.tenant_id
    yield "correlationid", event.get("correlation_id")
    yield "sequence", delivery.sequence
    yield "sequencetype", "Integer"


def _string(value: object) -> str:
    """``value`` as a CloudEvents String, which has no control characters."""
    return "" if value is None else _NOT_IN_A_STRING.sub("\N{REPLACEMENT CHARACTER}", str(value))
