"""What is told of a person: nothing that `traits` does not allow, wherever it stands."""

import json
from itertools import chain, combinations
from typing import get_args

import pytest
from segment_kit import CONTEXT, delivery, messages, settings

from supertokens_events.catalog import builtin_types
from supertokens_events_segment.fields import DEFAULT_TRAITS, IMPERSONAL, PERSONAL, Trait
from supertokens_events_segment.messages import LIBRARY, Mapper

# Fields that are never told unless a mapping names them, and why.
WITHHELD = {
    "claimed_client_id": "what somebody typed",
    "code_id": "one more id of a single sign-in, which says nothing to an analyst",
    "credential_id": "identifies a person's passkey",
    "external_user_id": "may be an e-mail address; the alias call says it where it has to be said",
    "linked": "holds contact data",
    "login_methods": "holds contact data",
    "primary_login_methods": "holds contact data",
    "redirect_uris": "addresses of the app's own",
    "session_handle": "one more id of a single session",
    "supertokens_user_id": "is the user's id, said as such",
    "unlinked": "holds contact data",
    "user_ids": "all ids of a user, and one may be an e-mail address",
    "why": "free text",
}
TYPES = {model.event_type: model for model in builtin_types()}
ALL = get_args(Trait)

CANARIES = {
    "device_name": {"device_name": "Adas-iPhone", "previous_device_name": "Adas-old-iPhone"},
    "email": {"email": "ada@canary.example", "previous_email": "old-ada@canary.example"},
    "metadata": {"keys": ["nickname-canary"], "removed_keys": ["birthday-canary"]},
    "phone": {"phone_number": "+36301234567", "previous_phone_number": "+36307654321"},
    "third_party_user_id": {"third_party_user_id": "1083465777135"},
}


def test_every_field_of_the_catalog_has_its_place():
    """Each field of each built-in type is impersonal, personal or withheld: a new one is nothing until somebody decides."""
    fields = {name for model in TYPES.values() for name in model.model_fields}
    personal = set(chain.from_iterable(PERSONAL.values()))

    assert fields - IMPERSONAL - personal - WITHHELD.keys() == set()
    assert (IMPERSONAL | personal | WITHHELD.keys()) - fields == set()
    assert IMPERSONAL & personal == IMPERSONAL & WITHHELD.keys() == set()


def sent(event_type, traits, **changes):
    """Everything that is said of an event with all that a person may have, as text."""
    canaries = {name: value for values in CANARIES.values() for name, value in values.items()}
    nested = {name: [{**canaries, "method": "emailpassword"}] for name in ("login_methods", "primary_login_methods")}
    data = {**canaries, **nested, "linked": canaries, "unlinked": {"deep": [[canaries]]}, "method": "emailpassword"}
    return json.dumps(messages(event_type, traits=traits, event_fields={"data": data}, **changes))


def found(text):
    return {trait for trait, values in CANARIES.items() if any(one in text for one in leaves(values.values()))}


def leaves(values):
    for value in values:
        yield from leaves(value) if isinstance(value, list) else [value]


@pytest.mark.parametrize("event_type", [*TYPES, "app.made", "plugin.thing.happened"])
def test_nothing_personal_is_told_unless_allowed(event_type):
    """By default no message says anything of a person but ids, the method and when they came."""
    assert found(sent(event_type, DEFAULT_TRAITS)) == set()
    assert found(sent(event_type, [])) == set()


@pytest.mark.parametrize("traits", [*combinations(CANARIES, 1), *combinations(CANARIES, 2)], ids="+".join)
def test_what_is_allowed_is_told_and_nothing_else(traits):
    """Each trait lets through its own fields, in traits and in properties, and no other's."""
    assert {*chain(*(found(sent(event_type, traits)) for event_type in TYPES))} == set(traits)


@pytest.mark.parametrize("name", ["login_methods", "linked", "unlinked"])
def test_what_lies_deep_is_told_no_sooner(name):
    """A property that holds contact data deep inside loses it, unless it is allowed."""
    mapping = {"app.made": {"properties": [name]}}

    assert found(sent("app.made", [], mapping=mapping)) == set()
    assert found(sent("app.made", ["email"], mapping=mapping)) == {"email"}


def test_an_apps_own_event_tells_no_field_unasked():
    """Nobody here knows what is personal in an app's own data: a mapping names what may be told."""
    (message,) = messages("app.made", event_fields={"data": {"plan": "gold", "method": "card"}})
    (asked,) = messages(
        "app.made", event_fields={"data": {"plan": "gold", "x": 1}}, mapping={"app.made": {"properties": ["plan"]}}
    )

    assert message["properties"] == {}
    assert asked["properties"] == {"plan": "gold"}


def test_a_built_in_type_tells_its_own_fields():
    """What is about nobody in one type may be a person's in another: "name" is a provider's, and no user's."""
    (provider,) = messages("tenant.provider.created", event_fields={"data": {"name": "Google"}})
    (user,) = messages("user.signed_in", event_fields={"data": {"name": "Ada Lovelace", "method": "saml"}})

    assert provider["properties"] == {"name": "Google"}
    assert user["properties"] == {"method": "saml"}


def test_an_admins_address_is_told_nowhere():
    """Of who did it only the id of a user is told."""
    fields = {"user_id": None, "actor": {"type": "admin", "user_id": "a1", "email": "grace@canary.example"}}

    assert "grace@canary.example" not in json.dumps(messages("role.created", traits=ALL, event_fields=fields))


@pytest.mark.parametrize("traits", [[], ALL], ids=["no traits", "all traits"])
@pytest.mark.parametrize("event_type", [*TYPES, "app.made"])
def test_the_request_is_told_of_only_when_asked_for(event_type, traits):
    """Without `context` no address and no browser leaves, whatever `traits` says; the library is named all the same."""
    made = messages(event_type, traits=traits, event_fields={"context": CONTEXT})

    assert {*chain(*(message["context"] for message in made))} <= {"library", "groupId"}
    assert all(message["context"]["library"]["name"] == LIBRARY for message in made)
    assert CONTEXT["ip"] not in json.dumps(made)
    assert CONTEXT["user_agent"] not in json.dumps(made)


def test_an_enriched_context_stays_here():
    """What a plugin adds to the context is not Segment's to know."""
    made = messages(context=["ip"], event_fields={"context": {"ip": "1.2.3.4", "city": "canary"}})

    assert "1.2.3.4" in json.dumps(made)
    assert "canary" not in json.dumps(made)


def test_the_stored_event_is_left_alone():
    """Making messages changes nothing in the delivery."""
    stored = delivery("account.linked")
    before, event = bytes(stored.body), stored.event
    Mapper(settings(traits=ALL)).messages(stored)

    assert stored.body == before
    assert stored.event == event
