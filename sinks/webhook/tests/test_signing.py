"""Signing: what the header says, which secrets there are, and that none of them is ever shown."""

import base64
import json
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from supertokens_events_webhook.signing import HmacKey, key_from, signature_header

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
secrets = st.binary(min_size=24, max_size=64).map(lambda secret: "whsec_" + base64.b64encode(secret).decode())
event_ids = st.from_regex(r"evt_[0-9A-Z]{1,26}", fullmatch=True)


def whsec(size):
    return "whsec_" + base64.b64encode(bytes(size)).decode()


def test_the_vector_of_the_specification():
    """The signature of the specification's own example is the one printed there."""
    header = signature_header([key_from(SECRET)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert header == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(secrets, event_ids, st.integers(0, 2**33), st.dictionaries(st.text(), st.text()))
def test_the_reference_library_signs_alike(secret, event_id, timestamp, document):
    """For any secret, id, time and JSON the header is what the reference library makes."""
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")

    ours = signature_header([key_from(secret)], event_id, timestamp, body)

    theirs = standardwebhooks.Webhook(secret).sign(event_id, datetime.fromtimestamp(timestamp, UTC), body.decode())
    assert ours == theirs


@given(st.lists(secrets, min_size=1, max_size=4), st.binary())
def test_every_key_signs(texts, body):
    """With several keys the header has a signature of each, in their order, divided by single spaces."""
    keys = [key_from(text) for text in texts]

    header = signature_header(keys, "evt_1", 1, body)

    assert header.split(" ") == [signature_header([key], "evt_1", 1, body) for key in keys]


@pytest.mark.parametrize("size", [24, 32, 64])
def test_secrets_of_24_to_64_bytes_are_keys(size):
    """A secret may have 24 to 64 bytes."""
    assert key_from(whsec(size)) == HmacKey(bytes(size))


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (whsec(23), "got 23 bytes"),
        (whsec(65), "got 65 bytes"),
        ("whsec_", "got 0 bytes"),
        ("whsec_hunter2!", "got what is not base64"),
        ("whsec_hünter2", "got what is not base64"),
        (whsec(32).rstrip("="), "got what is not base64"),
        ("hunter2", "got no 'whsec_' in front"),
        (" " + whsec(32), "got no 'whsec_' in front"),
        ("", "got no 'whsec_' in front"),
    ],
)
def test_what_is_no_secret_is_refused(text, got):
    """The refusal says what is expected and what is wrong, and never the value."""
    with pytest.raises(ValueError, match=r"^expected 'whsec_' and the base64 of 24 to 64 bytes, ") as caught:
        key_from(text)

    assert str(caught.value).endswith(f", {got}")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_key_does_not_show_its_secret():
    """A key's repr holds no byte of the secret."""
    assert repr(key_from(SECRET)) == "HmacKey()"
