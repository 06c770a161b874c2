"""The Slack sink at the end of the whole line: a real outbox, a real dispatcher, and a Slack that counts real seconds."""

import anyio
import anyio.lowlevel
import pytest
from slack_sinks import webhook_settings

from doubles.slack import SlackDouble, shown
from supertokens_events.dispatch import Dispatcher
from supertokens_events.ledger import Ledger
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery, SqliteOutbox
from supertokens_events.plugins import load_plugins
from supertokens_events.testing import RecordingSink, sample_event
from supertokens_events_slack import SlackSettings, SlackSink

pytestmark = pytest.mark.anyio


@pytest.fixture
def slack():
    """In real time, which is what the dispatcher goes by."""
    with SlackDouble() as double:
        yield double


@pytest.fixture
def outbox(tmp_path):
    outbox = SqliteOutbox(tmp_path / "events.db")
    yield outbox
    outbox.close()


def append(outbox, count, *sinks, event_type="user.sign_in.failed"):
    events = [sample_event(event_type) for _ in range(count)]
    outbox.append([Entry(event, event.to_bytes(), [NewDelivery(sink) for sink in sinks]) for event in events])


def dispatcher(outbox, *sinks):
    return Dispatcher(sinks, outbox, load_plugins((), disable="*"), Ledger(), poll_interval=0.05)


def oncall(settings):
    return SlackSink("oncall", SlackSettings.model_validate(settings))


def disabled(outbox):
    return next(status.disabled for status in outbox.status() if status.sink == "oncall")


async def test_a_burst_through_the_line(slack, outbox):
    """An event that comes alone is told at once, and the 600 behind it in two messages, with no answer of 429 among them."""
    append(outbox, 1, "oncall")
    sink = oncall(webhook_settings(slack))
    line = dispatcher(outbox, sink)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.run)
        await anyio.to_thread.run_sync(slack.wait_for, 1)
        append(outbox, 600, "oncall")
        await anyio.to_thread.run_sync(slack.wait_for, 3)
        line.stop(1)

    states = [delivery.state for delivery in outbox.deliveries(sink="oncall", limit=1000)]
    assert states == [DeliveryState.DONE] * 601
    assert len(slack.requests) == 3
    assert sorted(shown(message).split("\n")[0] for message in slack.messages[1:]) == ["*100 events*", "*500 events*"]


async def test_a_place_that_is_gone_keeps_what_waits(slack, outbox):
    """A removed webhook disables the sink: one delivery is dead, the others wait, and another sink gets all of its own."""
    slack.webhook_error = (404, "no_service")
    append(outbox, 50, "oncall", "other")
    other = RecordingSink("other")
    line = dispatcher(outbox, oncall(webhook_settings(slack)), other)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.run)
        with anyio.fail_after(10):
            while len(other.deliveries) < 50 or not disabled(outbox):  # noqa: ASYNC110 - both are looked up
                await anyio.sleep(0.02)
        line.stop(1)

    states = [delivery.state for delivery in outbox.deliveries(sink="oncall")]
    assert sorted(states) == sorted([DeliveryState.DEAD] + [DeliveryState.PENDING] * 49)
    assert "no_service" in disabled(outbox).reason
