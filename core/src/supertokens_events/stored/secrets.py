"""Where secrets stand in a sink's table, so that none is stored readable or shown again.

A text is one when the sink type's JSON Schema says ``format: password`` where it stands, when it is behind a ``SecretStr`` of
the checked settings, and when it is a URL with credentials or a query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.errors import PydanticUserError

from supertokens_events.config.model import CommonSinkKeys
from supertokens_events.sink import Sink
from supertokens_events.urls import without_secrets

__all__ = ["ENCRYPTED", "is_encrypted", "plain_secrets", "replaced"]

ENCRYPTED = "encrypted"
"""``{"encrypted": "…"}`` stands where a secret was."""

_Schema = Mapping[str, Any]
_BRANCHES = ("anyOf", "oneOf", "allOf", "prefixItems")


def is_encrypted(value: Any) -> bool:
    """Whether ``value`` stands for a secret that was encrypted."""
    return isinstance(value, Mapping) and list(value) == [ENCRYPTED] and isinstance(value[ENCRYPTED], str)


def plain_secrets(
    sink_type: type[Sink[Any]] | None, settings: BaseModel | None, table: Mapping[str, Any]
) -> set[tuple[str, str]]:
    """Every secret that stands in ``table`` as it is: its key, such as ``headers.authorization``, and the text."""
    schema = _schema(sink_type)
    found: set[tuple[str, str]] = set()
    known = set(_texts(settings))
    for key, text, places in _leaves("", _own(table), [*_flat(schema, schema)], schema):
        if text in known or any(_is_password(place) for place in places) or without_secrets(text) != text:
            found.add((key, text))
    return found


def replaced(value: Any, replace: Callable[[str, Any], Any], key: str = "") -> Any:
    """``value`` with what ``replace`` makes of each text in it, and of each encrypted one; it is given their keys, too."""
    if isinstance(value, str) or is_encrypted(value):
        return replace(key, value)
    if isinstance(value, Mapping):
        return {name: replaced(item, replace, _inside(key, name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(item, replace, f"{key}[{number}]") for number, item in enumerate(value)]
    return value


def _own(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name not in CommonSinkKeys.model_fields}


def _inside(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def _leaves(
    key: str, value: Any, places: Sequence[_Schema], root: _Schema
) -> Iterator[tuple[str, str, Sequence[_Schema]]]:
    """Every text, its key, and what the schema says where it stands. A reference is none, and leads to none."""
    match value:
        case str():
            yield key, value, places
        case {"env": str(), **rest} | {"file": str(), **rest} | {"encrypted": str(), **rest} if not rest:
            return
        case Mapping():
            for name, item in value.items():
                yield from _leaves(_inside(key, name), item, [*_of_field(places, str(name), root)], root)
        case list() | tuple():
            for number, item in enumerate(value):
                yield from _leaves(f"{key}[{number}]", item, [*_of_items(places, root)], root)


def _schema(sink_type: type[Sink[Any]] | None) -> _Schema:
    try:
        return {} if sink_type is None else sink_type.Settings.model_json_schema()
    except PydanticUserError:  # it has a type of its own that says nothing of JSON
        return {}


def _flat(node: Any, root: _Schema) -> Iterator[_Schema]:
    """A schema, what it refers to, and its branches."""
    if not isinstance(node, Mapping):
        return
    yield node
    if isinstance(reference := node.get("$ref"), str):
        yield from _flat(root.get("$defs", {}).get(reference.rpartition("/")[2]), root)
    for word in _BRANCHES:
        for branch in node.get(word, ()):
            yield from _flat(branch, root)


def _of_field(places: Sequence[_Schema], name: str, root: _Schema) -> Iterator[_Schema]:
    for place in places:
        yield from _flat(place.get("properties", {}).get(name, place.get("additionalProperties")), root)


def _of_items(places: Sequence[_Schema], root: _Schema) -> Iterator[_Schema]:
    for place in places:
        yield from _flat(place.get("items"), root)


def _is_password(place: _Schema) -> bool:
    return place.get("format") == "password" or place.get("writeOnly") is True


def _texts(value: Any) -> Iterator[str]:
    """The texts behind every secret of checked settings."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case SecretBytes():
            yield value.get_secret_value().decode(errors="replace")
        case BaseModel():
            for _, item in value:
                yield from _texts(item)
        case Mapping():
            for item in value.values():
                yield from _texts(item)
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from _texts(item)
