"""``catalog``: the event types, and what each one promises."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from supertokens_events.cli.group import Mistake
from supertokens_events.cli.output import json_option, print_json, print_table
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.catalog import Catalog, EventData

__all__ = ["catalog"]


@click.command()
@click.argument("event_type", metavar="[TYPE]", required=False)
@json_option
@pass_project
def catalog(project: Project, *, event_type: str | None, as_json: bool) -> None:
    """The event types, or all about one of them.

    With TYPE its fields, an example and its JSON Schema. With --json each type has its example and its JSON Schema.
    """
    known = project.plugins.catalog
    if event_type is not None:
        _show(_find(known, event_type), as_json=as_json)
    elif as_json:
        for data_model in known:
            print_json(_facts(data_model))
    else:
        print_table(["type", "what happened"], [(data_model.event_type, _what(data_model)) for data_model in known])


def _find(known: Catalog, event_type: str) -> type[EventData]:
    found = known.get(event_type)
    if found is None:
        nearest = known.nearest(event_type)
        hint = f", did you mean {nearest!r}?" if nearest else "; 'supertokens-events catalog' lists all"
        raise Mistake(f"there is no event type {event_type!r} in the catalog{hint}")
    return found


def _facts(data_model: type[EventData]) -> dict[str, Any]:
    from supertokens_events.catalog.schema import data_schema

    return {
        "type": data_model.event_type,
        "summary": data_model.summary(),
        "schema_version": data_model.schema_version,
        "high_volume": data_model.high_volume,
        "example": data_model.example,
        "schema": data_schema(data_model),
    }


def _what(data_model: type[EventData]) -> str:
    return data_model.summary() + (" (high-volume: off by default)" if data_model.high_volume else "")


# One type --------------------------------------------------------------------------------------------------------------


def _show(data_model: type[EventData], *, as_json: bool) -> None:
    facts = _facts(data_model)
    fields = list(_fields(facts["schema"]))
    if as_json:
        print_json({**facts, "fields": fields})
        return
    click.echo(
        f"{data_model.event_type}, version {data_model.schema_version}\n\n{inspect.cleandoc(data_model.__doc__ or '')}\n"
    )
    if data_model.high_volume:
        click.echo("High-volume: stored only when [capture] events asks for it.\n")
    print_table(["field", "type", "required", "values"], map(_row, fields))
    click.echo(f"\nexample\n{_indented(data_model.example)}\n\nJSON Schema\n{_indented(facts['schema'])}")


def _fields(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    definitions, required = schema.get("$defs", {}), schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        variants = [_resolved(variant, definitions) for variant in field.get("anyOf", [field])]
        yield {
            "name": name,
            "type": " or ".join(str(variant.get("type", "any")) for variant in variants),
            "required": name in required,
            "values": [value for variant in variants for value in variant.get("enum", [])],
        }


def _resolved(field: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = field.get("$ref", "")
    found: Mapping[str, Any] = definitions.get(reference.rpartition("/")[2], field)
    return found


def _row(field: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return field["name"], field["type"], "yes" if field["required"] else "no", ", ".join(map(str, field["values"]))


def _indented(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
