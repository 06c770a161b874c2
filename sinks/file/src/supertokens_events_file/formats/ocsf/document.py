"""One event as one event of OCSF 1.7.0: what its class has a place for goes there, everything else into ``unmapped``.

Each part takes what it says out of the event, so that what is left in the end is what nobody has said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic_core import to_json

from supertokens_events.event import Event
from supertokens_events_file.formats.ocsf import classes, parts
from supertokens_events_file.formats.ocsf.classes import EventClass, Kind, kind_of
from supertokens_events_file.formats.ocsf.parts import known, text

__all__ = ["VERSION", "ocsf"]

VERSION = "1.7.0"
"""Of OCSF."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_PRODUCT = "supertokens-events"

Part = Callable[[str, dict[str, Any]], Any]
_REQUEST: Mapping[str, Part] = {
    "actor": parts.actor,
    "src_endpoint": parts.source_endpoint,
    "http_request": parts.http_request,
}
_PARTS: Mapping[EventClass, Mapping[str, Part]] = {
    classes.ACCOUNT_CHANGE: {"user": parts.user, "auth_factors": parts.auth_factors, **_REQUEST},
    classes.AUTHENTICATION: {
        "user": parts.user,
        "session": parts.session,
        "service": parts.service,
        "auth_protocol_id": parts.auth_protocol_id,
        "auth_protocol": parts.auth_protocol,
        "auth_factors": parts.auth_factors,
        "is_mfa": parts.is_mfa,
        **_REQUEST,
    },
    classes.ENTITY_MANAGEMENT: {"entity": parts.entity, **_REQUEST},
    classes.USER_ACCESS: {"user": parts.user, "privileges": parts.privileges, **_REQUEST},
    classes.GROUP_MANAGEMENT: {"user": parts.user, "group": parts.tenant, **_REQUEST},
    classes.BASE: {},
}


def ocsf(event: Event, sequence: int) -> bytes:
    """``event``, whose place in the outbox is ``sequence``, as JSON."""
    kind = kind_of(event.type, event.data)
    left = event.model_dump(mode="json", exclude_none=True)
    said = {
        **_classification(kind),
        "time": (event.timestamp - _EPOCH) // _MILLISECOND,
        "message": event.type,
        **_status(kind, left["data"]),
        **{name: part(event.type, left) for name, part in _PARTS[kind.event_class].items()},
        "metadata": _metadata(left, sequence),
        "unmapped": known(**left),
    }
    return to_json(known(**said))


def _classification(kind: Kind) -> dict[str, Any]:
    (uid, name, category, _), (activity, activity_name) = kind.event_class, kind.activity
    return {
        "category_uid": category[0],
        "category_name": category[1],
        "class_uid": uid,
        "class_name": name,
        "activity_id": activity,
        "activity_name": activity_name,
        "type_uid": uid * 100 + activity,
        "type_name": f"{name}: {activity_name}",
        "severity_id": kind.severity[0],
        "severity": kind.severity[1],
    }


def _status(kind: Kind, data: dict[str, Any]) -> dict[str, Any]:
    """How it ended, and why. What an app's own type means by a ``reason`` is the app's."""
    said: dict[str, Any] = {"status_id": kind.status[0], "status": kind.status[1]}
    if kind.status != classes.UNKNOWN:
        said["status_code"] = text(data, "error_code")
        said["status_detail"] = text(data, "reason") or text(data, "why")
    return said


def _metadata(left: dict[str, Any], sequence: int) -> dict[str, Any]:
    left.pop("sequence", None)
    return known(
        version=VERSION,
        product={"name": _PRODUCT, "vendor_name": _PRODUCT, "version": _product_version()},
        uid=left.pop("id"),
        event_code=left.pop("type"),
        log_version=str(left.pop("schema_version")),
        original_time=left.pop("timestamp"),
        sequence=sequence,
        correlation_uid=left.pop("correlation_id", None),
        tenant_uid=left.pop("tenant_id", None),
        source=left.pop("source", None),
    )


@cache
def _product_version() -> str:
    return version(_PRODUCT)
