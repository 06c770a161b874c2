"""What the tests of the Slack sink share: a clock that moves when somebody sleeps, sinks by settings, deliveries, one call."""

import json

import anyio

from supertokens_events.event import with_sequence
from supertokens_events.sink import Delivery
from supertokens_events.testing import sample_event
from supertokens_events_slack import SlackSettings, SlackSink

NOW = 1_800_000_000.0


class Time:
    """Seconds that pass when somebody sleeps, and not otherwise. It is the sink's clock and the double's."""

    def __init__(self):
        self.now = NOW
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()


def made(settings, time, name="oncall"):
    """A sink of these settings, on this clock."""
    return SlackSink(name, SlackSettings.model_validate(settings), now=time, clock=time, sleep=time.sleep)


def webhook_settings(slack, **changes):
    """What a webhook's sink is made of, for the double."""
    return {"webhook_url": slack.webhook_url, "allow_http": True, "allow_networks": ["127.0.0.0/8"]} | changes


def token_settings(slack, **changes):
    """What an app's sink is made of, for the double."""
    here = {"api_url": slack.api_url, "allow_http": True, "allow_networks": ["127.0.0.0/8"]}
    return {"token": slack.token, "channel": "#auth"} | here | changes


def delivery(event_type="user.created", number=1, *, sink="oncall", **fields):
    """An event of this type on its way; ``fields`` are the event's own."""
    event = sample_event(event_type, id=f"evt_{number:026}", **fields)
    body = with_sequence(event.to_bytes(), number)
    return Delivery(sink, event.id, event.type, number, event.tenant_id, event.user_id, body)


def raw(document, number=1, event_type="user.created"):
    """A delivery whose stored body is this, event or not."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Delivery("oncall", f"evt_{number}", event_type, number, "public", "u1", body)


async def deliver(sink, *deliveries):
    """The outcomes of one call, with the sink opened before and closed after it."""
    await sink.open()
    try:
        with anyio.fail_after(20):
            return await sink.deliver(deliveries or [delivery()])
    finally:
        await sink.close()
