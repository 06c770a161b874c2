"""`catalog`."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from supertokens_events.catalog import builtin_types


def test_catalog_lists_every_type(empty):
    """Every event type is listed with what happened, without a configuration."""
    listed = {line["type"]: line for line in empty.lines("catalog")}

    assert listed.keys() == {data_model.event_type for data_model in builtin_types()}
    assert listed["user.created"]["summary"] == "A user exists now that did not exist before."
    assert listed["session.refreshed"]["high_volume"] is True


def test_catalog_as_data(empty):
    """Every line has an example and the JSON Schema that it fits."""
    for line in empty.lines("catalog"):
        Draft202012Validator.check_schema(line["schema"])
        Draft202012Validator(line["schema"]).validate(line["example"])
        assert {"type", "summary", "schema_version", "high_volume"} < line.keys()


def test_catalog_fits_80_columns(empty):
    """The table keeps to 80 columns and breaks no event type."""
    lines = empty.run("catalog").stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert all(any(line.startswith(data_model.event_type) for line in lines) for data_model in builtin_types())


def test_one_type_is_shown_with_its_fields(empty):
    """A type has its fields with required ones and enum values, an example and a JSON Schema."""
    (shown,) = empty.lines("catalog", "user.sign_in.failed")

    fields = {field["name"]: field for field in shown["fields"]}
    assert fields["method"]["required"] is True
    assert "wrong_credentials" in fields["reason"]["values"]
    assert (fields["email"]["type"], fields["email"]["required"]) == ("string", False)
    assert shown["example"]["reason"] == "wrong_credentials"
    assert shown["schema"]["type"] == "object"


@pytest.mark.parametrize("data_model", builtin_types(), ids=lambda data_model: data_model.event_type)
def test_every_type_can_be_read(empty, data_model):
    """Every type prints its summary, each of its fields and its example."""
    result = empty.run("catalog", data_model.event_type)

    assert result.exit_code == 0
    assert data_model.summary() in " ".join(result.stdout.split())
    assert [name for name in data_model.model_fields if f"\n{name} " not in result.stdout] == []


def test_an_unknown_type_offers_the_nearest(empty):
    """A misspelt type exits 2 with the nearest known one."""
    result = empty.run("catalog", "user.craeted")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "there is no event type 'user.craeted' in the catalog, did you mean 'user.created'?\n"


def test_types_of_plugins_are_listed(empty):
    """An event type that a plugin registers stands beside the built-in ones."""
    empty.install(
        "invitations",
        """
        from supertokens_events import hookimpl
        from supertokens_events.catalog import EventData

        class Accepted(EventData):
            "Somebody accepted an invitation."
            event_type = "app.invitation.accepted"
            example = {"team": "blue"}
            team: str

        @hookimpl
        def register_event_types():
            return [Accepted]
        """,
    )

    (shown,) = empty.lines("catalog", "app.invitation.accepted")

    assert shown["fields"] == [{"name": "team", "type": "string", "required": True, "values": []}]
