"""The table of a Segment sink: what is accepted, and what is said of what is not."""

import pytest

from doubles.segment import WRITE_KEY
from supertokens_events.config import ConfigurationError, load_settings
from supertokens_events.plugins import load_plugins
from supertokens_events_segment import SegmentSettings, SegmentSink, register_sink_types

SINK = {"type": "segment", "events": ["*"], "write_key": WRITE_KEY}


def configured(**changes):
    sink = SINK | changes
    return load_settings({"sinks": {"analytics": {k: v for k, v in sink.items() if v is not None}}}, load_plugins())


def problem(**changes):
    with pytest.raises(ConfigurationError) as caught:
        configured(**changes)
    (sentence,) = caught.value.problems
    return sentence.removeprefix("configuration: sinks.analytics.")


def test_the_plugin_brings_the_type():
    """An installed package makes `type = "segment"` known."""
    assert list(register_sink_types()) == [SegmentSink]
    assert isinstance(configured().sinks["analytics"].build(), SegmentSink)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("us", "https://api.segment.io/v1/batch"),
        ("eu", "https://events.eu1.segmentapis.com/v1/batch"),
        ("https://events.example.com", "https://events.example.com/v1/batch"),
        ("https://events.example.com/", "https://events.example.com/v1/batch"),
        ("https://events.example.com/segment/v1/b", "https://events.example.com/segment/v1/b"),
    ],
)
def test_where_batches_go(endpoint, url):
    """A region stands for Segment's own URL there; a host without a path gets Segment's path."""
    assert str(SegmentSettings(write_key=WRITE_KEY, endpoint=endpoint).url) == url


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"write_key": None}, "write_key: is required"),
        ({"write_key": ""}, "write_key: expected the write key of a source: visible ASCII characters without ':'"),
        ({"write_key": "a:b"}, "write_key: expected the write key of a source: visible ASCII characters without ':'"),
        ({"endpoint": "asia"}, "endpoint: expected 'us', 'eu', or a URL such as 'https://events.example.com/v1/batch'"),
        ({"endpoint": "http://x.example"}, "endpoint: expected 'https://'; allow_http = true permits 'http://'"),
        ({"endpoint": "https://a:b@x.example"}, "endpoint: a user name, a query or a fragment in the URL is not sent"),
        (
            {"endpoint": "https://x.example/?key=1"},
            "endpoint: a user name, a query or a fragment in the URL is not sent",
        ),
        ({"endpoint": "https://x:port"}, "endpoint: is not a URL"),
        ({"traits": ["emial"]}, "traits: there is no trait 'emial', did you mean 'email'?; known: "),
        ({"traits": "email"}, "traits: expected a list, in square brackets"),
        ({"context": ["city"]}, "context.0: input should be 'ip' or 'user_agent'"),
        ({"anonymous_id": " "}, "anonymous_id: expected a text that is not empty"),
        ({"timeout": "41s"}, "timeout: input should be less than or equal to 40"),
        ({"allow_networks": ["nowhere"]}, "allow_networks.0: "),
        ({"proxy": "socks5://x"}, "proxy: expected a proxy such as "),
        ({"trait": []}, "trait: unknown key, did you mean 'traits'?"),
    ],
)
def test_what_is_wrong_is_said(changes, sentence):
    """Each mistake is one sentence that names its key."""
    assert problem(**changes).startswith(sentence)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            {"user.signed_in": {"call": "trak"}},
            "mapping.user.signed_in.call: there is no call 'trak', did you mean 'track'?",
        ),
        ({"user.signed_in": "of"}, "mapping.user.signed_in.call: there is no call 'of', did you mean 'off'?"),
        ({"user.signed_in": {"call": []}}, "mapping.user.signed_in.call: expected one of 'identify', 'track'"),
        ({"user.signed_in": {"call": 7}}, "mapping.user.signed_in.call: expected one of 'identify', 'track'"),
        ({"user.signed_in": {"call": ["track", "track"]}}, "mapping.user.signed_in.call: names a call twice"),
        ({"user.signed_in": {"nam": "x"}}, "mapping.user.signed_in.nam: unknown key"),
        ({"user.signed_in": {"name": ""}}, "mapping.user.signed_in.name: expected a text that is not empty"),
        ({"user.signed_in": {"name": " "}}, "mapping.user.signed_in.name: expected a text that is not empty"),
        ({"user.signed_in": {"properties": "method"}}, "mapping.user.signed_in.properties: expected a list"),
        ({"user.signed_in": 7}, "mapping.user.signed_in: expected a table"),
        (
            {"user.signed_in": {"call": "identify", "name": "x"}},
            "mapping: \"user.signed_in\": name: goes with the call 'track' only; here it is 'identify'",
        ),
        (
            {"user.signed_in": {"call": "off", "properties": []}},
            "mapping: \"user.signed_in\": properties: goes with the call 'track' only; here it is 'off'",
        ),
        (
            {"user.signed_in": {"group_id": "method"}},
            "mapping: \"user.signed_in\": group_id: goes with the call 'group' only; here it is 'track'",
        ),
        (
            {"user.signed_in": {"call": "alias"}},
            "mapping: \"user.signed_in\": previous_id: is required with the call 'alias'",
        ),
        (
            {"user.signed_in": {"properties": ["metod"]}},
            "mapping: \"user.signed_in\": properties: 'metod' is no field of its data, did you mean 'method'?",
        ),
        (
            {"user.signed_in": {"properties": ["email"]}},
            'mapping: "user.signed_in": properties: \'email\' is about a person; traits = ["email"] would allow it',
        ),
        (
            {"app.joined": {"call": "group", "group_id": "phone_number"}},
            'mapping: "app.joined": group_id: \'phone_number\' is about a person; traits = ["phone"] would allow it',
        ),
        ({"signedin": "off"}, "mapping: \"signedin\": 'signedin' is not an event type"),
    ],
)
def test_what_is_wrong_in_a_mapping_is_said(entry, sentence):
    """Each mistake in it is found at the start, and named with the type and the key."""
    assert problem(mapping=entry).startswith(sentence)


def test_all_that_is_wrong_in_a_mapping_is_said():
    """One start tells of each entry that is wrong."""
    sentence = problem(mapping={"user.signed_in": {"properties": ["metod"]}, "user.created": {"group_id": "x"}})

    assert "'metod' is no field" in sentence
    assert "goes with the call 'group' only" in sentence


def test_what_may_be_told_may_be_mapped():
    """A field of a person is a property once its trait is allowed."""
    mapping = {"user.signed_in": {"properties": ["email"]}}

    assert configured(mapping=mapping, traits=["email"])


@pytest.mark.parametrize("write_key", ["sEcret:with-a-colon", "sEcret with spaces", "sEcret\n"])
def test_the_write_key_is_in_no_error(write_key):
    """What is wrong with the key is said without it."""
    assert "sEcret" not in problem(write_key=write_key)


def test_the_write_key_is_in_no_repr():
    """Neither the settings nor the sink show it."""
    sink = configured().sinks["analytics"].build()

    assert WRITE_KEY not in f"{sink!r} {sink.settings!r} {sink.settings} {vars(sink.settings)}"


def test_a_mapping_is_shown_as_it_is_written():
    """What `check` shows of a mapping is what the table says, without what it leaves as it is."""
    mapping = {"user.signed_in": {"call": "track", "name": "Logged In"}, "user.created": "off"}
    shown = dict(configured(mapping=mapping).sinks["analytics"].settings.__repr_args__())

    assert shown["mapping"] == {
        "user.signed_in": {"call": ("track",), "name": "Logged In"},
        "user.created": {"call": "off"},
    }


def test_a_type_that_looks_like_a_mistake_is_told():
    """`check` warns of a type that is nearly a built-in one; an app's own is nobody's mistake."""
    mapping = {"user.signed_inn": "off", "app.user.created": "off", "user.created": "off"}
    sink = configured(mapping=mapping).sinks["analytics"].build()

    (warning,) = sink.warnings()
    assert warning == (
        "mapping.\"user.signed_inn\": no built-in event type has this name, did you mean 'user.signed_in'?"
    )
