"""Signing: what the header says, which secrets there are, and that none of them is ever shown."""

import base64
import json
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from supertokens_events_webhook.signing import (
    Ed25519Key,
    HmacKey,
    InvalidKey,
    key_from,
    new_key_pair,
    new_secret,
    signature_header,
    verifier_from,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRET_KEY = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
secrets = st.binary(min_size=24, max_size=64).map(lambda secret: "whsec_" + base64.b64encode(secret).decode())
event_ids = st.from_regex(r"evt_[0-9A-Z]{1,26}", fullmatch=True)


def whsec(size):
    return "whsec_" + base64.b64encode(bytes(size)).decode()


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        (SECRET, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        (
            SECRET_KEY,
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
        ),
    ],
)
def test_the_vectors_of_the_specification(key, signature):
    """The signature of the specification's own example is the one printed there, in both versions."""
    header = signature_header([key_from(key)], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert header == signature


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
        ("hunter2", "got no 'whsec_' and no 'whsk_' in front"),
        (" " + whsec(32), "got no 'whsec_' and no 'whsk_' in front"),
        ("", "got no 'whsec_' and no 'whsk_' in front"),
        (None, "got NoneType instead of a text"),
    ],
)
def test_what_is_no_secret_is_refused(text, got):
    """The refusal says what is expected and what is wrong, and never the value."""
    with pytest.raises(ValueError, match=r"^expected 'whsec_' and the base64 of 24 to 64 bytes, ") as caught:
        key_from(text)

    assert str(caught.value).endswith(f", {got}")
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


# v1a


def whsk(value):
    return "whsk_" + base64.b64encode(value).decode()


def test_a_secret_key_has_its_public_one():
    """The public key of the specification's example is the one printed there."""
    assert str(key_from(SECRET_KEY).public) == PUBLIC_KEY
    assert verifier_from(SECRET_KEY) == verifier_from(PUBLIC_KEY)


def test_a_seed_alone_is_a_key():
    """32 bytes are the seed, 64 the seed and then the public key: both are the same key."""
    both = base64.b64decode(SECRET_KEY.removeprefix("whsk_"))

    assert key_from(whsk(both[:32])) == key_from(SECRET_KEY) == Ed25519Key(both[:32])


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (whsk(bytes(31)), "got 31 bytes"),
        (whsk(bytes(33)), "got 33 bytes"),
        (whsk(bytes(65)), "got 65 bytes"),
        (whsk(bytes(64)), "got two halves that do not belong together"),
        ("whsk_", "got 0 bytes"),
        ("whsk_hunter2!", "got what is not base64"),
        (PUBLIC_KEY, "got a public key, which cannot sign"),
    ],
)
def test_what_is_no_secret_key_is_refused(text, got):
    """The refusal says what is expected and what is wrong, and never the value."""
    with pytest.raises(InvalidKey) as caught:
        key_from(text)

    assert str(caught.value) == f"expected 'whsk_' and the base64 of 32 or 64 bytes, {got}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("whpk_hunter2!", "expected 'whpk_' and the base64 of 32 bytes, got what is not base64"),
        (
            "whpk_" + base64.b64encode(bytes(33)).decode(),
            "expected 'whpk_' and the base64 of 32 bytes, got 33 bytes",
        ),
        ("hunter2", "expected 'whsec_' and the base64 of 24 to 64 bytes, got no 'whsec_' and no 'whpk_' in front"),
    ],
)
def test_what_verifies_nothing_is_refused(text, problem):
    """A receiver's key is refused in the same words."""
    with pytest.raises(InvalidKey) as caught:
        verifier_from(text)

    assert str(caught.value) == problem


@given(st.binary(min_size=32, max_size=32), st.binary())
def test_what_a_secret_key_signs_its_public_key_verifies(seed, content):
    """And nothing else: neither another content nor another key's signature."""
    key = key_from(whsk(seed))
    version, _, signature = key.sign(content).partition(",")

    assert version == "v1a"
    assert key.public.verifies(content, signature)
    assert not key.public.verifies(content + b"x", signature)
    assert not new_key_pair().public.verifies(content, signature)


def test_both_versions_stand_in_one_header():
    """An event is signed with an HMAC and an ed25519 key at once, for receivers of either kind."""
    header = signature_header([key_from(SECRET), key_from(SECRET_KEY)], "evt_1", 1, b"{}")

    assert [part.partition(",")[0] for part in header.split(" ")] == ["v1", "v1a"]


# Keys


def test_new_keys_are_keys():
    """What keygen makes is accepted by both sides, and is another one each time."""
    secret, key = new_secret(), new_key_pair()

    assert key_from(secret) == verifier_from(secret)
    assert key_from(key.to_text()) == key
    assert verifier_from(str(key.public)) == key.public
    assert new_secret() != secret
    assert new_key_pair() != key


@pytest.mark.parametrize(
    ("text", "shown"), [(SECRET, "HmacKey()"), (SECRET_KEY, "Ed25519Key()"), (PUBLIC_KEY, "Ed25519PublicKey()")]
)
def test_a_key_does_not_show_its_secret(text, shown):
    """A key's repr holds no byte of it."""
    assert repr(verifier_from(text) if text is PUBLIC_KEY else key_from(text)) == shown
