"""What an event type is made of, and the set of all that are known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from supertokens_events.event import event_type

__all__ = ["Catalog", "EventData"]


class EventData(BaseModel):
    """The ``data`` of one event type: its promised fields. The docstring says, in one sentence, what happened.

    Adding an optional field keeps ``schema_version``; anything else raises it.
    """

    # Built on first use: an app says a few of these types, and importing all of them must stay quick.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)

    event_type: ClassVar[str]
    schema_version: ClassVar[int] = 1
    high_volume: ClassVar[bool] = False
    """High-volume types are captured only when ``[capture] events`` asks for them."""
    example: ClassVar[Mapping[str, Any]]

    @classmethod
    def summary(cls) -> str:
        """The first sentence of the docstring."""
        text = " ".join((cls.__doc__ or "").split())
        return re.split(r"(?<=\.) (?=[A-Z])", text, maxsplit=1)[0]


class Catalog:
    """All event types by name. Iterates in order of names."""

    def __init__(self, types: Iterable[type[EventData]] = ()) -> None:
        self._types: dict[str, type[EventData]] = {}
        for data_model in types:
            self.add(data_model)

    def add(self, data_model: type[EventData]) -> None:
        """Raises ``ValueError`` when the name is not a valid event type or is taken by another model."""
        name = event_type(data_model.event_type)
        known = self._types.setdefault(name, data_model)
        if known is not data_model:
            raise ValueError(f"the event type {name!r} is defined by both {_where(known)} and {_where(data_model)}")

    def get(self, name: str) -> type[EventData] | None:
        """The data model of a type, or ``None`` for a type that is not in the catalog."""
        return self._types.get(name)

    def nearest(self, name: str) -> str | None:
        """The known type that looks most like ``name``, if any does."""
        return next(iter(difflib.get_close_matches(name, self._types, n=1)), None)

    def __iter__(self) -> Iterator[type[EventData]]:
        return iter(sorted(self._types.values(), key=lambda data_model: data_model.event_type))

    def __len__(self) -> int:
        return len(self._types)

    def __contains__(self, name: object) -> bool:
        return name in self._types


def _where(data_model: type[EventData]) -> str:
    return f"{data_model.__module__}.{data_model.__qualname__}"
