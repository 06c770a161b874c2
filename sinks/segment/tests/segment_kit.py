"""What the tests of the Segment sink share: sinks that may talk to the double, deliveries, and one call of the sink."""

import json
import time
from contextlib import asynccontextmanager

import anyio

from doubles.segment import WRITE_KEY
from supertokens_events.event import Event, with_sequence
from supertokens_events.sink import Delivery
from supertokens_events.testing import sample_event
from supertokens_events_segment import SegmentSettings, SegmentSink
from supertokens_events_segment.messages import Mapper

NOW = 1_800_000_000.104
CONTEXT = {"ip": "203.0.113.7", "user_agent": "Mozilla/5.0", "method": "POST", "path": "/auth/signin"}


def settings(**changes):
    return SegmentSettings.model_validate({"write_key": WRITE_KEY, **changes})


def segment_sink(url, *, now=time.time, **changes):
    """A sink that may talk to loopback."""
    local = {"endpoint": url, "allow_http": True, "allow_networks": ["127.0.0.0/8"]}
    return SegmentSink("analytics", settings(**(local | changes)), now=now)


def delivery(event=None, *, sequence=1, attempt=1, **fields):
    """Of an event, or of a sample of a type with these fields."""
    if not isinstance(event, Event):
        event = sample_event(event or "user.signed_in", **fields)
    body = with_sequence(event.to_bytes(), sequence)
    return Delivery("analytics", event.id, event.type, sequence, event.tenant_id, event.user_id, body, attempt)


def deliveries(count, event_type="user.signed_in", **fields):
    return [delivery(event_type, sequence=number, **fields) for number in range(1, count + 1)]


@asynccontextmanager
async def opened(sink):
    """The sink, open; nothing with it takes longer than 20 s."""
    await sink.open()
    try:
        with anyio.fail_after(20):
            yield sink
    finally:
        await sink.close()


async def deliver(sink, *sent):
    """The outcomes of one call, with the sink opened before and closed after it."""
    async with opened(sink):
        return await sink.deliver(sent or [delivery()])


def messages(event=None, *, mapping=None, traits=None, event_fields=None, **changes):
    """The messages of one event, read again."""
    given = {"mapping": mapping or {}, **({} if traits is None else {"traits": traits}), **changes}
    made = Mapper(settings(**given)).messages(delivery(event, **(event_fields or {})))
    assert isinstance(made, list), made
    return [json.loads(message) for message in made]
