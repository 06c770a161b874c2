"""The catalog as data: schemas that independent validators read, in the words of the docstrings."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from supertokens_events.catalog import Catalog, EventData, builtin_types
from supertokens_events.catalog.asyncapi import asyncapi
from supertokens_events.catalog.schema import attribute_docs, data_schema, event_example, event_schema
from supertokens_events.catalog.user import LoginMethod, SignInFailure, UserSignInFailed
from supertokens_events.event import Actor, Event, with_sequence
from supertokens_events.testing import sample_event

every_type = pytest.mark.parametrize("data_model", Catalog(builtin_types()), ids=lambda model: model.event_type)


class Accepted(EventData):
    """Somebody accepted an invitation. It was ``app.invitation.sent`` before."""

    event_type = "app.invitation.accepted"
    example = {"team": "blue"}

    team: str
    """Which one,
    by its name in ``lower_case``."""
    note: str | None = None


def problems(schema, instance):
    Draft202012Validator.check_schema(schema)
    return [error.message for error in Draft202012Validator(schema).iter_errors(instance)]


@every_type
def test_an_example_fits_its_schema(data_model):
    """A type's schema is valid 2020-12, and its example fits: the data alone, and the whole event."""
    assert problems(data_schema(data_model), dict(data_model.example)) == []
    assert problems(event_schema(data_model), event_example(data_model)) == []


@every_type
def test_an_event_fits_as_it_is_sent(data_model):
    """The bytes that a sink gets fit the schema, before and after they have a sequence."""
    body = sample_event(data_model.event_type, actor=Actor(type="system")).to_bytes()

    assert problems(event_schema(data_model), json.loads(body)) == []
    assert problems(event_schema(data_model), json.loads(with_sequence(body, 7))) == []


@every_type
def test_what_is_missing_does_not_fit(data_model):
    """Data without a promised field, and an event of another type, are refused."""
    promised = data_schema(data_model).get("required", [])
    whole = event_example(data_model)

    assert all(
        problems(data_schema(data_model), {k: v for k, v in data_model.example.items() if k != name})
        for name in promised
    )
    assert problems(event_schema(data_model), {**whole, "type": "app.other"})
    assert problems(event_schema(data_model), {**whole, "schema_version": data_model.schema_version + 1})


@every_type
def test_names(data_model):
    """Fields are in snake case; the first sentence of a type's docstring is its summary, and a short one."""
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in data_model.model_fields)
    assert len(data_model.summary()) <= 130


@every_type
def test_a_failure_has_a_closed_reason(data_model):
    """A type of failure has a reason from a closed set that has room for what nobody foresaw."""
    if data_model.event_type.endswith("failed"):
        reasons = set(data_model.model_fields["reason"].annotation)
        assert reasons & {"error", "other"}


def test_a_schema_is_open():
    """A field that a later version brings is let pass: receivers do not break when one is added."""
    assert problems(data_schema(UserSignInFailed), {**UserSignInFailed.example, "new_field": 1}) == []


def test_a_reason_outside_the_set():
    """A reason that is not in the closed set does not fit."""
    assert problems(data_schema(UserSignInFailed), {**UserSignInFailed.example, "reason": "bad_hair"})


def test_no_null():
    """What is not known is left out of the data: no field of it may be null, while those of the event itself may."""
    schema = event_schema(UserSignInFailed)

    assert schema["properties"]["user_id"]["type"] == ["string", "null"]
    assert "null" not in json.dumps(data_schema(UserSignInFailed))
    assert Event(type="app.said").to_bytes().count(b"null") == 4


def test_descriptions_are_docstrings():
    """Docstrings below fields and values become descriptions, in Markdown and on one line."""
    schema = data_schema(Accepted)

    assert schema["description"] == "Somebody accepted an invitation. It was `app.invitation.sent` before."
    assert schema["properties"]["team"]["description"] == "Which one, by its name in `lower_case`."
    assert "description" not in schema["properties"]["note"]
    assert (
        "- `expired_code`: A one-time code that came too late."
        in data_schema(UserSignInFailed)["$defs"]["SignInFailure"]["description"]
    )
    assert attribute_docs(SignInFailure)["ERROR"].startswith("Something raised")
    assert attribute_docs(LoginMethod) == {}


def test_a_type_without_source():
    """A type that was made without a file has a schema all the same."""
    space = {"EventData": EventData}
    exec(
        'class Odd(EventData):\n    "Odd."\n    event_type = "app.odd"\n    example = {"n": 1}\n    n: int\n    "Lost."',
        space,
    )

    assert data_schema(space["Odd"])["properties"] == {"n": {"type": "integer"}}


def test_the_types_of_a_plugin_in_asyncapi():
    """An app makes the document for its own types too."""
    document = asyncapi([Accepted])

    assert list(document["components"]["schemas"]) == ["Accepted", "Actor", "Context", "Event"]
    assert document["components"]["messages"]["app.invitation.accepted"]["examples"][0]["payload"]["data"] == {
        "team": "blue"
    }
