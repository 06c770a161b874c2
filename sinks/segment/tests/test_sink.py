"""The Segment sink against a double of Segment: what it sends, in which batches, and that it says no secret."""

import base64
import json
import logging
from collections import Counter

import anyio
import pytest
from segment_kit import NOW, deliver, deliveries, delivery, segment_sink

from doubles.segment import WRITE_KEY, SegmentDouble
from supertokens_events import Events
from supertokens_events.sink import Delivered, Rejected, Retry
from supertokens_events.testing import sample_event
from supertokens_events_segment.batches import MAX_BYTES, Parcel, body_of, packed

pytestmark = pytest.mark.anyio

TOKEN = base64.b64encode(f"{WRITE_KEY}:".encode()).decode()


async def test_a_batch_is_posted(segment):
    """A POST of JSON to /v1/batch, with the write key as the user of Basic authentication; it says when it was sent."""
    outcomes = await deliver(segment_sink(segment.url, now=lambda: NOW))

    (request,) = segment.requests
    assert request.line == "POST /v1/batch HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"Basic {TOKEN}"
    assert request.headers["user-agent"].startswith("supertokens-events-segment/")
    assert json.loads(request.body).keys() == {"batch", "sentAt"}
    assert json.loads(request.body)["sentAt"] == "2027-01-15T08:00:00.104Z"
    assert outcomes == [Delivered({"status": 200})]


async def test_the_messages_arrive(segment, sink):
    """Segment has every message of every event, and drops none."""
    types = ("user.created", "user.signed_in", "account.linked")
    events = [sample_event(event_type, user_id="5d2f7c14") for event_type in types]
    await deliver(sink, *map(delivery, events))

    assert Counter(message["type"] for message in segment.messages) == {"track": 3, "identify": 1, "alias": 1}
    assert {message["messageId"].partition("-")[0] for message in segment.messages} == {event.id for event in events}
    assert segment.dropped == []


async def test_a_repeat_is_recognised(segment, sink):
    """An event that comes twice is dropped by Segment: its messages have the same ids."""
    stored = delivery("user.created")
    await deliver(sink, stored)
    await deliver(segment_sink(segment.url), stored)

    assert len(segment.messages) == 2
    assert [flaw for flaw, _ in segment.dropped] == ["repeated", "repeated"]


async def test_a_request_has_at_most_100_messages(segment, sink):
    """A hundred events of two messages each are two requests, and no event is torn apart."""
    outcomes = await deliver(sink, *deliveries(100, "user.created"))

    assert [len(request.batch) for request in segment.requests] == [100, 100]
    assert all(request.batch[0]["type"] == "identify" for request in segment.requests)
    assert outcomes == [Delivered({"status": 200})] * 100


async def test_a_request_has_at_most_475_000_bytes(segment):
    """What is really sent is counted: large events make more requests, each below the limit and as full as can be."""
    sink = segment_sink(segment.url, mapping={"app.noted": {"properties": ["text"]}})
    events = deliveries(40, "app.noted", data={"text": "é" * 15_000})
    outcomes = await deliver(sink, *events)

    sizes = [len(request.body) for request in segment.requests]
    assert max(sizes) <= MAX_BYTES
    assert max(sizes) > MAX_BYTES - 33_000
    assert sum(len(request.batch) for request in segment.requests) == 40
    assert outcomes == [Delivered({"status": 200})] * 40


def test_the_size_of_a_batch_is_exact():
    """A batch that is full to the byte is one request; one byte more makes two."""
    empty = len(body_of([], "2026-11-23T07:15:22.104Z"))
    full = [Parcel(number, f"evt_{number}", [b"x" * 18_999]) for number in range(24)]
    rest = MAX_BYTES - empty - sum(parcel.size for parcel in full) - 1

    (batch,) = packed([*full, Parcel(24, "evt_24", [b"x" * rest])])
    assert len(body_of(batch, "2026-11-23T07:15:22.104Z")) == MAX_BYTES - 1  # a comma less than parcels
    assert len([*packed([*full, Parcel(24, "evt_24", [b"x" * (rest + 1)])])]) == 2


async def test_only_what_is_too_large_is_dead(segment):
    """One event above 32 KB is rejected with its size; those beside it go."""
    sink = segment_sink(segment.url, mapping={"app.noted": {"properties": ["text"]}})
    large = delivery("app.noted", data={"text": "x" * 40_000})
    before, rejected, after = await deliver(sink, delivery(), large, delivery())

    assert isinstance(rejected, Rejected)
    assert "and Segment takes 32,768" in rejected.reason
    assert before == after == Delivered({"status": 200})
    assert len(segment.messages) == 2


async def test_what_is_off_needs_no_request(segment):
    """A call in which nothing is to be sent asks nobody."""
    (outcome,) = await deliver(segment_sink(segment.url, mapping={"user.signed_in": "off"}))

    assert isinstance(outcome, Delivered)
    assert segment.requests == []


async def test_outcomes_are_in_order(segment):
    """One outcome for each delivery, in their order, whatever came of those around it."""
    sink = segment_sink(segment.url, mapping={"session.created": "off", "app.noted": {"properties": ["text"]}})
    large = delivery("app.noted", data={"text": "x" * 40_000})
    outcomes = await deliver(sink, delivery("session.created"), delivery(), large, delivery("user.created"))

    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered, Rejected, Delivered]
    assert [outcome.detail.get("sent", True) for outcome in outcomes] == [False, True, True, True]


async def test_calls_at_once_do_not_mix(segment):
    """Ten calls at the same time have their own outcomes and send each event once."""
    sink = segment_sink(segment.url)
    sent = [deliveries(7) for _ in range(10)]
    counts = []
    await sink.open()
    async with anyio.create_task_group() as calls:
        for batch in sent:
            calls.start_soon(lambda batch=batch: _count(sink, batch, counts))
    await sink.close()

    assert counts == [7] * 10
    assert len(segment.messages) == 70


async def _count(sink, batch, counts):
    counts.append(len(await sink.deliver(batch)))


async def test_nobody_there_is_away():
    """An endpoint that cannot be reached is away: it is not the event's fault."""
    async with SegmentDouble() as gone:
        url = gone.url
    (outcome,) = await deliver(segment_sink(url))

    assert isinstance(outcome, Retry)
    assert outcome.away
    assert "refused the connection" in outcome.reason


async def test_an_address_inside_is_refused(segment):
    """Without allow_networks nothing on this machine is called."""
    (outcome,) = await deliver(segment_sink(segment.url, allow_networks=[]))

    assert isinstance(outcome, Retry)
    assert "allow_networks" in outcome.reason
    assert segment.requests == []


async def test_check_sends_nothing(segment, sink):
    """It connects, and no more; and it says when it cannot."""
    assert await sink.check() == []
    assert segment.requests == []

    async with SegmentDouble() as gone:
        url = gone.url
    (sentence,) = await segment_sink(url).check()
    assert "refused the connection" in sentence


@pytest.mark.parametrize("echo", [WRITE_KEY, TOKEN, f"Basic {TOKEN}"])
@pytest.mark.parametrize("status", ["200 OK", "400 Bad", "401 No", "403 No", "404 No", "429 Slow", "500 Oh", "501 No"])
async def test_the_write_key_is_never_kept(segment, sink, caplog, echo, status):
    """An answer that repeats the key does not bring it into an outcome or a log."""
    caplog.set_level(logging.DEBUG)
    segment.answers.append(
        f"HTTP/1.1 {status}\r\nx-request-id: {echo}\r\ncontent-length: {len(echo)}\r\n\r\n{echo}".encode()
    )
    (outcome,) = await deliver(sink)

    assert WRITE_KEY not in f"{outcome!r} {caplog.text}"
    assert TOKEN not in f"{outcome!r} {caplog.text}"


async def test_a_dispatcher_delivers_it_all(segment, tmp_path):
    """Through the whole line: what an app emits is with Segment when the dispatcher is done."""
    events = Events.from_dict(
        {
            "outbox": {"url": f"sqlite:///{tmp_path}/events.db"},
            "dispatcher": {"run": "off"},
            "sinks": {
                "analytics": {
                    "type": "segment",
                    "events": ["*"],
                    "write_key": WRITE_KEY,
                    "endpoint": segment.url,
                    "allow_http": True,
                    "allow_networks": ["127.0.0.0/8"],
                }
            },
        }
    )
    for number in range(250):
        await events.emit(
            "user.signed_in", user_id=f"u{number}", data={"method": "passwordless", "recipe_user_id": "r"}
        )
    await events.dispatcher().run_until_empty()
    await anyio.to_thread.run_sync(events.stop)

    assert {message["userId"] for message in segment.messages} == {f"u{number}" for number in range(250)}
    assert max(len(request.batch) for request in segment.requests) == 100
    assert segment.dropped == []
