"""What an event becomes: which calls, with which names, ids, times and contexts."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from segment_kit import CONTEXT, delivery, messages, settings

from supertokens_events.catalog import builtin_types
from supertokens_events.event import Actor, Event
from supertokens_events.sink import Delivered, Delivery, Rejected
from supertokens_events.testing import sample_event
from supertokens_events_segment.messages import MAX_MESSAGE, Mapper
from supertokens_events_segment.rules import RULES, track_name

TYPES = sorted(model.event_type for model in builtin_types())
USER = "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1"


def by_call(*args, **kwargs):
    return {message["type"]: message for message in messages(*args, **kwargs)}


def one(*args, **kwargs):
    (message,) = messages(*args, **kwargs)
    return message


@pytest.mark.parametrize("event_type", TYPES)
def test_every_type_is_something(event_type):
    """Each built-in type, with a user and without, becomes messages that Segment can use: a name, an id, a time."""
    for user in ("u1", None):
        for message in messages(event_type, event_fields={"user_id": user}):
            assert message["type"] in ("identify", "track", "group", "alias")
            assert message.get("userId") or message.get("anonymousId")
            assert 0 < len(message["messageId"]) < 100
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["timestamp"])
            assert message["type"] != "track" or message["event"]


@pytest.mark.parametrize("event_type", TYPES)
def test_names_are_object_action(event_type):
    """What is tracked has a name of two words or more in title case, each type another one."""
    (name,) = [message["event"] for message in messages(event_type) if message["type"] == "track"]

    assert len(name.split()) > 1
    assert all(word[0].isupper() for word in name.split())


def test_no_two_types_have_one_name():
    """What is tracked tells the type."""
    names = [RULES[name].name if name in RULES else track_name(name) for name in TYPES]

    assert len(set(names)) == len(TYPES)


@pytest.mark.parametrize(
    ("event_type", "name"),
    [
        ("user.sign_in.failed", "User Sign In Failed"),
        ("oauth.token.issued", "OAuth Token Issued"),
        ("mfa.totp_device.created", "MFA TOTP Device Created"),
        ("app.invitation.accepted", "App Invitation Accepted"),
    ],
)
def test_a_name_is_made_of_the_type(event_type, name):
    """Where Segment's specification has no name, the type makes it; what is short for something stays so."""
    assert track_name(event_type) == name


def test_every_rule_is_of_a_known_type():
    """No rule is for a type that does not exist."""
    assert set(RULES) <= set(TYPES)


def test_a_sign_up_is_identify_and_track():
    """First who it is, then what happened; only the second has the event's own id, and the first one's is made of it."""
    event = sample_event("user.created")
    identify, track = messages(event)

    assert identify["traits"] == {
        "createdAt": track["timestamp"],
        "email_verified": False,
        "method": "emailpassword",
    }
    assert (identify["type"], identify["userId"], identify["messageId"]) == ("identify", USER, f"{event.id}-identify")
    assert (track["type"], track["userId"], track["messageId"]) == ("track", USER, event.id)
    assert track["event"] == "Signed Up"


def test_it_is_the_same_every_time():
    """Two attempts at an event make the same messages, byte for byte: Segment drops what it has seen."""
    event = sample_event("user.created")
    mapper = Mapper(settings())

    assert mapper.messages(delivery(event, attempt=1)) == mapper.messages(delivery(event, attempt=2))


def test_a_message_says_when_it_happened():
    """The timestamp is the event's, in milliseconds."""
    event = Event(type="user.signed_in", user_id="u1", timestamp="2026-11-23T08:15:22.104933+01:00")

    assert one(event)["timestamp"] == "2026-11-23T07:15:22.104Z"


def test_a_message_says_where_it_came_from_when_it_may():
    """The address and the browser are Segment's own context fields; the library is this package; nothing else is told."""
    context = one(context=["ip", "user_agent"], event_fields={"context": CONTEXT})["context"]

    assert context.pop("library").keys() == {"name", "version"}
    assert context == {"ip": "203.0.113.7", "userAgent": "Mozilla/5.0"}
    assert "ip" not in one(context=["user_agent"], event_fields={"context": CONTEXT})["context"]


def test_a_tenant_is_the_group_of_what_happens_in_it():
    """Segment's context.groupId; the tenant where everybody is who is in none says nothing."""
    assert one(event_fields={"tenant_id": "acme"})["context"]["groupId"] == "acme"
    assert "groupId" not in one(event_fields={"tenant_id": "public"})["context"]
    assert "groupId" not in one(event_fields={"tenant_id": None})["context"]


@pytest.mark.parametrize(
    ("actor", "name"),
    [
        (Actor(type="user", user_id=USER, session_handle="s1"), "Signed Out"),
        (Actor(type="user", user_id=USER, session_handle="s2"), "Session Revoked"),
        (Actor(type="user", user_id="somebody else", session_handle="s1"), "Session Revoked"),
        (Actor(type="admin", email="grace@example.com"), "Session Revoked"),
        (Actor(type="system"), "Session Revoked"),
    ],
)
def test_signing_out_is_ending_ones_own_session(actor, name):
    """Signed out is who ends the session that they came with; ended for them, or on another device, it is something else."""
    fields = {"actor": actor, "data": {"session_handle": "s1"}}

    assert one("session.revoked", event_fields=fields)["event"] == name


def test_another_name_is_for_both():
    """A name in the configuration replaces both names of a type that has two."""
    fields = {"actor": Actor(type="user", user_id=USER, session_handle="s1"), "data": {"session_handle": "s1"}}

    assert one("session.revoked", event_fields=fields, mapping={"session.revoked": {"name": "Gone"}})["event"] == "Gone"


def test_an_address_that_changes_is_a_trait():
    """A new address is told where addresses may be; one that was taken away is null there, so that Segment forgets it."""
    changed = by_call("user.email.changed", traits=["email"])
    gone = by_call("user.email.changed", traits=["email"], event_fields={"data": {"previous_email": "a@example.com"}})

    assert changed["identify"]["traits"] == {"email": "ada.lovelace@example.com"}
    assert gone["identify"]["traits"] == {"email": None}
    assert by_call("user.email.changed").keys() == {"track"}


@pytest.mark.parametrize(("event_type", "verified"), [("email.verified", True), ("email.unverified", False)])
def test_a_verified_address_is_a_trait(event_type, verified):
    """Whether the address is verified is told without the address."""
    assert by_call(event_type)["identify"]["traits"] == {"email_verified": verified}


def test_a_tenant_is_a_group():
    """Who comes into a tenant is put into its group; who leaves is only tracked, as a group call would put them in."""
    came = by_call("tenant.user.associated", event_fields={"tenant_id": "acme"})
    left = by_call("tenant.user.disassociated", event_fields={"tenant_id": "acme"})

    assert came["group"] | {"groupId": "acme", "userId": USER, "traits": {}} == came["group"]
    assert came["track"]["event"] == "Account Added User"
    assert left.keys() == {"track"}
    assert left["track"]["event"] == "Account Removed User"


@pytest.mark.parametrize(
    ("event_type", "former", "present"),
    [
        ("account.linked", "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1", "5d2f7c14-3b8e-4f0a-8e21-9a6c0d4b7e35"),
        ("user.id_mapping.created", "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1", "customer-4711"),
    ],
)
def test_one_user_with_two_ids_is_an_alias(event_type, former, present):
    """From then on the former id's history is the present one's."""
    user = "5d2f7c14-3b8e-4f0a-8e21-9a6c0d4b7e35" if event_type == "account.linked" else former
    alias = by_call(event_type, event_fields={"user_id": user})["alias"]

    assert (alias["previousId"], alias["userId"]) == (former, present)


def test_nobody_is_an_alias_of_themselves():
    """With one id on both sides there is no alias call."""
    fields = {"user_id": "u1", "data": {"recipe_user_id": "u1", "primary_user_id": "u1"}}

    assert by_call("account.linked", event_fields=fields).keys() == {"track"}


def test_events_about_nobody_have_one_anonymous_id():
    """All of them have the same: Segment counts each id as a user."""
    failed = one("user.sign_in.failed", event_fields={"user_id": None})
    made = one("role.created", event_fields={"user_id": None}, anonymous_id="backend")

    assert failed["anonymousId"] == "supertokens-events"
    assert made["anonymousId"] == "backend"
    assert "userId" not in failed


def test_what_a_user_did_to_nobody_is_that_users():
    """An event about no user that a user caused is theirs; one of an admin is nobody's."""
    user = Actor(type="user", user_id="u1")
    admin = Actor(type="admin", user_id="a1", email="grace@example.com")

    assert one("tenant.created", event_fields={"user_id": None, "actor": user})["userId"] == "u1"
    assert "anonymousId" in one("tenant.created", event_fields={"user_id": None, "actor": admin})


def test_nobody_is_neither_identified_nor_grouped():
    """Without a user only the track call is left."""
    assert by_call("user.created", event_fields={"user_id": None}).keys() == {"track"}
    assert by_call("tenant.user.associated", event_fields={"user_id": None}).keys() == {"track"}


def test_an_event_too_large_is_rejected_with_its_size():
    """One message above 32 KB rejects its event, and says how large it is; one of exactly that size goes."""
    mapping = {"app.noted": {"properties": ["text"]}}

    def made(length):
        return Mapper(settings(mapping=mapping)).messages(
            delivery("app.noted", id="evt_1", data={"text": "é" + "x" * length})
        )

    room = MAX_MESSAGE - len(made(0)[0])
    (largest,) = made(room)
    refused = made(room + 1)

    assert len(largest) == MAX_MESSAGE
    assert isinstance(refused, Rejected)
    assert "32,769 bytes" in refused.reason
    assert refused.detail == {"bytes": 32_769}


def test_an_id_too_long_is_rejected():
    """Segment's messageId has fewer than 100 characters, those made of the event's id too."""
    mapper = Mapper(settings())

    assert isinstance(mapper.messages(delivery(id="e" * 99)), list)
    assert isinstance(mapper.messages(delivery(id="e" * 100)), Rejected)
    assert isinstance(mapper.messages(delivery("user.created", id="e" * 95)), Rejected)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"7",
        b'{"data":[]}',
        b'{"context":"x"}',
        b'{"actor":1}',
        b'"\\ud800"',
        b"\xff",
        b"[" * 5000,
    ],
)
def test_what_is_no_event_is_rejected(body):
    """Bytes that are no event are refused with a reason, and raise nothing."""
    mapped = Mapper(settings()).messages(Delivery("analytics", "evt_1", "user.created", 1, None, None, body))

    assert isinstance(mapped, Rejected)


@pytest.mark.parametrize(
    "text", ["\x00\x1b[31m\x7f", "<!channel>", "\u202eda", "👩‍👩‍👧", "\u2028", "\ud800", "'\"\\/", "x" * 20_000]
)
def test_any_text_arrives_as_it_is(text):
    """Control characters, marks and emoji stay what they were; a broken surrogate has become '?' when it was stored."""
    message = one("app.noted", mapping={"app.noted": {"properties": ["text"]}}, event_fields={"data": {"text": text}})

    assert message["properties"]["text"] == text.replace("\ud800", "?")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
ANY_DATA = st.dictionaries(st.sampled_from(["method", "email", "recipe_user_id", "keys", "linked"]) | st.text(), JSON)


@hypothesis(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(TYPES), ANY_DATA, st.text(max_size=40) | st.none())
def test_any_event_is_messages_or_has_a_reason(event_type, data, user_id):
    """Whatever stands in an event, it becomes valid messages without personal fields, or an outcome that says why not."""
    mapped = Mapper(settings()).messages(delivery(Event(type=event_type, user_id=user_id, data=data)))

    if isinstance(mapped, list):
        for message in map(json.loads, mapped):
            assert message["messageId"].startswith("evt_")
            assert {"email", "keys", "linked"} & message.get("properties", {}).keys() == set()
    else:
        assert isinstance(mapped, Delivered | Rejected)


def test_numbers_that_json_has_not_are_null():
    """Infinity and NaN, which JSON cannot say, are null."""
    stored = delivery("app.noted", data={"n": 1})
    odd = Delivery("a", "evt_1", "app.noted", 1, None, None, stored.body.replace(b'"n":1', b'"n":NaN'))
    (message,) = Mapper(settings(mapping={"app.noted": {"properties": ["n"]}})).messages(odd)

    assert json.loads(message, parse_constant=pytest.fail)["properties"] == {"n": None}


def test_what_is_off_is_not_sent():
    """A type that is off is done, and its attempt says why nothing was sent."""
    mapped = Mapper(settings(mapping={"user.signed_in": "off"})).messages(delivery())

    assert mapped == Delivered({"sent": False, "why": "the mapping of its type is off"})


def test_what_has_nothing_to_say_is_not_sent():
    """Nothing is sent to say nothing."""
    mapped = Mapper(settings(traits=[], mapping={"user.created": {"call": "identify"}})).messages(
        delivery("user.created")
    )

    assert mapped == Delivered({"sent": False, "why": "it says nothing by identify"})


def test_a_mapping_changes_what_it_says():
    """Call, name and properties of a type are the configuration's; other types stay."""
    mapping = {"user.signed_in": {"call": "track", "name": "Logged In", "properties": ["method"]}}

    assert one(mapping=mapping)["event"] == "Logged In"
    assert one(mapping=mapping)["properties"] == {"method": "emailpassword"}
    assert one("session.created", mapping=mapping)["event"] == "Session Created"


def test_a_mapping_may_name_several_calls():
    """In the order in which they are named; the one that is tracked keeps the event's id."""
    event = sample_event("user.signed_in")
    calls = messages(event, mapping={"user.signed_in": {"call": ["track", "identify"]}}, traits=["email"])

    assert [(one["type"], one["messageId"]) for one in calls] == [
        ("track", event.id),
        ("identify", f"{event.id}-identify"),
    ]
    assert calls[1]["traits"] == {"email": "ada@example.com"}


def test_an_apps_own_event_can_be_any_call():
    """A field of its data is the group, or the former id."""
    mapping = {
        "app.team.joined": {"call": "group", "group_id": "team"},
        "app.user.merged": {"call": "alias", "previous_id": "former"},
    }
    team = {"user_id": "u1", "data": {"team": 7}}
    merged = {"user_id": "u1", "data": {"former": "u0"}}

    assert one("app.team.joined", mapping=mapping, event_fields=team)["groupId"] == "7"
    assert one("app.user.merged", mapping=mapping, event_fields=merged)["previousId"] == "u0"
