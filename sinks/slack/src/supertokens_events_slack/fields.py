"""What a text can say of an event: its fields by path, looked up in its JSON and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel

from supertokens_events.catalog import EventData
from supertokens_events.event import Actor, Context, Event
from supertokens_events.sink import Delivery
from supertokens_events.suggest import nearest

__all__ = ["Document", "document_of", "field", "happened_at", "problem_with", "who"]

Document = Mapping[str, Any]
"""An event as it was stored."""

_WHO = ("data.email", "data.phone_number", "user_id", "actor.email", "actor.user_id")
_SOMEBODY = "somebody"
_INNER: Mapping[str, type[BaseModel]] = {"actor": Actor, "context": Context}


def document_of(delivery: Delivery) -> Document:
    """What is stored of the event. A body that says none leaves what the delivery itself knows."""
    try:
        document = json.loads(delivery.body)
    except (ValueError, RecursionError):
        document = None
    known = {"id": delivery.event_id, "type": delivery.event_type, "user_id": delivery.user_id}
    return {**known, "tenant_id": delivery.tenant_id, **(document if isinstance(document, dict) else {})}


def field(document: Document, path: str) -> Any:
    """What stands at ``path``, such as ``data.email``; ``None`` where there is nothing. ``who`` is whom the event is about, as a
    person would say it.
    """
    if path == "who":
        return who(document)
    value: Any = document
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def who(document: Document) -> str:
    """An e-mail address or a phone number before an id: a person is to recognise it."""
    found = (field(document, path) for path in _WHO)
    return next((value for value in found if isinstance(value, str) and value), _SOMEBODY)


def happened_at(document: Document) -> datetime | None:
    """When it happened, in UTC."""
    try:
        moment = datetime.fromisoformat(str(document.get("timestamp")))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


# What may be asked for -----------------------------------------------------------------------------------------------


def problem_with(path: str, data_model: type[EventData] | None) -> str | None:
    """Why no event of this type has such a field. ``data_model`` ``None``: whatever its ``data`` may hold."""
    head, _, rest = path.partition(".")
    match head:
        case "data" if rest and data_model is None:
            return None
        case "data" if rest and data_model is not None:
            known = [f"data.{name}" for name in _paths(data_model, rest.count("."))]
        case "context" if rest:
            return None  # plugins may add to it
        case _:
            inner = [f"{name}.{one}" for name, model in _INNER.items() for one in model.model_fields]
            known = ["who", *(name for name in Event.model_fields if name not in {"data", *_INNER}), *inner]
    return None if path in known else f"there is no field {path!r}{nearest(path, known)}; known: {', '.join(known)}"


def _paths(model: type[BaseModel], depth: int) -> list[str]:
    found: list[str] = []
    for name, info in model.model_fields.items():
        found.append(name)
        if depth and (inner := _model_in(info.annotation)) is not None:
            found += [f"{name}.{one}" for one in _paths(inner, depth - 1)]
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, also where it may hold nothing. A path leads into no list."""
    candidates = get_args(annotation) if isinstance(annotation, UnionType) else [annotation]
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)
