"""Segment's own Python library as the oracle: said the same facts, it sends what we send, but for differences named here."""

import json
from datetime import datetime

import pytest
from anyio import to_thread
from segment.analytics import request as library_request
from segment.analytics.client import Client
from segment.analytics.consumer import BATCH_SIZE_LIMIT, MAX_MSG_SIZE
from segment_kit import CONTEXT, deliver, delivery, segment_sink

from doubles.segment import WRITE_KEY, SegmentDouble
from supertokens_events.testing import sample_event
from supertokens_events_segment.batches import MAX_BYTES, MAX_MESSAGES
from supertokens_events_segment.messages import MAX_MESSAGE

pytestmark = pytest.mark.anyio

TRAITS = ["createdAt", "email", "email_verified", "method", "phone"]
THEIRS = {"ip": CONTEXT["ip"], "userAgent": CONTEXT["user_agent"]}

# What their messages have and ours do not: each is empty.
THEIR_EMPTY_FIELDS = {"integrations": {}, "anonymousId": None}


@pytest.fixture
async def library():
    """What the library sends for the calls of ``say``, as requests that a double got."""

    async def requests(say):
        async with SegmentDouble() as double:
            client = Client(WRITE_KEY, host=f"http://{double.host}", sync_mode=True)
            await to_thread.run_sync(say, client)
            library_request._session.close()  # it keeps its connections for ever
            return double.requests

    return requests


def fact(event_type, **fields):
    return sample_event(event_type, **({"context": CONTEXT, "tenant_id": "acme"} | fields))


def common(event, call=""):
    return {
        "user_id": event.user_id,
        "timestamp": event.timestamp,
        "message_id": f"{event.id}{call}",
        "context": {**THEIRS, "groupId": "acme"},
    }


def identify(client, event):
    created = event.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    traits = {"createdAt": created, "email": "ada@example.com", "email_verified": False, "method": "emailpassword"}
    client.identify(traits=traits, **common(event, "-identify"))


def signed_up(client, event):
    identify(client, event)
    client.track(event="Signed Up", properties=dict(event.data), **common(event))


def grouped(client, event):
    client.group(group_id="acme", **common(event, "-group"))
    client.track(event="Account Added User", properties=dict(event.data), **common(event))


def linked(client, event):
    client.alias(previous_id=event.data["recipe_user_id"], **common(event, "-alias"))
    told = ("recipe_user_id", "primary_user_id", "primary_tenant_ids")
    client.track(event="Account Linked", properties={name: event.data[name] for name in told}, **common(event))


def failed(client, event):
    given = common(event) | {"anonymous_id": "supertokens-events"}
    client.track(event="User Sign In Failed", properties=dict(event.data), **given)


@pytest.mark.parametrize(
    ("event_type", "say", "fields"),
    [
        ("user.created", signed_up, {}),
        ("tenant.user.associated", grouped, {}),
        ("account.linked", linked, {"user_id": "5d2f7c14-3b8e-4f0a-8e21-9a6c0d4b7e35"}),
        ("user.sign_in.failed", failed, {"user_id": None}),
    ],
)
async def test_our_messages_are_the_librarys(library, segment, event_type, say, fields):
    """Field by field, for each of the four calls and for nobody: the same but for the library's name and what is empty."""
    event = fact(event_type, **fields)
    theirs = [message for request in await library(lambda client: say(client, event)) for message in request.batch]
    await deliver(segment_sink(segment.url, traits=TRAITS, context=["ip", "user_agent"]), delivery(event))
    ours = segment.requests[0].batch

    assert [_but_for_what_differs(message, _OURS) for message in ours] == [
        _but_for_what_differs(message, _LIBRARYS) for message in theirs
    ]
    assert segment.dropped == []


_OURS, _LIBRARYS = "supertokens-events-segment", "analytics-python"


def _but_for_what_differs(message, library):
    """``message`` without the library's name and version, with its time as a time, and without fields that say nothing."""
    message = json.loads(json.dumps(message))
    assert message["context"].pop("library")["name"] == library
    message["timestamp"] = datetime.fromisoformat(message["timestamp"])
    empty = THEIR_EMPTY_FIELDS | {"userId": None}
    return {name: value for name, value in message.items() if not (name in empty and empty[name] == value)}


async def test_the_request_is_the_librarys_but_for_the_key(library, segment):
    """Same path, same type, same Authorization. They put the write key into the body as well; we have it in one place."""
    event = fact("user.signed_in")
    (theirs,) = await library(lambda client: client.track(event="Signed In", **common(event)))
    await deliver(segment_sink(segment.url), delivery(event))
    (ours,) = segment.requests

    for same in ("authorization", "content-type"):
        assert ours.headers[same] == theirs.headers[same]
    assert ours.line == theirs.line
    assert json.loads(theirs.body).keys() - json.loads(ours.body).keys() == {"writeKey"}
    assert json.loads(ours.body).keys() == {"batch", "sentAt"}
    assert WRITE_KEY.encode() not in ours.body


def test_our_limits_are_the_librarys():
    """What goes into a request, and how large a message may be."""
    assert (Client.DefaultConfig.upload_size, BATCH_SIZE_LIMIT, MAX_MSG_SIZE) == (MAX_MESSAGES, MAX_BYTES, MAX_MESSAGE)
