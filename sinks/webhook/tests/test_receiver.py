"""Verifying: what is accepted, as what, and what a refusal says."""

import math
import pickle
import subprocess
import sys
from email.message import Message as EmailMessage

import pytest
from starlette.datastructures import Headers as StarletteHeaders
from werkzeug.datastructures import Headers as WerkzeugHeaders

from supertokens_events.catalog import Catalog
from supertokens_events.catalog.base import EventData
from supertokens_events.catalog.user import UserCreated
from supertokens_events.event import Event, with_sequence
from supertokens_events.testing import FakeClock, sample_event
from supertokens_events_webhook.receiver import Reason, Webhook, WebhookVerificationError, data_of
from supertokens_events_webhook.signing import (
    InvalidKey,
    key_from,
    new_key_pair,
    new_secret,
    signature_header,
    verifier_from,
)

NOW = 1_800_000_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = key_from(SECRET)


def signed(body, *, keys=(KEY,), event_id="evt_1", timestamp=NOW, prefix="webhook"):
    """The headers of a request with this body."""
    return {
        f"{prefix}-id": event_id,
        f"{prefix}-timestamp": str(timestamp),
        f"{prefix}-signature": signature_header(keys, event_id, timestamp, body),
    }


def request(event=None, **options):
    """The headers and the body of a request with an event."""
    event = event or sample_event()
    body = event.to_bytes()
    return signed(body, event_id=event.id, **options), body


def webhook(keys=SECRET, **options):
    return Webhook(keys, **{"now": lambda: NOW, **options})


def refusal(headers, body, **options):
    """The reason and the sentence with which a request is refused."""
    with pytest.raises(WebhookVerificationError) as caught:
        webhook(**options).verify(headers, body)
    assert type(caught.value) is WebhookVerificationError
    return caught.value.reason, str(caught.value)


def _email(headers):
    message = EmailMessage()
    for name, value in headers.items():
        message[name] = value
    return message


# What is accepted


def test_an_event_comes_out_as_it_was_sent():
    """The typed event, its sequence included, equals the one that the sender had."""
    event = sample_event(sequence=1042)
    body = with_sequence(event.to_bytes(), 1042)

    verified = webhook().verify(signed(body, event_id=event.id), body)

    assert verified == event
    assert isinstance(verified, Event)


@pytest.mark.parametrize(
    "shape",
    [
        dict,
        lambda headers: list(headers.items()),
        lambda headers: iter(headers.items()),
        lambda headers: {name.upper(): value for name, value in headers.items()},
        lambda headers: {name.encode(): value.encode() for name, value in headers.items()},
        lambda headers: [(name.title().encode(), value.encode()) for name, value in headers.items()],
        lambda headers: {"content-type": "application/json", "x-odd": None, **headers},
        WerkzeugHeaders,
        StarletteHeaders,
        _email,
    ],
    ids=["dict", "pairs", "iterator", "upper", "bytes", "byte-pairs", "among-others", "werkzeug", "starlette", "email"],
)
def test_headers_may_have_any_shape(shape):
    """A mapping or pairs, text or bytes, in any case, as every framework has them."""
    headers, body = request()

    assert webhook().verify(shape(headers), body).type == "user.created"


@pytest.mark.parametrize("shape", [bytes, bytearray, memoryview, bytes.decode])
def test_a_body_may_be_bytes_or_text(shape):
    """Text is taken as UTF-8."""
    headers, body = request(sample_event("app.greeted", data={"text": "hällo"}))

    assert webhook().verify(headers, shape(body)).data == {"text": "hällo"}


def test_svix_headers_are_as_good():
    """What Svix sends verifies; where both sets are there, `webhook-…` is the one that counts."""
    headers, body = request(prefix="svix")
    other = signed(b"{}", event_id="msg_2", prefix="svix")

    assert webhook().verify(headers, body).type == "user.created"
    assert webhook().authenticate({**signed(b"[]"), **other}, b"[]").id == "evt_1"


def test_an_incomplete_set_of_headers_gives_way():
    """One `webhook-…` header beside a complete set of `svix-…` changes nothing."""
    headers, body = request(prefix="svix")

    assert webhook().verify({**headers, "webhook-id": "evt_other"}, body).type == "user.created"


def test_a_type_nobody_knows_comes_through():
    """A newer sender's type is an event like any other; its data is there, though not typed."""
    event = sample_event("user.teleported", data={"to": "mars"})

    verified = webhook().verify(*request(event))

    assert verified == event
    assert data_of(verified) is None


def test_what_a_newer_sender_adds_is_left_out():
    """Unknown fields of the event, and an unknown kind of actor, do not stop it."""
    body = (
        b'{"id":"evt_1","type":"user.created","timestamp":"2026-11-23T07:15:22Z","moon":"full",'
        b'"actor":{"type":"robot","user_id":"r2","serial":7},"context":{"planet":"earth"},"data":{}}'
    )

    event = webhook().verify(signed(body), body)

    assert (event.id, event.actor.type, event.actor.user_id) == ("evt_1", "unknown", "r2")
    assert event.context.model_extra == {"planet": "earth"}


def test_an_id_may_stand_in_the_header_only():
    """Other senders have it there alone, and it is signed."""
    body = b'{"type":"invoice.paid","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1"}}'

    event = webhook().verify(signed(body, event_id="msg_1"), body)

    assert (event.id, event.type, event.data) == ("msg_1", "invoice.paid", {"id": "1"})


def test_any_other_format_can_be_authenticated():
    """A CloudEvent, or whatever a sender has made of an event, is verified without being read."""
    body = b'{"specversion":"1.0"}'

    message = webhook().authenticate(signed(body), body)

    assert (message.id, message.timestamp, message.body) == ("evt_1", NOW, body)
    assert "specversion" not in repr(message)


@pytest.mark.parametrize("key", [0, 1, 2, 3])
def test_one_of_several_keys_is_enough(key):
    """A receiver with several keys, of both kinds, takes what any of them has signed."""
    pair, other = new_key_pair(), new_secret()
    signing = [KEY, key_from(other), pair, new_key_pair()]
    verifying = [SECRET, other, str(pair.public), signing[3].public]

    assert webhook(verifying).verify(*request(keys=[signing[key]])).type == "user.created"
    with pytest.raises(WebhookVerificationError):
        webhook([v for n, v in enumerate(verifying) if n != key]).verify(*request(keys=[signing[key]]))


def test_a_key_may_be_a_verifier():
    """What `verifier_from` made is a key, too."""
    assert webhook(verifier_from(SECRET)).verify(*request()).type == "user.created"


# What is refused


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("empty", [False, True])
def test_a_missing_header_is_named(name, empty):
    """The sentence says which one; an empty one is missing."""
    headers, body = request()
    del headers[name]
    if empty:
        headers[name] = ""

    assert refusal(headers, body) == (Reason.MISSING_HEADER, f"The request has no header '{name}'.")


def test_the_missing_header_is_of_the_set_that_was_begun():
    """Whoever sends `svix-…` reads of `svix-…`."""
    headers, body = request(prefix="svix")
    del headers["svix-id"]

    assert refusal(headers, body) == (Reason.MISSING_HEADER, "The request has no header 'svix-id'.")


@pytest.mark.parametrize(
    "headers", [None, 7, "webhook-id", [1], [("webhook-id",)], {"webhook-id": ["a"]}, {7: "a"}, object()]
)
def test_what_are_no_headers_is_said(headers):
    """Whatever else is given is malformed, not a crash."""
    assert refusal(headers, b"{}") == (
        Reason.MALFORMED_HEADER,
        "The headers are neither a mapping nor pairs of names and values.",
    )


@pytest.mark.parametrize("event_id", ["evt 1", "evt\n1", "evt_é", "a.b", "x" * 256])
def test_an_odd_id_is_refused(event_id):
    """An id is visible ASCII without a full stop, 255 characters at most, however well it is signed."""
    reason, sentence = refusal(signed(b"{}", event_id=event_id), b"{}")

    assert reason is Reason.MALFORMED_HEADER
    assert sentence == "The header 'webhook-id' is not an id: expected visible ASCII characters without '.'."


def test_the_parts_of_what_was_signed_cannot_be_moved():
    """With a full stop in the id, `id.timestamp.body` could be cut elsewhere: the same signature, another body."""
    body = f'{{"note":"x.{NOW}.{{}}'.encode()
    true = signed(body)
    cut = {**true, "webhook-id": f'evt_1.{NOW}.{{"note":"x'}

    assert webhook().authenticate(true, body).body == body
    assert refusal(cut, b"{}")[0] is Reason.MALFORMED_HEADER


@pytest.mark.parametrize(
    "timestamp", ["", "soon", "-1", "+1", "1.0", "1e9", " 1800000000", "١٨٠٠٠٠٠٠٠٠", "0x6b49d200", "9" * 13]
)
def test_an_odd_timestamp_is_refused(timestamp):
    """A timestamp is whole seconds in ASCII digits."""
    headers, body = request()

    reason, _ = refusal({**headers, "webhook-timestamp": timestamp}, body)

    assert reason is (Reason.MALFORMED_HEADER if timestamp else Reason.MISSING_HEADER)


def test_two_headers_that_disagree_are_refused():
    """Which of them a proxy has looked at is nobody's guess; two that agree are fine."""
    headers, body = request()
    pairs = list(headers.items())

    assert refusal([*pairs, ("Webhook-Id", "evt_2")], body) == (
        Reason.MALFORMED_HEADER,
        "The header 'webhook-id' is there twice, and says two things.",
    )
    assert webhook().verify([*pairs, *pairs], body).type == "user.created"


def test_an_endless_signature_is_not_read():
    """A header that is too long is refused before anything is computed."""
    headers, body = request()

    assert refusal({**headers, "webhook-signature": "v1,a " * 5000}, body)[0] is Reason.MALFORMED_HEADER


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"webhook-id": "evt_other"}, "No signature of the request is by one of our keys"),
        ({"webhook-signature": "v1,AAAA"}, "No signature of the request is by one of our keys"),
        (
            {"webhook-signature": "v1a,AAAA v2,BBBB"},
            "The request has no signature in v1, which is what our keys verify.",
        ),
        ({"webhook-signature": "v2"}, "The request has no signature in v1, which is what our keys verify."),
    ],
)
def test_what_we_did_not_sign_is_refused(change, sentence):
    """The sentence tells a wrong key from a wrong kind of key."""
    headers, body = request()

    reason, said = refusal({**headers, **change}, body)

    assert reason is Reason.NOT_SIGNED
    assert said.startswith(sentence)


@pytest.mark.parametrize("body", [None, 7, {"a": 1}, ["x"], "\ud800", object()])
def test_what_is_no_body_is_refused(body):
    """A body that somebody has parsed already is the usual mistake; its type is named."""
    reason, sentence = refusal(request()[0], body)

    assert reason is Reason.MALFORMED_BODY
    assert sentence.endswith("expected the bytes as they came, before anything parsed them.")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b'{"a": "\\ud800"}', "it is not JSON"),
        (b"7", "it is not a JSON object"),
        (b"{}", "it has no 'type'"),
        (b'{"type":"user.created"}', "it has no 'timestamp'"),
        (b'{"type":"user.created","timestamp":"soon"}', "its 'timestamp' is not what it should be"),
        (b'{"type":"user.created","timestamp":1e400}', "its 'timestamp' is not what it should be"),
        (b'{"type":"User Created","timestamp":1}', "its 'type' is not what it should be"),
        (b'{"type":"user.created","timestamp":1,"actor":7}', "its 'actor' is not what it should be"),
        (b'{"type":"user.created","timestamp":1,"actor":{"type":[]}}', None),
        (b'{"type":"user.created","timestamp":1,"id":"evt_2"}', "its 'id' is not that of its header"),
        (b'{"type":"user.created","timestamp":1,"id":null}', "its 'id' is not that of its header"),
    ],
)
def test_what_is_signed_and_no_event_is_refused(body, problem):
    """It says what is wrong with it, and not the value."""
    if problem is None:
        assert webhook().verify(signed(body), body).actor.type == "unknown"
        return
    assert refusal(signed(body), body) == (Reason.NOT_AN_EVENT, f"The body is signed but not an event: {problem}.")


def test_a_refusal_tells_no_secret():
    """Neither a key, nor the signature that came, nor the one that was expected is in any refusal."""
    headers, body = request()
    expected = headers["webhook-signature"]
    came = "v1,Zm9yZ2VkZm9yZ2Vk"

    said = " ".join(
        repr(refusal({**headers, **change}, body))
        for change in (
            {"webhook-signature": came},
            {"webhook-timestamp": "1"},
            {"webhook-id": "a b"},
            {"webhook-signature": ""},
        )
    )

    assert not any(secret in said for secret in (SECRET[6:], expected[3:], came[3:]))


def test_a_refusal_has_no_cause():
    """No exception of another library hangs on it, whose text or locals might tell more."""
    headers, body = signed(b"{"), b"{"

    with pytest.raises(WebhookVerificationError) as caught:
        webhook().verify(headers, body)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_refusal_survives_a_process():
    """It can be pickled, as what a worker raises is."""
    error = WebhookVerificationError(Reason.TOO_OLD, "It is old.")

    copy = pickle.loads(pickle.dumps(error))

    assert (copy.reason, str(copy)) == (Reason.TOO_OLD, "It is old.")


# Keys and tolerance


@pytest.mark.parametrize("keys", ["", "hunter2", None, [], [SECRET, ""], [None], 7, b"whsec_", {}, [new_key_pair()]])
def test_what_is_no_key_is_refused_at_once(keys):
    """A receiver with a wrong key does not start; the sentence does not hold it."""
    with pytest.raises(InvalidKey) as caught:
        Webhook(keys)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("tolerance", [-1, math.nan])
def test_a_tolerance_is_not_negative(tolerance):
    """Nothing could be verified with it."""
    with pytest.raises(ValueError, match="the tolerance is in seconds and not negative"):
        Webhook(SECRET, tolerance=tolerance)


def test_a_webhook_does_not_show_its_keys():
    """Its repr has the versions and the tolerance."""
    shown = repr(Webhook([SECRET, new_key_pair().public]))

    assert shown == "<Webhook v1, v1a, tolerance 300 s>"


# Data


def test_data_has_its_type():
    """`data_of` gives the catalog's model."""
    data = data_of(sample_event("user.created", data={**UserCreated.example}))

    assert isinstance(data, UserCreated)
    assert data.method == UserCreated.example["method"]


def test_data_of_a_newer_sender_has_the_fields_that_are_known():
    """A field that was added later, on top or deep inside, is left out of the model and stays in the event."""
    event = sample_event("user.deleted")
    methods = [{**method, "moon": "full"} for method in event.data["login_methods"]]
    newer = event.model_copy(update={"data": {**event.data, "login_methods": methods, "planet": "earth"}})

    assert data_of(newer) == data_of(event) is not None
    assert newer.data["planet"] == "earth"


@pytest.mark.parametrize("data", [{}, {"method": 7}, {"method": {"a": []}}])
def test_data_that_does_not_fit_has_no_type(data):
    """What a newer schema has changed, or a thin event has left out, is None and no error."""
    assert data_of(Event(type="user.created", data=data)) is None


def test_data_of_own_types():
    """A catalog with an app's own types is taken instead."""

    class Greeted(EventData):
        """Somebody was greeted."""

        event_type = "app.greeted"
        example = {"whom": "Ada"}
        whom: str

    assert data_of(Event(type="app.greeted", data={"whom": "Ada"}), Catalog([Greeted])) == Greeted(whom="Ada")


# What it costs


def test_a_receiver_of_v1_loads_little():
    """Neither an HTTP client, nor `cryptography`, nor a web framework, nor the SDK is loaded to verify `v1`."""
    script = (
        "import sys, time\n"
        "from supertokens_events_webhook.receiver import Webhook, WebhookVerificationError\n"
        f"webhook = Webhook({SECRET!r})\n"
        "headers = {'webhook-id': 'a', 'webhook-timestamp': str(int(time.time())), 'webhook-signature': 'v1,a v1a,a'}\n"
        "try: webhook.verify(headers, b'{}')\n"
        "except WebhookVerificationError as error: print(error.reason)\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    reason, modules = done.stdout.splitlines()
    heavy = {"aiohttp", "cryptography", "django", "fastapi", "flask", "httpx", "starlette", "supertokens_python"}
    assert reason == "not_signed"
    assert heavy & set(modules.split()) == set()


def test_time_moves_on():
    """The clock is asked for each request."""
    clock = FakeClock(NOW)
    headers, body = request()
    receiver = webhook(now=clock)
    receiver.verify(headers, body)
    clock.advance(301)

    with pytest.raises(WebhookVerificationError) as caught:
        receiver.verify(headers, body)

    assert str(caught.value) == "The request was signed 301 s ago; at most 300 s are tolerated."
