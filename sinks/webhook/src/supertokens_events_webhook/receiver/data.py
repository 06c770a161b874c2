"""``data`` as the model of its type."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import ValidationError

from supertokens_events.catalog import Catalog, EventData, builtin_catalog
from supertokens_events.event import Event

__all__ = ["data_of"]


def data_of(event: Event, catalog: Catalog | None = None) -> EventData | None:
    """The event's ``data`` as its type's model, such as ``UserCreated``; fields that the model does not have are left out.

    ``None`` when this version does not know the type, or when the data is not as it knows it: a newer ``schema_version``,
    or an event that holds ids only. ``event.data`` has it all the same. ``catalog`` is for types of your own.
    """
    model = (_builtin() if catalog is None else catalog).get(event.type)
    return None if model is None else _read(model, deepcopy(event.data))


@cache
def _builtin() -> Catalog:
    return builtin_catalog()


def _read(model: type[EventData], data: dict[str, Any]) -> EventData | None:
    """Validated, once or, after what a newer version has added is taken out, twice."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False, include_context=False):
            if problem["type"] != "extra_forbidden" or not _remove(data, problem["loc"]):
                return None
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _remove(data: Any, location: Sequence[int | str]) -> bool:
    """Take out what lies at ``location``; whether it was there."""
    *path, last = location
    try:
        for part in path:
            data = data[part]
        del data[last]
    except (KeyError, IndexError, TypeError):  # a union's choices stand in the path, too
        return False
    return True
