"""What an event type is made of, and the set of all that are known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from supertokens_events.event import event_type
from supertokens_events.forks import no_fork

__all__ = ["Catalog", "EventData", "Unloaded", "event_types_of"]


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


class Unloaded(NamedTuple):
    """What is known of a type whose module nobody has needed yet."""

    event_type: str
    module: str
    high_volume: bool = False

    def load(self) -> type[EventData]:
        """The data model. Raises ``LookupError`` when its module has none of this name."""
        with no_fork():
            module = import_module(self.module)
        for data_model in event_types_of(module):
            if data_model.event_type == self.event_type:
                return data_model
        raise LookupError(f"there is no event type {self.event_type!r} in {self.module}")


class Catalog:
    """All event types by name. Iterates in order of names."""

    def __init__(self, types: Iterable[type[EventData] | Unloaded] = ()) -> None:
        self._types: dict[str, type[EventData] | Unloaded] = {}
        for one in types:
            self.add(one)

    def add(self, one: type[EventData] | Unloaded) -> None:
        """Raises ``ValueError`` when the name is not a valid event type or is taken by another model."""
        name = event_type(one.event_type)
        known = self._types.setdefault(name, one)
        if known is not one and _loaded(known) is not _loaded(one):
            raise ValueError(
                f"the event type {name!r} is defined by both {_where(_loaded(known))} and {_where(_loaded(one))}"
            )

    def extended(self, types: Iterable[type[EventData]]) -> Catalog:
        """A catalog with these types too, or the ``ValueError`` of :meth:`add`; this one stays as it is."""
        return Catalog([*self._types.values(), *types])

    def get(self, name: str) -> type[EventData] | None:
        """The data model of a type, or ``None`` for a type that is not in the catalog."""
        known = self._types.get(name)
        return None if known is None else _loaded(known)

    def nearest(self, name: str) -> str | None:
        """The known type that looks most like ``name``, if any does."""
        import difflib  # only for a mistake

        return next(iter(difflib.get_close_matches(name, self._types, n=1)), None)

    @property
    def high_volume(self) -> list[str]:
        """The names of the high-volume types, in order."""
        return sorted(name for name, known in self._types.items() if known.high_volume)

    def __iter__(self) -> Iterator[type[EventData]]:
        return (_loaded(self._types[name]) for name in sorted(self._types))

    def __len__(self) -> int:
        return len(self._types)

    def __contains__(self, name: object) -> bool:
        return name in self._types


def event_types_of(module: ModuleType) -> list[type[EventData]]:
    """The event types that a module of the catalog defines."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, EventData) and value is not EventData
    ]


def _loaded(known: type[EventData] | Unloaded) -> type[EventData]:
    return known.load() if isinstance(known, Unloaded) else known


def _where(data_model: type[EventData]) -> str:
    return f"{data_model.__module__}.{data_model.__qualname__}"
