"""The format ``ocsf``: every type of the catalog as an event of OCSF 1.7.0, checked with a schema made of its definitions."""

import json
from pathlib import Path

import jsonschema
import pytest
from filing import said, stored

from supertokens_events.catalog import builtin_types
from supertokens_events_file.formats.ocsf.classes import ACCOUNT_CHANGE, AUTHENTICATION, FAILURE, TYPES, kind_of
from supertokens_events_file.formats.ocsf.document import ocsf

SCHEMA = json.loads(Path(__file__).with_name("ocsf-1.7.0.json").read_bytes())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
CATALOG = {model.event_type: model for model in builtin_types()}
USER = "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1"
EVERYWHERE = {
    "source": "https://api.example.com",
    "correlation_id": "c1",
    "context": {
        "ip": "203.0.113.7",
        "user_agent": "Mozilla/5.0",
        "method": "POST",
        "path": "/auth/signin",
        "request_id": "r1",
        "origin": "https://app.example.com",
        "country": "HU",
    },
}
ACTORS = {
    "user": {"type": "user", "user_id": USER, "session_handle": "s1"},
    "admin": {"type": "admin", "email": "grace@example.com"},
    "nameless admin": {"type": "admin"},
    "system": {"type": "system"},
    "unknown": {"type": "unknown"},
}


def document(event_type, **fields):
    """What the format says of a sample event, after the schema has found nothing wrong with it."""
    one = stored(event_type, **fields)
    found = json.loads(ocsf(one.event, one.sequence))
    VALIDATOR.validate(found)
    return found


def leaves(value):
    """Every text, number and truth in a document."""
    match value:
        case dict():
            return [leaf for item in value.values() for leaf in leaves(item)]
        case list():
            return [leaf for item in value for leaf in leaves(item)]
        case _:
            return [value]


@pytest.mark.parametrize("event_type", CATALOG)
def test_every_type_is_valid(event_type):
    """Whoever did it, with all that an event may say and with nothing of it, an event of every type fits OCSF's schema."""
    for actor in ACTORS.values():
        document(event_type, **EVERYWHERE, actor=actor)
    document(event_type, user_id=None, tenant_id=None)


@pytest.mark.parametrize("event_type", CATALOG)
def test_nothing_is_left_out(event_type):
    """Every value of an event is somewhere in what OCSF says of it: in its place, or in ``unmapped``."""
    one = stored(event_type, **EVERYWHERE, actor=ACTORS["user"])

    found = leaves(json.loads(ocsf(one.event, one.sequence)))

    kept = leaves({**json.loads(one.body), "actor": ACTORS["user"] | {"type": None}, "schema_version": None})
    assert [value for value in kept if value is not None and value not in found] == []


def test_every_type_has_its_class():
    """The table names every type of the catalog once, and no other."""
    named = [name for activities in TYPES.values() for names in activities.values() for name in names.split()]

    assert sorted(named) == sorted(CATALOG)


def test_a_refusal_is_a_failure():
    """A type that says why something did not happen is a failure, and only such a type, but for a few that need no reason."""
    failures = {name for name in CATALOG if kind_of(name, {}).status == FAILURE}
    with_reason = {name for name, model in CATALOG.items() if {"reason", "why"} & model.model_fields.keys()}

    assert failures - with_reason == {"session.token_theft_detected", "oauth.logout.rejected"}
    assert with_reason <= failures


@pytest.mark.parametrize(
    ("event_type", "type_uid", "type_name", "status"),
    [
        ("user.signed_in", 300201, "Authentication: Logon", "Success"),
        ("user.sign_in.failed", 300201, "Authentication: Logon", "Failure"),
        ("session.revoked", 300202, "Authentication: Logoff", "Success"),
        ("session.created", 300299, "Authentication: session.created", "Success"),
        ("saml.login.started", 300206, "Authentication: Preauth", "Success"),
        ("user.created", 300101, "Account Change: Create", "Success"),
        ("user.sign_up.failed", 300101, "Account Change: Create", "Failure"),
        ("password.changed", 300103, "Account Change: Password Change", "Success"),
        ("password.reset.completed", 300104, "Account Change: Password Reset", "Success"),
        ("password.reset.requested", 300199, "Account Change: password.reset.requested", "Success"),
        ("user.deleted", 300106, "Account Change: Delete", "Success"),
        ("mfa.enrolled", 300110, "Account Change: MFA Factor Enable", "Success"),
        ("mfa.totp_device.removed", 300111, "Account Change: MFA Factor Disable", "Success"),
        ("role.created", 300401, "Entity Management: Create", "Success"),
        ("role.assigned", 300501, "User Access Management: Assign Privileges", "Success"),
        ("tenant.user.associated", 300603, "Group Management: Add User", "Success"),
        ("sink.disabled", 99, "Base Event: sink.disabled", "Failure"),
        ("app.invitation.accepted", 99, "Base Event: app.invitation.accepted", "Unknown"),
    ],
)
def test_a_type_is_said_as(event_type, type_uid, type_name, status):
    """The class, the activity and the status of what a SIEM looks for first."""
    found = document(event_type)

    assert (found["type_uid"], found["type_name"], found["status"]) == (type_uid, type_name, status)


def test_an_apps_own_type_is_left_as_it_is():
    """Of a type that is not in the catalog nobody here knows what its fields mean: all of them are in ``unmapped``."""
    data = {"reason": "no longer needed", "email": "ada@example.com", "session_handle": "s", "nothing": None, "n": 0}

    found = document("app.order.cancelled", data=data)

    assert found["unmapped"]["data"] == data
    assert not {"user", "status_detail"} & found.keys()


def test_one_login_method_is_not_a_user():
    """A user who loses one login method of several is not deleted."""
    found = document("user.deleted", data={"extent": "login_method", "remaining_login_methods": 1})

    assert found["type_uid"] == 300199


def test_a_sign_in():
    """A Logon says who, from where, with what, in which request, and when in milliseconds."""
    data = {"method": "emailpassword", "recipe_user_id": USER, "email": "ada@example.com"}
    found = document(
        "user.signed_in",
        id="evt_1",
        timestamp="2026-11-23T07:15:22.104533Z",
        data=data,
        **EVERYWHERE,
        actor=ACTORS["user"],
    )

    user = {"uid": USER, "type_id": 1, "type": "User"}
    assert found["user"] == user | {"name": "ada@example.com", "email_addr": "ada@example.com"}
    assert found["actor"] == {"user": user, "session": {"uid": "s1"}}
    assert found["src_endpoint"] == {"ip": "203.0.113.7"}
    assert found["http_request"] == {
        "http_method": "POST",
        "url": {"path": "/auth/signin"},
        "user_agent": "Mozilla/5.0",
        "uid": "r1",
    }
    assert found["service"] == {"name": "https://api.example.com"}
    assert found["auth_factors"] == [{"factor_type_id": 11, "factor_type": "Password"}]
    assert found["time"] == 1795418122104
    assert (
        found["metadata"].items()
        >= {
            "version": "1.7.0",
            "uid": "evt_1",
            "event_code": "user.signed_in",
            "log_version": "1",
            "original_time": "2026-11-23T07:15:22.104533Z",
            "correlation_uid": "c1",
            "tenant_uid": "public",
            "sequence": 7,
        }.items()
    )
    assert found["unmapped"] == {
        "context": {"origin": "https://app.example.com", "country": "HU"},
        "data": {"method": "emailpassword"},
    }


@pytest.mark.parametrize(
    ("data", "user"),
    [
        ({"email": "ada@example.com"}, {"name": "ada@example.com", "email_addr": "ada@example.com"}),
        ({"email": "ada @ home"}, {"name": "ada @ home"}),
        ({"phone_number": "+36301234567"}, {"name": "+36301234567", "phone_number": "+36301234567"}),
        ({}, {"name": "unknown"}),
    ],
)
def test_a_user_who_is_not_known(data, user):
    """A failed sign-in has the user that somebody claimed to be, or one called ``unknown``, and never a user's id."""
    fields = {"method": "passwordless", "reason": "wrong_credentials", "error_code": "ERR_CODE_008", **data}
    found = document("user.sign_in.failed", user_id=None, data=fields)

    assert found["user"] == user | {"type_id": 0, "type": "Unknown"}
    assert (found["status_detail"], found["status_code"]) == ("wrong_credentials", "ERR_CODE_008")
    assert (found["severity"], found["status_id"]) == ("Low", 2)


def test_a_theft_is_severe():
    """A stolen session is the one thing of high severity."""
    severe = [name for name in CATALOG if kind_of(name, {}).severity[0] >= 4]

    assert severe == ["session.token_theft_detected"]
    assert document("session.token_theft_detected")["session"]["uid"] == "b1d3b3f1-6f3b-4f19-8d0e-3f7a8a1c2b4d"


def test_an_admin_is_an_admin():
    """Who signs in to the dashboard is an Admin, and so is an actor there."""
    signed_in = document("dashboard.admin.signed_in", user_id=None)
    created = document("user.created", actor=ACTORS["admin"])

    assert signed_in["user"]["type"] == created["actor"]["user"]["type"] == "Admin"


@pytest.mark.parametrize(
    "context",
    [
        {"ip": "not an address", "method": "BREW", "path": "", "user_agent": ""},
        {"ip": "fe80::1%eth0", "method": "post", "user_agent": "\x00\u202e" + "x" * 40_000},
        {"ip": "2001:db8::7", "tags": [1, None, {"a": []}], "ok": False},
    ],
)
def test_a_context_with_garbage(context):
    """What OCSF would not take as an address or a method is kept in ``unmapped``."""
    for event_type in ("user.signed_in", "user.created", "role.created", "app.some.thing"):
        found = document(event_type, context=context)

        assert set(map(str, leaves(context))) - {"None", ""} <= set(map(str, leaves(found)))


@pytest.mark.parametrize("value", [None, 7, "", [], {}, ["a"], {"a": 1}, True])
def test_data_with_garbage(value):
    """Whatever an app puts under the name of a field that is known here, the line is valid."""
    names = (
        "email phone_number recipe_user_id session_handle role client_id client_name reason why method factor_id name"
    )
    for event_type in CATALOG:
        document(event_type, user_id=None, data=dict.fromkeys(names.split(), value))


@pytest.mark.anyio
async def test_the_sink_writes_it(tmp_path):
    """With ``format = "ocsf"`` a line is such an event."""
    one = stored("user.signed_in")

    line = await said(tmp_path, one, "ocsf")

    assert line == json.loads(ocsf(one.event, one.sequence))


def test_the_schema_is_strict():
    """The schema that all this rests on refuses what OCSF has not: an attribute, a missing one, a caption of another id."""
    good = document("user.signed_in")
    bad = [
        good | {"colour": "red"},
        good | {"user": {"uid": "u", "colour": "red"}},
        good | {"type_uid": 300102},
        good | {"activity_name": "Logoff"},
        good | {"time": "2026-11-23"},
        good | {"severity_id": 7},
        {name: value for name, value in good.items() if name != "user"},
        {name: value for name, value in good.items() if name != "service"},
    ]

    assert [VALIDATOR.is_valid(one) for one in bad] == [False] * len(bad)
    assert {ACCOUNT_CHANGE.uid, AUTHENTICATION.uid} <= set(SCHEMA["properties"]["class_uid"]["enum"])
