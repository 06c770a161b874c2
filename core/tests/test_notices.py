"""Events about deliveries: told to every other sink that asks, never to the one they are about, never about themselves."""

from collections import deque

import anyio
import pytest

from supertokens_events import Events, hookimpl
from supertokens_events.dispatch.notices import Notices
from supertokens_events.sink import Delivered, Rejected, Retry, Sink, SinkSettings

SINKS = ("crm", "oncall", "audit")


class Plugin:
    """The sink type ``box``: each sink answers by its name, and keeps what it delivered."""

    def __init__(self):
        self.answers = {}
        self.got = {name: deque() for name in SINKS}
        plugin = self

        class Box(Sink[SinkSettings]):
            type = "box"
            concurrency = 1

            async def deliver(self, deliveries):
                (delivery,) = deliveries
                plugin.got[self.name].append(delivery.event)
                return [plugin.answers.get(self.name, Delivered())]

        self.sink_type = Box

    @hookimpl
    def register_sink_types(self):
        return [self.sink_type]


@pytest.fixture
def plugin():
    return Plugin()


@pytest.fixture
def events(tmp_path, plugin, monkeypatch):
    """An app whose sinks all want everything, and have one attempt."""
    monkeypatch.chdir(tmp_path)
    sink = {"type": "box", "events": ["*"], "retry": {"schedule": []}}
    events = Events.from_dict(
        {
            "outbox": {"url": "sqlite:events.db"},
            "dispatcher": {"run": "off"},
            "sinks": dict.fromkeys(SINKS, sink),
        },
        plugins=[plugin],
    )
    yield events
    events.stop()


def deliver(events):
    """Deliver what is due, and what that makes due, until there is nothing left."""

    async def run():
        while await events.dispatcher().run_until_empty():
            events.emitter.stop()  # now what the dispatcher told is stored

    anyio.run(run)


def told(plugin, sink):
    """The types that a sink got after the first event, with the sink that they are about."""
    return sorted((event.type, event.data["sink"]) for event in list(plugin.got[sink])[1:])


def test_a_sink_that_is_disabled(events, plugin):
    """Every other sink hears of it once, with the reason."""
    plugin.answers["crm"] = Rejected("410 Gone", disables=True)
    events.emit_sync("app.started")

    deliver(events)

    assert [told(plugin, sink) for sink in SINKS] == [[], [("sink.disabled", "crm")], [("sink.disabled", "crm")]]
    assert plugin.got["audit"][1].data == {"sink": "crm", "why": "410 Gone"}


def test_a_delivery_that_is_given_up(events, plugin):
    """Every other sink hears which event it was; what the receiver rejected by itself is no such case."""
    plugin.answers |= {"crm": Retry("500"), "oncall": Rejected("too old")}
    event = events.emit_sync("app.started", tenant_id="acme")

    deliver(events)

    assert told(plugin, "crm") == []
    assert told(plugin, "audit") == [("delivery.exhausted", "crm")]
    notice = plugin.got["audit"][1]
    assert notice.data == {
        "sink": "crm",
        "about_event_id": event.id,
        "about_event_type": "app.started",
        "attempts": 1,
        "why": "given up after one attempt: 500",
    }
    assert (notice.tenant_id, notice.actor.type) == ("acme", "system")


def test_no_loop(events, plugin):
    """When every sink fails, each failure of the first event is told once, and none of those tellings begets another."""
    plugin.answers |= dict.fromkeys(SINKS, Retry("500"))
    events.emit_sync("app.started")

    deliver(events)

    stored = [event.type for event in events.outbox.events(limit=1000)]
    assert stored == ["app.started"] + ["delivery.exhausted"] * 3
    assert [len(plugin.got[sink]) for sink in SINKS] == [3, 3, 3]


def test_no_loop_of_disabled_sinks(events, plugin):
    """When every place wants no more, each is told of at most once, and it ends."""
    plugin.answers |= dict.fromkeys(SINKS, Rejected("410", disables=True))
    events.emit_sync("app.started")

    deliver(events)

    assert [event.type for event in events.outbox.events(limit=1000)] == ["app.started"] + ["sink.disabled"] * 3


def test_nobody_asks(tmp_path, plugin, monkeypatch):
    """An event that no sink wants is not made."""
    monkeypatch.chdir(tmp_path)
    plugin.answers["crm"] = Rejected("410 Gone", disables=True)
    sink = {"type": "box", "events": ["app.*"]}
    events = Events.from_dict(
        {"outbox": {"url": "sqlite:events.db"}, "dispatcher": {"run": "off"}, "sinks": {"crm": sink}}, plugins=[plugin]
    )
    events.emit_sync("app.started")

    deliver(events)

    assert [event.type for event in events.outbox.events()] == ["app.started"]
    assert isinstance(events.dispatcher().lanes[0]._line._notices, Notices)
    events.stop()
