"""The courier sink keeps the contract of sinks, and what it promises itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from supertokens_events.testing import HttpPlace, SinkContract

from supertokens_events_courier import CourierSink

TOKEN = "a-token-of-the-tests"


class TestCourierSink(SinkContract):
    """What every sink is asked for. The place is a real server on this machine, which can be told how to answer."""

    sink_type = CourierSink
    is_remote = True
    can_be_away = True
    can_be_busy = True
    can_refuse = True
    sends_body = True
    secrets = (TOKEN,)

    @pytest.fixture
    def place(self) -> Iterator[HttpPlace]:
        with HttpPlace() as place:
            yield place

    @pytest.fixture
    def sink_settings(self, place: HttpPlace) -> Mapping[str, Any]:
        return {"url": place.url, "token": TOKEN, "timeout": "0.5s", "allow_networks": ["127.0.0.0/8"]}

    def test_a_request_says_whose_it_is(self, sink: CourierSink, place: HttpPlace) -> None:
        """The token, and the event's id as the key by which the place knows what it has already, are in the headers."""
        delivery = self.delivery()

        self.run_once(sink, [delivery])

        (request,) = place.requests
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert request.headers["idempotency-key"] == delivery.event_id
