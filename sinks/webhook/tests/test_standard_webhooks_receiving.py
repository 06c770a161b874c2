"""The receiving side of Standard Webhooks 1.0.0, row by row: each test is named after its row of the conformance table."""

import base64
import hmac
from pathlib import Path

import pytest

import supertokens_events_webhook.signing
from supertokens_events.event import new_event_id
from supertokens_events.retry import RetryPolicy
from supertokens_events.testing import sample_event
from supertokens_events_webhook.receiver import (
    InMemoryDeduplicator,
    Reason,
    SqlDeduplicator,
    SqliteDeduplicator,
    Webhook,
    WebhookVerificationError,
)
from supertokens_events_webhook.receiver.deduplicate import REMEMBER
from supertokens_events_webhook.signing import InvalidKey, key_from, new_key_pair, new_secret, signature_header

NOW = 1_800_000_000
ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
V1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
SECRET_KEY = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
SEED = "whsk_" + base64.b64encode(base64.b64decode(SECRET_KEY[5:])[:32]).decode()
V1A = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="


def headers(signature, event_id=ID, timestamp=TIMESTAMP):
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def accepted(keys, signature):
    """Whether the specification's example verifies with this header."""
    try:
        Webhook(keys, now=lambda: TIMESTAMP).authenticate(headers(signature), BODY)
    except WebhookVerificationError as error:
        if error.reason is Reason.NOT_SIGNED:
            return False
        raise
    return True


def reason_at(age):
    """Why an event is refused that was signed so many seconds ago; None when it is not."""
    event = sample_event()
    signature = signature_header([key_from(SECRET)], event.id, NOW - age, event.to_bytes())
    try:
        Webhook(SECRET, now=lambda: NOW).verify(headers(signature, event.id, NOW - age), event.to_bytes())
    except WebhookVerificationError as error:
        return error.reason
    return None


@pytest.mark.parametrize("size", [0, 1, 23, 65, 128])
def test_row_12_a_v1_secret_of_another_size_is_refused(size):
    """A receiver, too, takes secrets of 24 to 64 bytes only."""
    with pytest.raises(InvalidKey, match=f"got {size} bytes"):
        Webhook("whsec_" + base64.b64encode(bytes(size)).decode())


def test_row_12_the_v1_vector_verifies():
    """HMAC-SHA256 over id, time and body, as the specification's example has it."""
    assert accepted(SECRET, V1)
    assert not accepted(SECRET, V1.replace("g0h", "g1h"))


@pytest.mark.parametrize(
    "key", [PUBLIC_KEY, SECRET_KEY, "whsk_" + base64.b64encode(base64.b64decode(SECRET_KEY[5:])[:32]).decode()]
)
def test_row_13_the_v1a_vector_verifies(key):
    """ed25519, by the public key or the public half of the secret one, in both of its layouts."""
    assert accepted(key, V1A)
    assert not accepted(key, V1A.replace("hnO", "hnP"))


def test_row_13_a_public_key_takes_no_hmac():
    """Whoever knows the public key, which is everybody, cannot sign with it in `v1`."""
    mac = hmac.digest(base64.b64decode(PUBLIC_KEY[5:]), b"%s.%d.%s" % (ID.encode(), TIMESTAMP, BODY), "sha256")

    assert not accepted(PUBLIC_KEY, "v1," + base64.b64encode(mac).decode())
    assert not accepted(PUBLIC_KEY, "v1a," + base64.b64encode(mac).decode())


def test_row_14_any_signature_by_any_key_will_do():
    """While a key is rotated the sender signs with both, and the receiver knows the old one, the new one, or both."""
    new = new_secret()
    both = signature_header([key_from(SECRET), key_from(new)], ID, TIMESTAMP, BODY)
    pair = new_key_pair()

    assert all(accepted(keys, both) for keys in (SECRET, new, [new, SECRET], [str(pair.public), new]))
    assert not accepted(new_secret(), both)


def test_row_14_a_key_that_was_taken_away_verifies_nothing():
    """What only the old key has signed is refused once the receiver has it no more."""
    old = signature_header([key_from(SECRET)], ID, TIMESTAMP, BODY)

    assert accepted([SECRET, new_secret()], old)
    assert not accepted([new_secret()], old)


def test_row_15_no_two_keys_are_the_same():
    """Each destination gets a key of its own: keys are made, not chosen."""
    assert len({new_secret() for _ in range(100)} | {new_key_pair().to_text() for _ in range(100)}) == 200


def test_row_16_a_receiver_needs_no_secret():
    """With an asymmetric key the receiver has nothing with which anybody could sign."""
    with pytest.raises(InvalidKey, match="got a public key, which cannot sign"):
        key_from(PUBLIC_KEY)


def test_row_17_comparison_takes_constant_time():
    """No signature is compared with `==`: HMACs with `hmac.compare_digest`, ed25519 by `cryptography`."""
    folder = Path(supertokens_events_webhook.signing.__file__).parent
    v1, v1a = ((folder / name).read_text() for name in ("v1.py", "v1a.py"))

    assert "hmac.compare_digest(self._mac(content)" in v1
    assert "self._public.verify(decoded, content)" in v1a
    assert "==" not in v1 + v1a.replace("(seed", "")


@pytest.mark.parametrize(
    ("age", "reason"),
    [
        (0, None),
        (300, None),
        (-300, None),
        (301, Reason.TOO_OLD),
        (-301, Reason.TOO_NEW),
        (NOW, Reason.TOO_OLD),
        (-10 * NOW, Reason.TOO_NEW),
    ],
)
def test_row_18_five_minutes_are_tolerated(age, reason):
    """In both directions, to the second."""
    assert reason_at(age) is reason


def test_row_18_an_attempt_long_after_the_event_is_fresh():
    """The time is the attempt's: an event of three days ago that is signed now verifies."""
    event = sample_event(timestamp="2020-01-01T00:00:00Z")
    signature = signature_header([key_from(SECRET)], event.id, NOW, event.to_bytes())

    assert Webhook(SECRET, now=lambda: NOW).verify(headers(signature, event.id, NOW), event.to_bytes()) == event


def test_row_19_the_id_is_the_key_of_what_was_handled():
    """The event has the id of the header, the same for each attempt, and a repeat is recognised by it."""
    event, deduplicator = sample_event(id=new_event_id()), InMemoryDeduplicator()
    webhook, firsts = Webhook(SECRET, now=lambda: NOW), []

    for attempt in (NOW - 60, NOW):
        signature = signature_header([key_from(SECRET)], event.id, attempt, event.to_bytes())
        received = webhook.verify(headers(signature, event.id, attempt), event.to_bytes())
        with deduplicator.once(received.id) as first:
            firsts.append(first)

    assert firsts == [True, False]


@pytest.mark.parametrize("kind", [InMemoryDeduplicator, SqlDeduplicator, SqliteDeduplicator])
def test_row_19_the_memory_outlasts_the_schedule(kind):
    """By default it remembers longer than a sender tries, jitter and a day of Retry-After included."""
    remembered = kind.__init__.__kwdefaults__["remember"]

    assert remembered == REMEMBER > RetryPolicy().span * 1.2 + 86400


@pytest.mark.parametrize(
    "signature",
    [
        f"v2,AAAA {V1}",
        f"{V1} v2,AAAA",
        f"v0 {V1}",
        f"v1 {V1}",
        f"v1,, {V1}",
        f"v1,é {V1}",
        f"v1,not*base64 {V1}",
        f"v1,{'A' * 1000} {V1}",
        f"v1a,AAAA {V1}",
        f", {V1}",
        f"  {V1}  ",
        f"V1,{V1[3:]} {V1}",
    ],
)
def test_row_20_what_is_unknown_or_malformed_is_passed_over(signature):
    """Items that say nothing to us neither crash nor count; the one that does is found among them."""
    assert accepted(SECRET, signature)
    assert not accepted(SECRET, signature.replace(V1, ""))


@pytest.mark.parametrize(
    "change",
    [
        str.lower,
        lambda v: v.rstrip("="),
        lambda v: v + "=",
        lambda v: v.replace(",", ", "),
        lambda v: v.replace("=", ","),
    ],
)
def test_row_20_what_resembles_a_signature_is_none(change):
    """There is one way to write a signature down."""
    assert not accepted(SECRET, change(V1))
    assert not accepted(PUBLIC_KEY, change(V1A))


def test_row_20_another_spelling_of_a_signature_is_none():
    """base64 can say the same bytes in several ways: only the one that a sender makes is taken."""
    spelled = V1A[:-3] + chr(ord(V1A[-3]) + 1) + "=="

    assert base64.b64decode(spelled[4:]) == base64.b64decode(V1A[4:])
    assert not accepted(PUBLIC_KEY, spelled)
