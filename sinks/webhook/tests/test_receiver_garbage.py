"""Ten thousand requests and keys that nobody should send: no exception but ours, and nothing forged is believed."""

import base64
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supertokens_events.testing import sample_event
from supertokens_events_webhook.receiver import Webhook, WebhookVerificationError
from supertokens_events_webhook.signing import (
    InvalidKey,
    key_from,
    new_key_pair,
    new_secret,
    signature_header,
    verifier_from,
)

NOW = 1_800_000_000
EVENT = sample_event()
BODY = EVENT.to_bytes()
HMAC, PAIR = key_from(new_secret()), new_key_pair()
TRUE = {
    "webhook-id": EVENT.id,
    "webhook-timestamp": str(NOW),
    "webhook-signature": signature_header([HMAC, PAIR], EVENT.id, NOW, BODY),
}
WEBHOOK = Webhook([HMAC, PAIR.public], now=lambda: NOW)

NAMES = [*TRUE, "svix-id", "svix-timestamp", "svix-signature", "Webhook-Id", "WEBHOOK-SIGNATURE"]
texts, blobs = st.text(max_size=30), st.binary(max_size=30)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | blobs
anything = (
    scalars
    | st.lists(scalars, max_size=3)
    | st.dictionaries(texts, scalars | st.lists(scalars, max_size=2), max_size=3)
)
lines = texts | blobs | st.sampled_from([*TRUE.values(), *(value.encode() for value in TRUE.values())])
names = st.sampled_from([*NAMES, *(name.encode() for name in NAMES)]) | lines
pieces = st.sampled_from(
    ["v1", "v1a", "v2", ",", " ", "=", "AAAA", TRUE["webhook-signature"].split(" ")[0][3:], "\0", "é"]
)
signatures = st.lists(pieces | st.text(string.printable, max_size=6), max_size=12).map("".join)


def examples(number):
    return settings(max_examples=number, deadline=None, derandomize=True, database=None)


def believed(headers, body):
    """Whether it verifies. Whatever else is raised than a refusal fails the test."""
    try:
        WEBHOOK.verify(headers, body)
    except WebhookVerificationError:
        return False
    return True


def test_the_request_itself_is_believed():
    """What the others are changed from verifies, in either version: a refusal below says something."""
    assert believed(TRUE, BODY)
    for signature in TRUE["webhook-signature"].split(" "):
        assert believed({**TRUE, "webhook-signature": signature}, BODY)


@examples(1500)
@given(st.dictionaries(names, lines, max_size=6) | st.lists(st.tuples(names, lines), max_size=6) | anything)
def test_garbage_as_headers(headers):
    """Headers of any shape with any content are refused, or are the true ones."""
    given_pairs = headers.items() if isinstance(headers, dict) else headers
    true = {key.encode(): value.encode() for key, value in TRUE.items()}

    if believed(headers, BODY):
        found = {_bytes(key).lower(): _bytes(value) for key, value in given_pairs}
        prefix = b"webhook" if all(found.get(key) for key in true) else b"svix"
        assert found[prefix + b"-id"] == true[b"webhook-id"]
        assert found[prefix + b"-timestamp"] == true[b"webhook-timestamp"]
        assert set(found[prefix + b"-signature"].split(b" ")) & set(true[b"webhook-signature"].split(b" "))


def _bytes(value):
    return value.encode("utf-8", "replace") if isinstance(value, str) else value


@examples(1500)
@given(signatures | texts | blobs)
def test_garbage_as_signature(signature):
    """A signature of any text is refused unless ours stands in it."""
    ours = TRUE["webhook-signature"].split(" ")
    text = signature.decode("latin-1") if isinstance(signature, bytes) else signature

    assert believed({**TRUE, "webhook-signature": signature}, BODY) == bool(set(ours) & set(text.split(" ")))


@examples(1000)
@given(st.integers(0, 63), st.integers(0, 7), st.sampled_from([0, 1]))
def test_a_signature_with_one_bit_changed(byte, bit, version):
    """Any bit of a signature matters."""
    name, _, text = TRUE["webhook-signature"].split(" ")[version].partition(",")
    raw = bytearray(base64.b64decode(text))
    raw[byte % len(raw)] ^= 1 << bit

    assert not believed({**TRUE, "webhook-signature": f"{name},{base64.b64encode(raw).decode()}"}, BODY)


@examples(1500)
@given(texts | blobs | st.integers().map(str) | st.floats().map(str) | st.integers(NOW - 400, NOW + 400).map(str))
def test_garbage_as_timestamp(timestamp):
    """A timestamp other than the one that was signed is refused."""
    assert believed({**TRUE, "webhook-timestamp": timestamp}, BODY) == (timestamp in {str(NOW), str(NOW).encode()})


@examples(1000)
@given(texts | blobs | st.text(string.printable, max_size=30))
def test_garbage_as_id(event_id):
    """So is another id."""
    assert not believed({**TRUE, "webhook-id": event_id}, BODY)


@examples(1000)
@given(anything | blobs)
def test_garbage_as_body(body):
    """A body other than the one that was signed is refused."""
    assert not believed(TRUE, body)


@examples(1000)
@given(blobs | texts | anything.map(repr))
def test_garbage_that_is_signed(body):
    """A sender with the key can say what he likes: it is an event or it is refused."""
    try:
        raw = body.encode() if isinstance(body, str) else body
    except UnicodeEncodeError:
        raw = b""
    headers = {**TRUE, "webhook-signature": signature_header([PAIR], EVENT.id, NOW, raw)}

    assert not believed(headers, body)


@examples(1500)
@given(
    st.sampled_from(["whsec_", "whsk_", "whpk_", ""]),
    st.binary(max_size=80).map(lambda value: base64.b64encode(value).decode()) | texts | blobs,
)
def test_garbage_as_key(prefix, rest):
    """A text is a key or is refused as none, in words that do not hold it; and no such key believes what it did not sign."""
    text = prefix + rest if isinstance(rest, str) else rest
    try:
        verifier = verifier_from(text)
    except InvalidKey as error:
        refusal = str(error)
    else:
        with pytest.raises(WebhookVerificationError):
            Webhook([verifier], now=lambda: NOW).verify(TRUE, BODY)
        return

    assert isinstance(rest, bytes) or len(rest) < 10 or rest not in refusal
