"""What a text can say of an event: its fields by path, looked up in its JSON and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
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
    except ValueError:
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
    if path == "who" or (head == "context" and rest) or (head == "data" and rest and data_model is None):
        return None  # plugins may add to the context
    if head == "data" and rest and data_model is not None:
        known = _paths(data_model, rest.count("."))
        return None if rest in known or _is_open(data_model, rest) else _unknown(path, (f"data.{one}" for one in known))
    envelope = [*(name for name in Event.model_fields if name not in {"data", *_INNER}), "who"]
    inner = [f"{name}.{one}" for name, model in _INNER.items() for one in model.model_fields]
    return None if path in (*envelope, *inner) else _unknown(path, (*envelope, *inner, "data.…"))


def _unknown(path: str, known: Iterator[str] | tuple[str, ...]) -> str:
    names = list(known)
    return f"there is no field {path!r}{nearest(path, names)}; known: {', '.join(names)}"


def _paths(model: type[BaseModel], depth: int) -> list[str]:
    found: list[str] = []
    for name, info in model.model_fields.items():
        found.append(name)
        if depth and (inner := _model_in(info.annotation)) is not None:
            found += [f"{name}.{one}" for one in _paths(inner, depth - 1)]
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, also where it may hold nothing."""
    candidates = [annotation, *get_args(annotation)]
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _is_open(model: type[BaseModel], path: str) -> bool:
    """Whether ``path`` leads into a table whose keys nobody has promised."""
    head, _, rest = path.partition(".")
    info = model.model_fields.get(head)
    if info is None or not rest:
        return False
    inner = _model_in(info.annotation)
    if inner is not None:
        return _is_open(inner, rest)
    return any(
        getattr(one, "__origin__", one) in (dict, Mapping, Any) for one in (info.annotation, *get_args(info.annotation))
    )
