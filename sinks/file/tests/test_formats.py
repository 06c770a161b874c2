"""What a line says: the event as stored, or a CloudEvent, read by a library that is not ours."""

import json

import pytest
from cloudevents.core.formats.json import JSONFormat
from filing import deliver, said, stored

from supertokens_events import cloudevents
from supertokens_events.sink import Delivered, Delivery, Rejected

pytestmark = pytest.mark.anyio


async def test_jsonl_is_what_was_stored(path):
    """By default a line is the stored event, byte for byte."""
    one = stored(data={"name": "Zoë\u2028\n"})

    await deliver(path, one)

    assert path.read_bytes() == one.body + b"\n"


async def test_a_cloudevent_is_a_line(tmp_path):
    """The CloudEvents SDK reads a line as the event, with the stored event as its data."""
    one = stored(source="https://api.example.com")

    line = await said(tmp_path, one, "cloudevents")

    read = JSONFormat().read(None, json.dumps(line))
    assert (read.get_id(), read.get_type(), read.get_source()) == (
        one.event_id,
        one.event_type,
        "https://api.example.com",
    )
    assert (read.get_subject(), read.get_time()) == (one.user_id, one.event.timestamp)
    assert read.get_data() == json.loads(one.body)


async def test_a_cloudevent_is_what_other_sinks_say(path):
    """The line is the core's structured CloudEvent: a webhook posts the same."""
    one = stored("session.revoked")

    await deliver(path, one, format="cloudevents")

    assert path.read_bytes() == cloudevents.structured(one, one.body) + b"\n"


@pytest.mark.parametrize("format_", ["cloudevents", "ocsf"])
@pytest.mark.parametrize("body", [b"", b"[]", b'{"id":"evt_1"', b'{"id":"evt_1"}', b"\xff"])
async def test_what_is_no_event_is_rejected_alone(path, format_, body):
    """A stored body that is no event becomes a dead letter with its reason; the events beside it are written."""
    broken = Delivery("audit", "evt_1", "user.created", 1, None, None, body)

    outcomes = await deliver(path, stored(), broken, stored(), format=format_)

    reason = f"it cannot be said as {format_}: what is stored is not an event"
    assert outcomes == [Delivered(), Rejected(reason), Delivered()]
    assert len(path.read_bytes().splitlines()) == 2
