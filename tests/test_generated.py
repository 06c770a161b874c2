"""What is made from the catalog is up to date, and says what independent validators take for valid."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from supertokens_events.catalog import Catalog, builtin_types

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs/reference"
TYPES = [data_model.event_type for data_model in Catalog(builtin_types())]


def texts(*names: str) -> dict[str, Any]:
    return {name: {"type": "string"} for name in names}


REFERENCE_OBJECT = {
    "type": "object",
    "required": ["$ref"],
    "properties": {"$ref": {"type": "string"}},
    "maxProperties": 1,
}
KEYS = {"propertyNames": {"pattern": r"^[\w.\-]+$"}}

# The objects of AsyncAPI 3.0.0 that the document uses, with all their fields and no others; no package of PyPI has the
# official schema. Schema Objects are checked against draft 7, of which they are a superset.
MESSAGE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["payload"],
    "properties": {
        **texts("name", "title", "summary", "description", "contentType"),
        "payload": {"$ref": "http://json-schema.org/draft-07/schema#"},
        "tags": {"type": "array", "items": {"type": "object", "required": ["name"]}},
        "examples": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "anyOf": [{"required": ["payload"]}, {"required": ["headers"]}],
                "properties": {"name": {"type": "string"}, "summary": {"type": "string"}, "payload": {}, "headers": {}},
            },
        },
    },
    "patternProperties": {r"^x-[\w.\-]+$": {}},
}
ASYNCAPI = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["asyncapi", "info"],
    "additionalProperties": False,
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {
            "type": "object",
            "required": ["title", "version"],
            "additionalProperties": False,
            "properties": {
                **texts("title", "version", "description", "termsOfService"),
                "license": {"type": "object", "required": ["name"]},
            },
        },
        "defaultContentType": {"type": "string"},
        "channels": {
            **KEYS,
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "address": {"type": ["string", "null"]},
                    **texts("title", "summary", "description"),
                    "messages": {**KEYS, "additionalProperties": REFERENCE_OBJECT},
                },
            },
        },
        "operations": {
            **KEYS,
            "additionalProperties": {
                "type": "object",
                "required": ["action", "channel"],
                "additionalProperties": False,
                "properties": {
                    "action": {"enum": ["send", "receive"]},
                    "channel": REFERENCE_OBJECT,
                    **texts("title", "summary", "description"),
                    "messages": {"type": "array", "items": REFERENCE_OBJECT},
                },
            },
        },
        "components": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "messages": {**KEYS, "additionalProperties": MESSAGE},
                "schemas": {**KEYS, "additionalProperties": {"$ref": "http://json-schema.org/draft-07/schema#"}},
            },
        },
    },
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads((REFERENCE / "asyncapi.json").read_text(encoding="utf-8"))


@pytest.fixture
def generate(tmp_path, monkeypatch):
    """The generator, which writes into a folder of the test's own."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "SCHEMAS", tmp_path / "schemas")
    return module


# Up to date


@pytest.mark.skipif(version("supertokens-python") != "0.31.4", reason="the coverage of another SDK is another")
def test_what_is_committed_is_up_to_date():
    """The pages, the schemas and the AsyncAPI document are what the code makes now."""
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_out_of_date_is_named(generate, tmp_path):
    """A file that is missing, changed or of a type that is gone is found, and made anew or removed."""
    generate.write(generate.documents())
    assert generate.stale(generate.documents()) == []
    changed, missing, gone = (tmp_path / name for name in ("events.md", "asyncapi.json", "schemas/app.gone.json"))
    changed.write_text("# Other events")
    missing.unlink()
    gone.write_text("{}")

    assert set(generate.stale(generate.documents())) == {changed, missing, gone}
    generate.write(generate.documents())
    assert generate.stale(generate.documents()) == []
    assert not gone.exists()


def test_the_page_has_every_type():
    """Each event type has a heading of its own, its summary, its fields, its reasons and its example."""
    page = (REFERENCE / "events.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in page.split("\n### ")[1:]}

    assert set(TYPES) <= sections.keys()
    for data_model in builtin_types():
        section = sections[data_model.event_type]
        assert data_model.summary().replace("``", "`") in section
        assert all(f"| `{name}` |" in section for name in data_model.model_fields)
        if "reason" in data_model.model_fields:
            assert all(f"- `{reason.value}`" in section for reason in data_model.model_fields["reason"].annotation)


# One JSON Schema for each type


def test_there_is_a_schema_for_every_type():
    """Each event type has a file of its own with the schema of a whole event, and there are no others."""
    assert sorted(path.stem for path in (REFERENCE / "schemas").glob("*.json")) == TYPES


@pytest.mark.parametrize("name", TYPES)
def test_a_schema_takes_its_type_only(name, document):
    """A schema is valid 2020-12, takes the example of its type, and refuses that of another."""
    schema = json.loads((REFERENCE / f"schemas/{name}.json").read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    another = TYPES[TYPES.index(name) - 1]

    Draft202012Validator.check_schema(schema)
    assert schema["title"] == name
    assert [error.message for error in validator.iter_errors(example_of(name, document))] == []
    assert not validator.is_valid(example_of(another, document))


# AsyncAPI


def test_the_document_is_asyncapi(document):
    """The document has the objects of AsyncAPI 3.0.0 that it uses, with their required fields and no unknown ones."""
    Draft7Validator.check_schema(ASYNCAPI)

    assert [f"{error.json_path}: {error.message}" for error in Draft7Validator(ASYNCAPI).iter_errors(document)] == []


def test_every_reference_leads_somewhere(document):
    """Every `$ref` points into the document, and what an operation sends is in its channel."""
    for reference in references(document):
        assert resolved(reference, document)
    for operation in document["operations"].values():
        channel = operation["channel"]["$ref"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])


def test_every_type_is_a_message(document):
    """One message for each event type, in the channel and in the operation; its type is its own."""
    messages = document["components"]["messages"]

    assert list(messages) == TYPES
    assert list(document["channels"]["events"]["messages"]) == TYPES
    assert len(document["operations"]["deliver"]["messages"]) == len(TYPES)
    assert [message["payload"]["allOf"][1]["properties"]["type"]["const"] for message in messages.values()] == TYPES


@pytest.mark.parametrize("name", TYPES)
def test_a_message_takes_its_example_only(name, document):
    """A message's payload takes its example, the envelope included, and not that of another type."""
    validator = Draft7Validator({**document, "$ref": f"#/components/messages/{name}/payload"})
    another = TYPES[TYPES.index(name) - 1]

    assert [error.message for error in validator.iter_errors(example_of(name, document))] == []
    assert not validator.is_valid(example_of(another, document))
    assert not validator.is_valid({key: value for key, value in example_of(name, document).items() if key != "id"})


def example_of(name: str, document: dict[str, Any]) -> dict[str, Any]:
    (example,) = document["components"]["messages"][name]["examples"]
    return example["payload"]


def references(value: Any):
    match value:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for item in value.values():
                yield from references(item)
        case list():
            for item in value:
                yield from references(item)


def resolved(reference: str, document: Any) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document
