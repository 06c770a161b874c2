"""``mapping`` in a sink's table: what a person changes about the calls that an event type becomes, checked."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from supertokens_events.catalog import Catalog, builtin_catalog
from supertokens_events.event import event_type
from supertokens_events.sink import SinkSettings
from supertokens_events.suggest import nearest
from supertokens_events_segment.fields import PERSONAL
from supertokens_events_segment.rules import Call, Rule, rule_for

__all__ = ["MappedType", "changed", "check", "doubts", "known_types", "not_blank"]

_CALLS: tuple[Call, ...] = get_args(Call)
_OFF = "off"
_GOES_WITH = {"name": "track", "properties": "track", "group_id": "group", "previous_id": "alias"}
_MISTYPED = 0.9  # alike, where 1 is the same: "app.user.created" is not "user.created" mistyped
_LONG_NAME = 255  # characters: what the narrowest of the usual warehouses and tools take


def not_blank(value: str) -> str:
    """``value``. Raises ``ValueError`` when there is nothing to be seen in it."""
    if not value.strip():
        raise ValueError("expected a text that is not empty")
    return value


Name = Annotated[str, Field(max_length=_LONG_NAME), AfterValidator(not_blank)]
FieldName = Annotated[str, Field(min_length=1)]


class MappedType(SinkSettings):
    """One entry of ``mapping``. What it does not say stays as it is for that type.

    ``call`` is one call, a list of them, or ``"off"``. ``name`` and ``properties`` (fields of ``data``) belong to track,
    ``group_id`` and ``previous_id`` (a field of ``data`` each) to group and alias.
    """

    call: tuple[Call, ...] | None = None
    name: Name | None = None
    properties: tuple[FieldName, ...] | None = None
    group_id: FieldName | None = None
    previous_id: FieldName | None = None

    @property
    def said(self) -> dict[str, Any]:
        """What the table says, and no default."""
        return {
            name: value or _OFF if name == "call" else value for name, value in self if name in self.model_fields_set
        }

    @property
    def fields(self) -> Iterator[tuple[str, str]]:
        """The fields of ``data`` that it names, each with the key that does."""
        yield from (("properties", field) for field in self.properties or ())
        yield from ((key, field) for key in ("group_id", "previous_id") if (field := getattr(self, key)) is not None)

    @field_validator("call", mode="before")
    @classmethod
    def _call(cls, value: Any) -> Any:
        calls = [] if value == _OFF else [value] if isinstance(value, str) else value
        if not isinstance(calls, list | tuple) or (value != _OFF and not calls):
            raise ValueError(f"expected one of {_listed(_CALLS)}, a list of these, or 'off'")
        for call in calls:
            if call not in _CALLS:
                near = nearest(str(call), [*_CALLS, _OFF])
                raise ValueError(f"there is no call {call!r}{near}; known: {_listed(_CALLS)}, 'off'")
        if len(set(calls)) < len(calls):
            raise ValueError("names a call twice")
        return tuple(calls)


def _table(value: Any) -> Any:
    """``"off"`` alone stands for a table that says nothing else."""
    return {"call": value} if isinstance(value, str) else value


MappedTypes = dict[str, Annotated[MappedType, BeforeValidator(_table)]]


@cache
def known_types() -> Catalog:
    """The built-in event types. A plugin's and an app's own are not known here."""
    return builtin_catalog()


def changed(event_type: str, mapped: MappedType | None) -> Rule:
    """The rule of a type with what a person says about it."""
    rule = rule_for(event_type)
    if mapped is None:
        return rule
    said = {name: getattr(mapped, name) for name in ("name", "properties", "group_id", "previous_id")}
    rule = replace(rule, **{name: value for name, value in said.items() if value is not None})
    if mapped.name is not None:
        rule = replace(rule, own_name=None)
    return rule if mapped.call is None else replace(rule, calls=mapped.call)


def check(types: Mapping[str, MappedType], traits: Collection[str]) -> None:
    """Raises ``ValueError`` when an entry cannot be meant: for each of them a sentence that begins with the type and the key."""
    problems = [f'"{name}": {problem}' for name, mapped in types.items() if (problem := _problem(name, mapped, traits))]
    if problems:
        raise ValueError("; ".join(problems))


def doubts(types: Mapping[str, MappedType]) -> Iterator[str]:
    """Sentences about types that look like a mistake: an app's own may have any name."""
    for name in types:
        near = known_types().nearest(name)
        if near is not None and near != name and SequenceMatcher(None, name, near).ratio() >= _MISTYPED:
            yield f'mapping."{name}": no built-in event type has this name, did you mean {near!r}?'


def _problem(name: str, mapped: MappedType, traits: Collection[str]) -> str | None:
    """The first that is wrong with an entry."""
    return _no_type(name) or _stray_key(name, mapped) or _wrong_field(name, mapped, traits)


def _no_type(name: str) -> str | None:
    try:
        event_type(name)
    except ValueError as error:
        return str(error)
    return None


def _stray_key(name: str, mapped: MappedType) -> str | None:
    """A key that goes with a call which the type does not become, or one that such a call needs."""
    rule = changed(name, mapped)
    for key, call in _GOES_WITH.items():
        if getattr(mapped, key) is not None and call not in rule.calls:
            return f"{key}: goes with the call {call!r} only; here it is {_listed(rule.calls) or repr(_OFF)}"
    if "alias" in rule.calls and rule.previous_id is None:
        return "previous_id: is required with the call 'alias': the field of data that holds the user's former id"
    return None


def _wrong_field(name: str, mapped: MappedType, traits: Collection[str]) -> str | None:
    """A field that may not be told, or that the type does not have."""
    data_model = known_types().get(name)
    for key, field in mapped.fields:
        if trait := _not_allowed(field, traits):
            return f'{key}: {field!r} is about a person; traits = ["{trait}"] would allow it'
        if data_model is not None and field not in data_model.model_fields:
            return f"{key}: {field!r} is no field of its data{nearest(field, data_model.model_fields)}"
    return None


def _not_allowed(field: str, traits: Collection[str]) -> str | None:
    """The trait that ``field`` wants and does not have."""
    return next((trait for trait, names in PERSONAL.items() if field in names and trait not in traits), None)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
