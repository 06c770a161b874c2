"""Makes what follows from the code: pages of the reference, JSON Schemas, an AsyncAPI document.

python docs/generate.py            writes them
python docs/generate.py --check    says which are out of date, with exit code 1
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from supertokens_events import hookspecs
from supertokens_events.capture.coverage import Treatment, coverage
from supertokens_events.catalog import Catalog, EventData, builtin_types
from supertokens_events.catalog.asyncapi import asyncapi
from supertokens_events.catalog.schema import (
    attribute_docs,
    data_schema,
    event_example,
    event_schema,
    in_markdown,
)
from supertokens_events.event import Event
from supertokens_events.ledger import Reason

FOLDER = Path(__file__).parent / "reference"
SCHEMAS = FOLDER / "schemas"
NOTE = "<!-- Made by `nox -s generate`. What it says stands in docstrings of `supertokens_events.{package}`. -->\n"

KINDS = {"function": "function", "api": "frontend API", "method": "method"}


def documents() -> dict[Path, str]:
    """Every file that is made, with its text."""
    types = list(Catalog(builtin_types()))
    return {
        FOLDER / "events.md": events_page(types),
        FOLDER / "coverage.md": coverage_page(coverage()),
        FOLDER / "hooks.md": hooks_page(),
        FOLDER / "ledger.md": ledger_page(),
        FOLDER / "asyncapi.json": in_json(asyncapi(types)),
        **{SCHEMAS / f"{data_model.event_type}.json": in_json(event_schema(data_model)) for data_model in types},
    }


def stale(made: Mapping[Path, str]) -> list[Path]:
    """Files that are missing, differ, or belong to no type any more."""
    odd = [path for path in SCHEMAS.glob("*.json") if path not in made]
    return odd + [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def write(made: Mapping[Path, str]) -> None:
    SCHEMAS.mkdir(exist_ok=True)
    for path in stale(made):
        if path in made:
            path.write_text(made[path], encoding="utf-8")
        else:
            path.unlink()


def in_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def lines(*parts: Iterable[str] | str) -> str:
    """Parts of a page, with an empty line between them."""
    texts = [part if isinstance(part, str) else "\n".join(part) for part in parts]
    return "\n\n".join(text.rstrip("\n") for text in texts if text) + "\n"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    written = [list(row) for row in rows]
    columns = list(head)
    ruled = [columns, ["---"] * len(columns), *written]
    return (
        "\n".join("| " + " | ".join(cell.replace("\n", " ") for cell in row) + " |" for row in ruled) if written else ""
    )


def link(heading: str) -> str:
    """To a heading of the same page."""
    return f"[`{heading}`](#{re.sub(r'[^a-z0-9_-]', '', heading.lower())})"


# Events ---------------------------------------------------------------------------------------------------------------


def events_page(types: list[type[EventData]]) -> str:
    domains = {
        domain: sorted(models, key=lambda data_model: data_model.event_type)
        for domain, models in groupby(sorted(types, key=domain_of), key=domain_of)
    }
    return lines(
        NOTE.format(package="catalog"),
        "# Events",
        f"{len(types)} event types. Each has a JSON Schema of the whole event, `schemas/TYPE.json` beside this page; together "
        "they are an AsyncAPI 3 document, [asyncapi.json](asyncapi.json). `supertokens-events catalog --json` prints the "
        "same, with the types of your plugins.",
        "What is not known of an event is left out of its `data`. A new version may bring fields and types that you do not "
        "know: let them pass.",
        "## Every event",
        in_markdown(Event.__doc__ or ""),
        fields_table(event_schema(types[0])),
        f"```json\n{in_json(event_example(next(m for m in types if m.event_type == 'user.created')))}```",
        *(section for domain, models in domains.items() for section in domain_sections(domain, models)),
        "## Shared values",
        *shared_sections(types),
    )


def domain_of(data_model: type[EventData]) -> str:
    return data_model.__module__


def domain_sections(domain: str, types: list[type[EventData]]) -> Iterator[str]:
    title, _, rest = in_markdown(import_module(domain).__doc__ or "").partition(": ")
    yield f"## {title}"
    yield rest[:1].upper() + rest[1:]
    yield table(["type", "what happened"], ((link(m.event_type), in_markdown(m.summary())) for m in types))
    for data_model in types:
        yield from type_sections(data_model)


def type_sections(data_model: type[EventData]) -> Iterator[str]:
    yield f"### {data_model.event_type}"
    yield in_markdown(data_model.__doc__ or "")
    if data_model.high_volume:
        yield "Off by default: `[capture] events` has to name it."
    yield fields_table(data_schema(data_model)) or "It has no `data` of its own."
    if "reason" in data_model.model_fields:
        yield reasons(data_model)
    if data_model.example:
        yield f"```json\n{in_json(data_model.example)}```"


def fields_table(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", [])
    return table(
        ["field", "type", "meaning"],
        (
            [f"`{name}`", type_in_words(name, field, name in required), field.get("description", "")]
            for name, field in schema.get("properties", {}).items()
        ),
    )


def type_in_words(name: str, field: Mapping[str, Any], required: bool) -> str:
    told = "one of the reasons below" if name == "reason" else type_of(field)
    return told if required else f"{told}, optional"


def type_of(field: Mapping[str, Any]) -> str:
    match field:
        case {"$ref": reference}:
            return link(reference.rpartition("/")[2])
        case {"type": "array", "items": items}:
            return f"array of {type_of(items)}"
        case {"type": list(names)}:
            return " or ".join(names)
        case {"const": value}:
            return type(value).__name__.replace("str", "string").replace("int", "integer")
        case _:
            return str(field.get("type", "any"))


def reasons(data_model: type[EventData]) -> str:
    enum = reason_of(data_model)
    docs = attribute_docs(enum)
    told = [f"- `{member.value}`" + (f": {docs[member.name]}" if member.name in docs else "") for member in enum]
    return "\n".join(["Reasons:", "", *told])


def reason_of(data_model: type[EventData]) -> Any:
    """The enumeration."""
    return data_model.model_fields["reason"].annotation


def shared_sections(types: list[type[EventData]]) -> Iterator[str]:
    """What fields refer to, but for reasons, which stand where they are given."""
    shared: dict[str, Any] = {}
    told: set[str] = set()
    for data_model in types:
        shared |= event_schema(data_model)["$defs"]
        if "reason" in data_model.model_fields:
            told.add(reason_of(data_model).__name__)
    for name, schema in sorted(shared.items()):
        if name in told:
            continue
        yield f"### {name}"
        yield schema.get("description", "")
        if "enum" in schema:
            yield "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
        yield fields_table(schema)


# Coverage -------------------------------------------------------------------------------------------------------------


def coverage_page(treatments: list[Treatment]) -> str:
    telling = sum(bool(treatment.events) for treatment in treatments)
    return lines(
        NOTE.format(package="capture"),
        "# Coverage",
        f"What becomes of each function of `supertokens-python` {version('supertokens-python')}: the events that it can "
        f"bring, or the reason why it brings none. {telling} of {len(treatments)} bring events. A test compares this list "
        "with the installed SDK, so that a function of a new version is noticed.",
        "A frontend API function tells what went wrong before the function that it calls was reached; that function tells "
        "what happened, whoever called it.",
        *(
            section
            for recipe, rows in groupby(treatments, key=lambda treatment: treatment.function.recipe)
            for section in (f"## {recipe}", table(["function", "kind", "events, or why not"], map(row_of, rows)))
        ),
    )


def row_of(treatment: Treatment) -> list[str]:
    events = ", ".join(f"`{event_type}`" for event_type in treatment.events)
    return [f"`{treatment.function.name}`", KINDS[treatment.function.kind], events or treatment.because or "**missed**"]


# The ledger -----------------------------------------------------------------------------------------------------------


def ledger_page() -> str:
    docs = attribute_docs(Reason)
    return lines(
        NOTE.format(package="ledger"),
        "# The ledger",
        "Counts of everything that did not become a delivery, and of every failure of ours: by reason, by subject (what it is "
        "about, where that has a name) and by event type, with the time of the first and of the last. "
        "`supertokens-events status` shows them, its `--json` prints them.",
        "A count is in memory until the outbox takes it, which is soon after; while the outbox is not available it waits. "
        "`[outbox.retention]` says how long a line is kept after its last count: for ever, unless told otherwise.",
        table(["reason", "means"], ([f"`{reason}`", docs[reason.name]] for reason in Reason)),
    )


# Hooks ----------------------------------------------------------------------------------------------------------------


def hooks_page() -> str:
    hooks = hooks_of(hookspecs)
    return lines(
        NOTE.format(package="hookspecs"),
        "# Hooks",
        "Every function that the core calls by name in a plugin. [Hooks](../guide/hooks.md) tells how to write one.",
        f"This is version {hookspecs.API} of the contract: `{hookspecs.API_ATTRIBUTE} = {hookspecs.API}` beside the hooks says "
        "that a plugin was made for it. See [The version of the contract](../guide/hooks.md#the-version-of-the-contract).",
        "A hook takes the arguments that it needs, by these names; it may leave out the others. It is a plain function: an "
        "`async def` is refused.",
        table(["hook", ""], ([link(name), first_sentence(hook)] for name, hook in hooks)),
        *(section for name, hook in hooks for section in hook_sections(name, hook)),
    )


def hooks_of(module: Any) -> list[tuple[str, Any]]:
    """In the order of the source, which is that of an event's way."""
    marked = (item for item in vars(module).items() if hasattr(item[1], f"{module.PROJECT}_spec"))
    return [(name, hook) for name, hook in marked if inspect.isfunction(hook)]


def hook_sections(name: str, hook: Any) -> Iterator[str]:
    yield f"## {name}"
    yield f"```py\n@hookimpl\n{declaration(name, inspect.signature(hook))}\n```"
    yield in_markdown(hook.__doc__)


def declaration(name: str, signature: inspect.Signature) -> str:
    """As a plugin would write it, an argument a line where there are many."""
    arguments = [f"{argument.name}: {argument.annotation}" for argument in signature.parameters.values()]
    listed = (
        ", ".join(arguments) if len(arguments) < 4 else "".join(f"\n    {argument}," for argument in arguments) + "\n"
    )
    return f"def {name}({listed}) -> {signature.return_annotation}: ..."


def first_sentence(hook: Any) -> str:
    return re.split(r"(?<=[.:]) ", in_markdown(hook.__doc__).partition("\n")[0])[0].rstrip(".:")


def main() -> None:
    made = documents()
    found = stale(made)
    if "--check" not in sys.argv:
        write(made)
    elif found:
        sys.exit("\n".join(["out of date; run `nox -s generate`:", *(str(path.relative_to(FOLDER)) for path in found)]))


if __name__ == "__main__":
    main()
