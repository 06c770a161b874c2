"""Event types as JSON Schema 2020-12, in the words of their own docstrings.

What is published is open: an optional field may be added without another ``schema_version``, so whoever reads an event
must let a field pass that they do not know.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from supertokens_events.catalog.base import EventData
from supertokens_events.event import Event

__all__ = ["attribute_docs", "data_schema", "definitions", "event_example", "event_schema", "in_markdown"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

EXAMPLE: Mapping[str, Any] = {
    "id": "evt_01JD7Q3K5X9V0W1Y2Z3A4B5C6D",
    "timestamp": "2026-11-23T07:15:22.104533Z",
    "source": "https://api.example.com",
    "tenant_id": "public",
    "user_id": "5d2f7c14-3b8e-4f0a-8e21-9a6c0d4b7e35",
    "correlation_id": "cor_01JD7Q3K5W8T6R4P2N0M9K7H5F",
    "actor": {"type": "user", "user_id": "5d2f7c14-3b8e-4f0a-8e21-9a6c0d4b7e35"},
    "context": {"ip": "203.0.113.7", "user_agent": "Mozilla/5.0", "method": "POST", "path": "/auth/signin"},
    "sequence": 1042,
}


def data_schema(data_model: type[EventData]) -> dict[str, Any]:
    """The schema of a type's ``data``."""
    return {"$schema": DIALECT, **_titled(data_model.model_json_schema(schema_generator=_Generator), data_model)}


def event_schema(data_model: type[EventData]) -> dict[str, Any]:
    """The schema of a whole event of this type, as a receiver gets it."""
    data, envelope = data_schema(data_model), _envelope(Event.model_json_schema(schema_generator=_Generator))
    shared = {**envelope.pop("$defs", {}), **data.pop("$defs", {})}
    fields = envelope["properties"]
    fields["type"] |= {"const": data_model.event_type}
    fields["schema_version"] |= {"const": data_model.schema_version}
    fields["data"] = _without(data, "$schema", "title", "description")
    return {
        "$schema": DIALECT,
        **envelope,
        "title": data_model.event_type,
        "description": data["description"],
        "$defs": shared,
    }


def event_example(data_model: type[EventData]) -> dict[str, Any]:
    """A whole event of this type, with the type's example as its data."""
    head = {"id": EXAMPLE["id"], "type": data_model.event_type, "timestamp": EXAMPLE["timestamp"]}
    return {**head, "schema_version": data_model.schema_version, **EXAMPLE, "data": dict(data_model.example)}


def definitions(data_models: Iterable[type[EventData]], ref_template: str) -> dict[str, dict[str, Any]]:
    """The schemas of these types, of the envelope and of all that they share, by the names of their classes."""
    models: list[type[BaseModel]] = [Event, *data_models]
    _, document = models_json_schema(
        [(model, "validation") for model in models], schema_generator=_Generator, ref_template=ref_template
    )
    schemas: dict[str, dict[str, Any]] = document["$defs"]
    schemas["Event"] = _envelope(schemas["Event"])
    for model in models[1:]:
        schemas[model.__name__] = _titled(schemas[model.__name__], model)
    return schemas


def _envelope(schema: dict[str, Any]) -> dict[str, Any]:
    """Of the event itself, which is complete but for the ``sequence`` of one that is not stored yet. What is not known of
    an event is null, unlike what is not known of its data.
    """
    properties = {name: _without(field, "default") for name, field in schema["properties"].items()}
    for name, field in Event.model_fields.items():
        if field.default is None and name != "sequence":
            properties[name]["type"] = [properties[name]["type"], "null"]
    return {**schema, "properties": properties, "required": [name for name in properties if name != "sequence"]}


def _titled(schema: dict[str, Any], data_model: Any) -> dict[str, Any]:
    return {**schema, "title": data_model.event_type}


def _without(schema: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in keys}


class _Generator(GenerateJsonSchema):
    """Descriptions from attribute docstrings, no titles that repeat the names of fields, open objects, and no null: what is
    not known is left out of an event.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.enums: dict[str, type[Enum]] = {}

    def generate(self, schema: Any, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
        document = super().generate(schema, mode)
        self._tell_values(document.get("$defs", {}))
        return document

    def generate_definitions(self, inputs: Any) -> Any:
        references, shared = super().generate_definitions(inputs)
        self._tell_values(shared)
        return references, shared

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        return False

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: Any) -> dict[str, Any]:
        json_schema = super().default_schema(schema)
        if json_schema.get("default", ...) is None:
            del json_schema["default"]
        return json_schema

    def model_schema(self, schema: Any) -> dict[str, Any]:
        json_schema = super().model_schema(schema)
        json_schema.pop("additionalProperties", None)
        if "description" in json_schema:
            json_schema["description"] = in_markdown(json_schema["description"])
        docs = attribute_docs(schema["cls"])
        for name, field in json_schema.get("properties", {}).items():
            if name in docs:
                field["description"] = docs[name]
        return json_schema

    def enum_schema(self, schema: Any) -> dict[str, Any]:
        self.enums[schema["cls"].__name__] = schema["cls"]
        return super().enum_schema(schema)

    def _tell_values(self, schemas: Mapping[Any, dict[str, Any]]) -> None:
        """Into the description of each enumeration, where the values are read with what they mean."""
        for name, schema in schemas.items():
            if name in self.enums:
                schema["description"] = _told(self.enums[name])


def _told(enum: type[Enum]) -> str:
    docs = attribute_docs(enum)
    values = [f"- `{member.value}`: {docs[member.name]}" for member in enum if member.name in docs]
    return "\n\n".join([in_markdown(enum.__doc__ or ""), *(["\n".join(values)] if values else [])])


def in_markdown(docstring: str) -> str:
    """A docstring without its line breaks and with its code in Markdown."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).replace("``", "`")


@cache
def attribute_docs(cls: type) -> Mapping[str, str]:
    """What the docstrings below a class's attributes say, the inherited ones included. Without its source: nothing."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, BaseModel | Enum) and base.__module__.partition(".")[0] not in {"pydantic", "enum"}:
            docs |= _own_docs(base)
    return docs


def _own_docs(cls: type) -> dict[str, str]:
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        name: in_markdown(following.value.value)
        for statement, following in pairwise(body)
        if (name := _assigned(statement)) is not None
        and isinstance(following, ast.Expr)
        and isinstance(following.value, ast.Constant)
        and isinstance(following.value.value, str)
    }


def _assigned(statement: ast.stmt) -> str | None:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return None
