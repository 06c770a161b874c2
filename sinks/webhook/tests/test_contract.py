"""The webhook sink keeps the contract of sinks."""

import pytest

from supertokens_events.testing import HttpAnswer, HttpPlace, SinkContract
from supertokens_events_webhook import WebhookSink

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
API_KEY = "canary-of-a-header"
TOKEN = "canary-in-the-url"


class Receiver(HttpPlace):
    """410 is what a receiver says for ever."""

    refused = HttpAnswer(410)


def settings(place, **changes):
    """For a sink that may talk to loopback, and leaves a receiver that hangs soon."""
    return {
        "url": f"{place.url}/hooks?token={TOKEN}",
        "secret": SECRET,
        "headers": {"x-api-key": API_KEY},
        "timeout": "0.5s",
        "allow_http": True,
        "allow_networks": ["127.0.0.0/8"],
        **changes,
    }


class TestWebhookSink(SinkContract):
    """One signed request for each event."""

    sink_type = WebhookSink
    is_remote = True
    can_be_away = True
    can_be_busy = True
    can_refuse = True
    sends_body = True
    secrets = (SECRET, API_KEY, TOKEN)

    @pytest.fixture
    def place(self):
        with Receiver() as place:
            yield place

    @pytest.fixture
    def sink_settings(self, place):
        return settings(place)


class TestWebhookSinkInBatches(TestWebhookSink):
    """Many events in one request, as CloudEvents in gzip: a receiver takes them all, or none."""

    can_refuse = False
    sends_body = False

    @pytest.fixture
    def sink_settings(self, place):
        return settings(place, format="cloudevents-batch", gzip=True)
