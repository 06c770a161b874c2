"""Messages: within Slack's limits whatever an event holds, and judged by Slack's own models."""

import contextlib
import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block
from slack_sinks import deliver, delivery, raw

from doubles.slack import mentions, message_problem, shown
from supertokens_events.catalog import builtin_catalog
from supertokens_events_slack.fields import document_of
from supertokens_events_slack.message import Writer
from supertokens_events_slack.mrkdwn import plain
from supertokens_events_slack.template import ROOM, Template, UrlTemplate
from supertokens_events_slack.texts import TEXTS, Urgency, urgency_of

CATALOG = builtin_catalog()
EVERY_TYPE = sorted(data_model.event_type for data_model in CATALOG)
RLO, LRM = "\N{RIGHT-TO-LEFT OVERRIDE}", "\N{LEFT-TO-RIGHT MARK}"


def written(*deliveries, **options):
    """The payload of one message, as it goes over the wire."""
    return json.loads(json.dumps(Writer(**options).write(deliveries).payload()))


def oracle(payload):
    """The same message, made by the models of Slack's library, which check what they are made of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Slack no longer adds to its model of a message
        from slack_sdk.models.messages.message import Message
    blocks = Block.parse_all(payload["blocks"])
    for block in blocks:
        block.validate_json()
    return Message(text=payload["text"], blocks=blocks).to_dict()


def everything(payload):
    return payload["text"] + "".join(json.dumps(block, ensure_ascii=False) for block in payload["blocks"])


# The catalog


def test_every_type_has_a_text():
    """There is a sentence for each built-in type, for nothing else, and it names fields that the type has."""
    assert sorted(TEXTS) == EVERY_TYPE
    for name, text in TEXTS.items():
        Template.parse(text, CATALOG.get(name))


@pytest.mark.parametrize("event_type", EVERY_TYPE)
def test_a_message_of_every_type(event_type):
    """Every built-in type is a message that Slack's models and limits accept, with nothing unknown in its sentence."""
    payload = written(delivery(event_type))

    assert oracle(payload)["blocks"] == payload["blocks"]
    assert message_problem(payload) is None
    assert "unknown" not in payload["text"]
    assert event_type in everything(payload)


def test_a_type_of_ones_own_has_a_sensible_text():
    """A type that nobody wrote a sentence for is said in its own words, with the user."""
    payload = written(delivery("app.invitation_mail.accepted", data={"plan": "team", "seats": 5}))

    assert payload["text"] == "*App invitation mail accepted*: `7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1`"
    assert "*Seats*\\n`5`" in everything(payload)


def test_what_is_urgent():
    """Theft and a dead sink are alarms; what was refused or failed is a warning, also of an app; a user's own no is not."""
    assert urgency_of("session.token_theft_detected") is Urgency.ALARM
    assert urgency_of("app.payment.failed") is Urgency.WARNING
    assert urgency_of("oauth.consent.rejected") is Urgency.NOTICE
    assert all(urgency_of(name) is not Urgency.NOTICE for name in EVERY_TYPE if name.endswith(".failed"))


def test_an_admin_is_named():
    """Who did it is said where it is somebody else than the user."""
    payload = written(delivery("user.deleted", actor={"type": "admin", "email": "grace@example.com"}))

    assert "*By*\\n`admin grace@example.com`" in everything(payload)


def test_a_message_about_many_satisfies_the_models():
    """A coalesced message is made of what Slack's models accept, too."""
    payload = written(*(delivery(name, n) for n, name in enumerate(EVERY_TYPE)))

    assert oracle(payload)["blocks"] == payload["blocks"]
    assert message_problem(payload) is None


# What comes from outside

BAD = {
    "everybody": "<!channel> <!here> <@U0123> <https://evil.example.com|your bank>",
    "markup": "`*bold* _it_ ~no~ ```code``` :skull: > quote",
    "escapes": "&lt;!channel&gt; & <",
    "40,000 characters": "x" * 40_000,
    "40,000 to escape": "&<>" * 14_000,
    "ampersands": "&" * 1000,
    "control characters": "a\x00b\x07c\x1b[31md\re\nf\tg\x7f\x85",
    "directions": f"a{RLO}moc.live{LRM}\N{ARABIC LETTER MARK}\N{FIRST STRONG ISOLATE}b",
    "invisible": "a\N{ZERO WIDTH SPACE}b\N{SOFT HYPHEN}c\N{LINE SEPARATOR}d",
    "astral": "\N{SKULL}" * 5000,
    "nothing but spaces": " \n\t ",
    "braces": "{user_id} {0.__class__} {{",
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
@pytest.mark.parametrize("count", [1, 7])
def test_values_are_text(value, count):
    """Whatever stands in an event's fields, the message is one that Slack accepts, calls nobody, and shows what is hidden."""
    context = {"ip": value, "user_agent": value, value: value}
    fields = {
        "user_id": value,
        "tenant_id": value,
        "data": {"email": value, value: value, "reason": [value], "deep": {"a": {"b": value}}},
        "actor": {"type": "admin", "email": value},
        "context": context,
    }
    events = [
        raw({"type": name, "id": value, "timestamp": value} | fields, n, name)
        for n, name in enumerate(["user.created", "app.own.thing", "user.sign_in.failed"][: 1 + count] * count)
    ][:count]
    payload = written(*events, dashboard=UrlTemplate.parse("https://a.example.com/{user_id}"))

    assert message_problem(payload) is None
    oracle(payload)
    said = payload["text"] + "".join(json.loads(json.dumps(everything(payload))))
    assert "<!channel" not in said
    assert "<@" not in said
    assert "<https://evil" not in said
    for hidden in (RLO, LRM, "\N{ZERO WIDTH SPACE}", "\x00", "\x1b", "\\u0000"):
        assert hidden not in said


@pytest.mark.parametrize(
    "body", [rb'{"type":"user.created","user_id":"\ud800","data":{"email":"\udfff@x","\ud800":1}}']
)
def test_broken_surrogates(body):
    """Half a character is shown as one that is broken; the message can be sent."""
    payload = written(raw(body), dashboard=UrlTemplate.parse("https://a.example.com/{user_id}"))

    assert "\N{REPLACEMENT CHARACTER}@x" in payload["text"]
    assert everything(payload).encode()


@pytest.mark.parametrize("count", [1, 5])
def test_everything_at_its_longest(count):
    """With every field as long as it may be, and a link as long as one may be, a message is still one that Slack accepts."""
    long = "&" * 500
    context = {"ip": long, "user_agent": long}
    data = {"email": long + "1", "phone_number": long, **{"n" * 200 + str(n): f"{n}{long}" for n in range(9)}}
    document = {"id": long, "tenant_id": long, "context": context, "data": data, "timestamp": "2026-11-23T07:15:22Z"}
    document["actor"] = {"type": "admin", "email": long}
    events = [raw(document | {"user_id": "u"}, n, "app." + "x" * 300) for n in range(count)]
    payload = written(
        *events, dashboard=UrlTemplate.parse("https://a.example.com/?" + "&" * 140 + "x" * 70 + "{user_id}")
    )

    assert message_problem(payload) is None
    assert "Open in the dashboard" in everything(payload)


@pytest.mark.anyio
async def test_bad_values_arrive(slack, webhook):
    """Over the wire, in one message and each alone, all of them arrive, and nobody is called."""
    events = [
        raw({"type": "user.created", "data": {"email": value, "method": value}, "user_id": value}, n)
        for n, value in enumerate(BAD.values())
    ]
    sink = webhook()
    await deliver(sink, *events)
    for event in events:
        await deliver(sink, event)

    assert len(slack.messages) == 1 + len(BAD)
    assert slack.refusals == []
    assert [mention for message in slack.messages for mention in mentions(message)] == []
    assert "&lt;!channel&gt;" in slack.messages[1].text
    assert "<!channel>" in shown(slack.messages[1])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*EVERY_TYPE, "app.a", "x.y.z.failed"]),
            st.dictionaries(
                st.sampled_from(["id", "type", "timestamp", "tenant_id", "user_id", "actor", "context", "data"]),
                json_values,
            ),
        ),
        min_size=1,
        max_size=9,
    )
)
@settings(max_examples=30)
def test_any_event_is_a_message(events):
    """Whatever JSON is stored as an event, alone or with others: a message within all limits that calls nobody."""
    payload = written(*(raw(document, n, name) for n, (name, document) in enumerate(events)))

    assert message_problem(payload) is None
    oracle(payload)


# Texts


@given(st.text(max_size=400))
def test_a_text_keeps_its_room(value):
    """A template comes to no more than its room, however its values swell when they are escaped."""
    text = "x" * 100 + "{data.email}" * 6
    document = {"data": {"email": value + "&" * 500}}

    assert len(Template.parse(text).render(document)) <= ROOM


@given(st.text())
def test_no_text_reaches_an_attribute(text):
    """A template is refused, or rendered it holds nothing but itself and the event's values."""
    with contextlib.suppress(ValueError):
        rendered = Template.parse(text).render({"user_id": "u", "who": "w"})

        assert len(rendered) <= ROOM
        assert "<class" not in rendered


def test_values_in_words():
    """Lists, yes and no, numbers and what is missing read as a person writes them."""
    document = {"data": {"list": ["a", 1], "yes": True, "number": 2.5, "empty": "", "deep": {"a": [1]}}}
    text = "{data.list} {data.yes} {data.number} {data.empty} {data.none|data.list} {data.deep} {{}}"

    assert Template.parse(text).render(document) == 'a, 1 yes 2.5 unknown a, 1 {"a": [1]} {}'


def test_plain_is_one_line_and_short():
    """A value is one line without ends, cut with a sign that it was."""
    assert plain("  a \n\n b\t", 10) == "a b"
    assert plain("abcdefgh", 5) == "abcd…"
    assert plain("a\N{ZERO WIDTH JOINER}b", 10) == "a\N{ZERO WIDTH JOINER}b"


def test_a_delivery_says_what_its_body_does_not():
    """An event whose payload was erased is still of its type and about its user."""
    assert document_of(raw(b"null"))["type"] == "user.created"
    assert document_of(raw({"user_id": None}))["user_id"] is None


def test_a_body_that_is_nested_too_deep_says_nothing():
    """What cannot be read for its depth is an event whose payload is gone, and no exception."""
    assert document_of(raw(b"[" * 100_000))["type"] == "user.created"


@pytest.mark.parametrize("spaces", [" " * 2000, "\n" * 5000, "\t \u2028" * 900])
def test_spaces_hide_nothing(spaces):
    """A value behind however many spaces is seen, and one that is nothing else is unknown."""
    assert plain(f"{spaces}hidden", 200) == "hidden"
    assert plain(spaces, 200) == "unknown"
