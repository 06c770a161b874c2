"""The Slack sink keeps the contract of sinks: through a webhook, and with a token."""

import json

import pytest
from slack_sinks import Time

from supertokens_events.sink import Delivered
from supertokens_events.testing import HttpAnswer, HttpPlace, SinkContract, deviates
from supertokens_events_slack import SlackSink

PATH = "/services/T00000000/B00000000/canaryOfTheContract01"
TOKEN = "xoxb-canary-of-the-contract"


def settings(**own):
    """For a sink that may talk to loopback, and leaves a Slack that hangs soon."""
    return {**own, "timeout": "0.5s", "allow_http": True, "allow_networks": ["127.0.0.0/8"]}


class Webhook(HttpPlace):
    """Slack's incoming webhooks: a code in plain text."""

    refused = HttpAnswer(400, b"invalid_blocks")

    def text_of(self, request):
        return json.dumps(json.loads(request.text), ensure_ascii=False)


def said(**document):
    """As the Web API answers: the status is 200, whatever it says."""
    return HttpAnswer(200, json.dumps(document).encode(), {"content-type": "application/json"})


class WebApi(Webhook):
    """``chat.postMessage``."""

    taken = said(ok=True, channel="C0123456789", ts="1800000000.000100")
    refused = said(ok=False, error="invalid_blocks")

    def answer_to(self, request):
        return said(ok=True, url="https://example.slack.com/") if request.target == "/api/auth.test" else self.taken

    def takes(self, answer):
        return answer.body == self.taken.body


class TestSlackSink(SinkContract):
    """A message about what is due together."""

    sink_type = SlackSink
    is_remote = True
    can_be_away = True
    can_be_busy = True
    can_refuse = True
    sends_body = False  # a message is for people
    secrets = (PATH,)

    @pytest.fixture
    def place(self):
        with Webhook() as place:
            yield place

    @pytest.fixture
    def sink_settings(self, place):
        return settings(webhook_url=place.url + PATH)

    def build(self, own, folder):
        """On a clock on which the second between two messages is over at once."""
        settings, _ = self.load(own, folder)
        time = Time()
        return SlackSink("contract", settings.sinks["contract"].settings, clock=time, sleep=time.sleep)

    @deviates("Many events are one message, which says how many of each type there were, and not about whom.")
    def test_it_takes_a_full_batch(self, sink, place):
        """As many as its ``batch`` allows are one message, which counts them."""
        deliveries = self.deliveries(sink.batch.size)

        outcomes = self.run_once(sink, deliveries)

        assert [type(one) for one in outcomes] == [Delivered] * len(deliveries)
        (message,) = place.received()
        assert f"{len(deliveries)}" in message


class TestSlackSinkWithAToken(TestSlackSink):
    """The same as an app's user, who may post to more channels than one."""

    secrets = (TOKEN,)

    @pytest.fixture
    def place(self):
        with WebApi() as place:
            yield place

    @pytest.fixture
    def sink_settings(self, place):
        return settings(token=TOKEN, channel="#auth", api_url=place.url + "/api/")
