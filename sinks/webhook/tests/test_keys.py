"""The keys of a sink while one of them is replaced: which sign, until when, and what is said of them."""

from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
from pydantic import ValidationError
from webhook_receivers import NOW, OLD_SECRET, SECRET, Receiver, deliver, delivery, webhook

from supertokens_events.testing import sample_event
from supertokens_events_webhook import WebhookSettings

THEN = datetime.fromtimestamp(NOW, UTC)


@pytest.fixture
def anyio_backend():
    return "asyncio"


def rotating(until=THEN + timedelta(days=1)):
    """A new key, and the old one until then."""
    return [SECRET, {"key": OLD_SECRET, "until": until}]


def problem(secret):
    """What is wrong with the setting, and where."""
    with pytest.raises(ValidationError) as caught:
        WebhookSettings.model_validate({"url": "https://crm.example.com/hook", "secret": secret})
    (detail,) = caught.value.errors(include_input=False)
    assert "hunter2" not in str(caught.value)
    return ".".join(map(str, detail["loc"])), detail["msg"].removeprefix("Value error, ")


@pytest.mark.anyio
@pytest.mark.parametrize(("seconds", "count"), [(-1, 2), (0, 1), (1, 1)])
async def test_a_key_signs_until_its_end(seconds, count):
    """Up to its end an event is signed with both keys, from then on with the one that stays."""
    end = THEN + timedelta(days=1)
    async with Receiver() as server:
        await deliver(webhook(server.url, secret=rotating(end), now=lambda: end.timestamp() + seconds))

    assert server.requests[0].signed[2].count("v1,") == count


@pytest.mark.anyio
@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_both_receivers_verify(secret):
    """During a rotation who has the new key verifies an event, and so does who has the old one."""
    until = datetime.now(UTC) + timedelta(days=1)
    async with Receiver() as server:
        await deliver(webhook(server.url, secret=rotating(until)), delivery(sample_event().to_bytes()))

    (request,) = server.requests
    assert standardwebhooks.Webhook(secret).verify(request.body, request.headers)


def test_one_key_stays():
    """A configuration that would have no key left one day is refused today."""
    ends = {"key": OLD_SECRET, "until": THEN}

    assert problem(ends) == ("secret", "one key needs no 'until': nothing could be signed after the last of them")
    assert problem([ends, ends])[0] == "secret"


@pytest.mark.parametrize(
    ("secret", "place", "sentence"),
    [
        ([SECRET, {"key": "whsec_aHVudGVyMg=="}], "secret.1.key", "expected 'whsec_' and the base64 of 24 to 64 bytes"),
        ([SECRET, {"key": OLD_SECRET, "til": THEN}], "secret.1.til", "Extra inputs"),
        ([SECRET, {"until": THEN}], "secret.1.key", "Field required"),
        (
            [SECRET, {"key": OLD_SECRET, "until": THEN.replace(tzinfo=None)}],
            "secret.1.until",
            "Input should have timezone",
        ),
        ([SECRET, {"key": OLD_SECRET, "until": "hunter2"}], "secret.1.until", "Input should be a valid datetime"),
        ([SECRET, 17], "secret", "expected a key, or a table such as { key = "),
    ],
)
def test_what_is_wrong_with_a_table(secret, place, sentence):
    """The sentence stands at the entry and does not repeat the key."""
    found = problem(secret)

    assert found[0] == place
    assert found[1].startswith(sentence)


def test_check_says_what_ended_and_what_ends():
    """A key that has ended, and one that ends within a week, are told by their place in the list; others are not."""
    secrets = [
        SECRET,
        {"key": OLD_SECRET, "until": THEN - timedelta(seconds=1)},
        {"key": OLD_SECRET, "until": THEN + timedelta(days=6)},
        {"key": OLD_SECRET, "until": THEN + timedelta(days=8)},
    ]

    ended, ends = webhook("https://crm.example.com", secret=secrets, now=lambda: NOW).warnings()

    assert (
        ended
        == "secret: key 2 has ended at 2027-01-15T07:59:59.900000Z, events are not signed with it any more: take it out"
    )
    assert ends.startswith("secret: key 3 ends at 2027-01-21T08:00:00.900000Z: ")


def test_no_key_is_shown():
    """A table's key is in no repr."""
    settings = WebhookSettings.model_validate({"url": "https://crm.example.com/hook", "secret": rotating()})

    assert not any(text in repr(settings) + str(settings) for text in ("MfKQ9r8", "bbbbbb"))
