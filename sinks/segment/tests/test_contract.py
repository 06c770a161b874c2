"""The Segment sink keeps the contract of sinks."""

import pytest

from supertokens_events.sink import Delivered, Rejected, Retry
from supertokens_events.testing import HttpAnswer, HttpPlace, SinkContract, deviates
from supertokens_events_segment import SegmentSink

WRITE_KEY = "canaryOfTheContract0123456789abc"


class Segment(HttpPlace):
    """What its API says to a batch."""

    taken = HttpAnswer(200, b'{"success": true}', {"content-type": "application/json"})
    refused = HttpAnswer(400, b'{"success": false, "message": "malformed JSON", "code": "invalid_request"}')


class TestSegmentSink(SinkContract):
    """Messages in batches; one that is refused is looked for in parts of its batch."""

    sink_type = SegmentSink
    is_remote = True
    can_be_away = True
    can_be_busy = True
    can_refuse = True
    sends_body = False  # identify, track, group and alias calls
    secrets = (WRITE_KEY,)

    @pytest.fixture
    def place(self):
        with Segment() as place:
            yield place

    @pytest.fixture
    def sink_settings(self, place):
        return {
            "write_key": WRITE_KEY,
            "endpoint": place.url,
            "timeout": "0.5s",
            "allow_http": True,
            "allow_networks": ["127.0.0.0/8"],
        }

    @deviates("a 400 to the first event of all may be the place's: it is final once Segment has taken another one")
    def test_a_refusal_is_final(self, sink, place):
        """An event that Segment refuses, and nothing is taken, is kept; it is rejected when another one is taken."""
        bad, good = self.deliveries(2)
        place.refuse(self.trace(bad))

        (alone,) = self.run_once(sink, [bad])
        beside, taken = self.run_once(sink, [bad, good])

        assert isinstance(alone, Retry)
        assert alone.counts
        assert alone.reason.strip()
        assert isinstance(beside, Rejected)
        assert beside.reason.strip()
        assert isinstance(taken, Delivered)
