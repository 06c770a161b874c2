"""Events, the object that an app holds: from a configuration to a delivered event."""

import asyncio
import json
import threading
import time
from datetime import UTC, datetime, timedelta, timezone

import anyio
import pytest

from supertokens_events import Event, Events, hookimpl
from supertokens_events.catalog import EventData
from supertokens_events.config import CONFIG_VARIABLE, ConfigurationError
from supertokens_events.event import Actor
from supertokens_events.outbox import DeliveryState, Retention
from supertokens_events.plugins import DISABLE_VARIABLE
from supertokens_events.sink import Delivered, Retry, Sink

# That a process with threads forks is part of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

PATIENCE = 5.0


class InvitationAccepted(EventData):
    """Somebody accepted an invitation."""

    event_type = "app.invitation.accepted"
    schema_version = 3
    example = {"invitation": "i-1", "seats": 2}

    invitation: str
    seats: int = 1
    note: str | None = None


@pytest.fixture
def inbox():
    """A plugin that brings the sink type 'inbox' and an event type; what was delivered lies in ``inbox.received``."""
    received = []

    class Inbox(Sink):
        type = "inbox"

        async def deliver(self, deliveries):
            received.extend((self.name, delivery.event) for delivery in deliveries)
            return [Delivered()] * len(deliveries)

    class Fragile(Inbox):
        type = "fragile"

        def __init__(self, name, settings):
            raise KeyError("p4ssw0rd")

    class Plugin:
        @hookimpl
        def register_sink_types(self):
            return [Inbox, Fragile]

        @hookimpl
        def register_event_types(self):
            return [InvitationAccepted]

    plugin = Plugin()
    plugin.received = received
    return plugin


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch):
    monkeypatch.setenv(DISABLE_VARIABLE, "*")


@pytest.fixture
def make_events(tmp_path, inbox):
    made = []

    def make(*plugins, sinks=("crm",), run="thread", **tables):
        document = {
            "app": {"source": "https://api.example.com"},
            "outbox": {"url": f"sqlite://{tmp_path}/events.db"},
            "dispatcher": {"run": run},
            "sinks": sinks if isinstance(sinks, dict) else {name: {"type": "inbox", "events": ["*"]} for name in sinks},
        }
        made.append(Events.from_dict(document | tables, plugins=[inbox, *plugins]))
        return made[-1]

    yield make
    for events in made:
        events.stop()


def _made(events):
    async def make():
        return events.dispatcher()

    return make


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)
    return condition()


class TestLine:
    @pytest.mark.anyio
    async def test_end_to_end(self, make_events, inbox):
        """An emitted event is stored when the call returns, and delivered to every sink without being asked."""
        events = make_events(sinks=("crm", "audit"))

        stored = await events.emit("app.said", user_id="u1", data={"words": ["a"]})

        assert stored.sequence == 1
        assert Event.from_bytes(events.outbox.event(stored.id).body) == stored
        await anyio.to_thread.run_sync(until, lambda: len(inbox.received) == 2)
        assert sorted(inbox.received, key=lambda got: got[0]) == [("audit", stored), ("crm", stored)]

    def test_without_a_loop(self, make_events, inbox):
        """The same without an event loop."""
        stored = make_events().emit_sync("app.said")

        assert until(lambda: inbox.received) == [("crm", stored)]

    def test_a_loop_for_each_call(self, make_events, inbox):
        """Synchronous frameworks run a loop for each call; delivery does not need it."""
        events = make_events()

        for _ in range(3):
            asyncio.run(events.emit("app.said"))

        until(lambda: len(inbox.received) == 3)

    def test_fork(self, make_events, inbox, in_child):
        """After a fork both sides store and deliver."""
        events = make_events()
        events.emit_sync("app.said")
        until(lambda: events.outbox.deliveries(state=DeliveryState.DONE))

        child = in_child(lambda: events.emit_sync("app.said").sequence)

        assert child == "2"
        assert events.emit_sync("app.said").sequence == 3
        until(lambda: len(events.outbox.deliveries(state=DeliveryState.DONE)) == 3)

    def test_nothing_before_the_first_event(self, make_events, tmp_path):
        """Making one touches neither the disk nor a thread."""
        before = set(threading.enumerate())
        make_events()

        assert list(tmp_path.iterdir()) == []
        assert set(threading.enumerate()) <= before


class TestEmit:
    def test_fields(self, make_events):
        """An event has the app's source, the fields it was given, and the system as its actor unless somebody is named."""
        events = make_events()
        moment = datetime(2026, 11, 23, 8, 15, tzinfo=timezone(timedelta(hours=1)))

        event = events.emit_sync(
            "app.said", user_id="u1", tenant_id="t1", correlation_id="c1", timestamp=moment, data={"at": moment}
        )
        by_user = events.emit_sync("app.said", actor=Actor(type="user", user_id="u1"))

        assert (event.source, event.user_id, event.tenant_id, event.correlation_id) == (
            "https://api.example.com",
            "u1",
            "t1",
            "c1",
        )
        assert event.timestamp == datetime(2026, 11, 23, 7, 15, tzinfo=UTC)
        assert event.data == {"at": "2026-11-23T08:15:00+01:00"}
        assert (event.actor.type, by_user.actor.type) == ("system", "user")

    def test_typed(self, make_events):
        """Data of a type in the catalog is checked, completed with its defaults, and has the type's version."""
        event = make_events().emit_sync("app.invitation.accepted", data={"invitation": "i1"})

        assert (event.data, event.schema_version) == ({"invitation": "i1", "seats": 1}, 3)

    @pytest.mark.parametrize(
        ("name", "data", "problem"),
        [
            ("Said", {}, "the event 'Said' is not valid: type: .* is not an event type"),
            ("app.invitation.accepted", {}, "'app.invitation.accepted' is not valid: invitation: Field required"),
            ("app.invitation.accepted", {"invitation": "i", "seats": "p4ss"}, "seats: Input should be a valid integer"),
            ("app.invitation.accepted", {"invitation": "i", "paid": "p4ss"}, "paid: Extra inputs are not permitted"),
            ("app.said", {"thing": object()}, "Unable to serialize unknown type"),
            ("app.said", {"bytes": b"\xff"}, "invalid utf-8"),
        ],
    )
    def test_invalid(self, make_events, name, data, problem):
        """What is no event is a ValueError for the app, which says what is wrong and repeats no value."""
        events = make_events()

        with pytest.raises(ValueError, match=problem) as raised:
            events.emit_sync(name, data=data)

        assert "p4ss" not in str(raised.value)
        assert not (events.settings.folder / "events.db").exists()

    def test_data_is_the_events_own(self, make_events):
        """What the app does with its data afterwards does not change the event."""
        words = ["a"]

        event = make_events().emit_sync("app.said", data={"words": words})
        words.append("b")

        assert event.data == {"words": ["a"]}

    def test_not_captured(self, make_events):
        """An event that nobody wants to keep comes back without a sequence: that is what says it is not stored."""
        events = make_events(capture={"events": ["user.*"]})

        assert events.emit_sync("app.said").sequence is None

    def test_hook(self, make_events):
        """Plugins that the app gives take part in the line."""

        class Gdpr:
            @hookimpl
            def filter_event(self, event):
                return event.user_id != "u1"

        events = make_events(Gdpr())

        assert events.emit_sync("app.said", user_id="u1").sequence is None
        assert events.emit_sync("app.said", user_id="u2").sequence == 1


class TestSinks:
    def test_off(self, make_events, inbox):
        """With run = "off" the app only stores; another process, or this dispatcher, delivers."""
        events = make_events(run="off")
        events.emit_sync("app.said")
        events.start()

        assert [thread.name for thread in threading.enumerate() if "dispatch" in thread.name] == []
        assert anyio.run(events.dispatcher().run_until_empty) == 1
        assert len(inbox.received) == 1

    def test_start(self, make_events, inbox):
        """start() delivers what an earlier process stored, without waiting for the next event."""
        make_events(run="off").emit_sync("app.said")

        make_events().start()

        until(lambda: inbox.received)

    def test_a_sink_that_is_turned_off(self, make_events, inbox):
        """A sink that is turned off gets nothing; its deliveries are kept as skipped."""
        events = make_events(sinks={"crm": {"type": "inbox", "events": ["*"], "enabled": False}})
        events.emit_sync("app.said")
        events.stop()

        assert inbox.received == []
        assert [delivery.state for delivery in events.outbox.deliveries()] == ["skipped"]

    def test_a_sink_that_cannot_be_made(self, make_events, inbox, logged):
        """A sink whose constructor raises waits, and is told without the exception's text; the others deliver."""
        events = make_events(sinks={name: {"type": name, "events": ["*"]} for name in ("fragile", "inbox")})
        events.emit_sync("app.said")

        until(lambda: inbox.received)
        (delivery,) = events.outbox.deliveries(sink="fragile")
        assert (delivery.state, delivery.attempts) == ("pending", ())
        assert "A sink could not be made; its deliveries wait. sink='fragile' error='KeyError at" in logged()
        assert "p4ssw0rd" not in logged()

    def test_stop(self, make_events, inbox):
        """Stopping stores what waits; twice is no harm; an event that comes later starts everything anew."""
        events = make_events()
        events.emitter.submit([Event(type="app.said")])
        events.stop()
        events.stop()

        assert events.outbox.counts()[0] == 1
        assert events.emit_sync("app.said").sequence == 2
        until(lambda: len(inbox.received) == 2)

    def test_stop_with_a_last_word(self, make_events):
        """A delivery that is given up while everything stops is told in an event, and that starts nothing anew."""
        begun = threading.Event()

        class Place(Sink):
            async def deliver(self, deliveries):
                begun.set()
                await anyio.sleep(0.3)
                return [Retry("500")] * len(deliveries)

        class Failing(Place):
            type = "failing"

        class Plugin:
            @hookimpl
            def register_sink_types(self):
                return [Failing]

        before = set(threading.enumerate())
        sinks = {
            "crm": {"type": "failing", "events": ["app.*"], "retry": {"schedule": []}},
            "oncall": {"type": "inbox", "events": ["delivery.*"]},
        }
        events = make_events(Plugin(), sinks=sinks)
        events.emit_sync("app.said")
        begun.wait(PATIENCE)

        events.stop()

        assert [event.type for event in events.outbox.events()] == ["app.said", "delivery.exhausted"]
        assert not [thread for thread in set(threading.enumerate()) - before if "dispatch" in thread.name]

    def test_without_a_thread(self, make_events):
        """A process that delivers in its own way starts no second dispatcher, whatever the settings say."""
        made = make_events()
        before = set(threading.enumerate())
        events = Events(made.settings, made.plugins, thread=False)

        events.start()
        events.emit_sync("app.said")
        events.stop()

        assert not [thread for thread in set(threading.enumerate()) - before if "dispatch" in thread.name]

    @pytest.mark.parametrize("timeout", [0.5, 2.0])
    def test_stop_in_time(self, make_events, timeout):
        """Whatever hangs, hook, delivery or sink, keeps stop() no longer than it was told: that is for all of them together."""
        let_go = threading.Event()

        class Tar(Sink):
            type = "tar"

            async def deliver(self, deliveries):
                await anyio.sleep_forever()

            async def close(self):
                await anyio.sleep_forever()

        class Plugin:
            @hookimpl
            def register_sink_types(self):
                return [Tar]

            @hookimpl
            def event_emitted(self, event):
                let_go.wait(30)

        events = make_events(Plugin(), sinks={"tar": {"type": "tar", "events": ["*"]}})
        events.emit_sync("app.said")
        until(lambda: events.outbox.status()[0].due == 0)

        start = time.monotonic()
        events.stop(timeout)
        took = time.monotonic() - start
        let_go.set()

        assert took < timeout + 0.5

    def test_what_the_dispatcher_counts(self, make_events, inbox):
        """What is counted while everything stops is stored too."""

        class Rude:
            @hookimpl
            def delivery_settled(self, delivery, outcome):
                raise ValueError

        events = make_events(Rude())
        events.emit_sync("app.said")
        until(lambda: inbox.received)
        events.stop()

        assert [(count.reason, count.count) for count in events.outbox.ledger()] == [("listener_failed", 1)]


class TestConfiguration:
    def test_passed_on(self, tmp_path, inbox):
        """What the tables say arrives where it works: in the outbox, in the sinks, in what is kept."""
        sinks = {"crm": {"type": "inbox", "events": ["*"], "ordering": "user", "concurrency": 3, "rate": "30/m"}}
        tables = {"url": f"sqlite://{tmp_path}/events.db", "retention": {"events": "1d"}, "erase_on_user_deleted": True}
        events = Events.from_dict({"outbox": tables, "dispatcher": {"run": "off"}, "sinks": sinks}, plugins=[inbox])
        dispatcher = anyio.run(_made(events))

        (lane,) = dispatcher.lanes
        assert (lane.sink.concurrency, lane.sink.rate) == (3, 0.5)
        assert dispatcher._keeper._keeping.retention == Retention(86400, 30 * 86400, 90 * 86400, 30 * 86400, None)
        assert dispatcher._keeper._keeping.erase_deleted
        assert events.emitter.routes[0].ordered
        events.stop()

    def test_max_size(self, inbox, monkeypatch):
        """The outbox is told how large it may grow, and what to do then."""
        told = {}
        monkeypatch.setattr(
            "supertokens_events.events.open_outbox", lambda url, **options: told.update(options, url=url)
        )

        Events.from_dict({"outbox": {"url": "sqlite:x.db", "max_size": "1MB", "when_full": "drop_oldest_done"}})

        assert (told["url"], told["max_size"], told["when_full"]) == ("sqlite:x.db", 1_000_000, "drop_oldest_done")

    def test_from_toml(self, tmp_path, inbox, monkeypatch):
        """A TOML file is found by path or by variable; a relative outbox lies beside it."""
        (tmp_path / "mine.toml").write_text(
            '[outbox]\nurl = "sqlite:data.db"\n[sinks.crm]\ntype = "inbox"\nevents = ["*"]\n'
        )
        monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "mine.toml"))

        for events in (Events.from_toml(plugins=[inbox]), Events.from_toml(tmp_path / "mine.toml", plugins=[inbox])):
            assert events.outbox.path == tmp_path / "data.db"
            assert list(events.settings.sinks) == ["crm"]
            events.stop()

    def test_outbox_url(self, inbox):
        """A URL that is no outbox is told by file and key, and not repeated: it may hold a password."""
        with pytest.raises(
            ConfigurationError, match=r"configuration: outbox.url: expected 'sqlite:events.db'"
        ) as raised:
            Events.from_dict({"outbox": {"url": "mysql://root:p4ssw0rd@db/events"}})
        assert "p4ssw0rd" not in str(raised.value)

    def test_repr(self, make_events):
        """What is printed names the file and the sinks."""
        assert repr(make_events(sinks=("crm", "audit"))) == "<Events configuration sinks=['crm', 'audit']>"


def test_public_names():
    """What an app imports is this, and has what the guide shows."""
    import supertokens_events

    assert sorted(supertokens_events.__all__) == ["Event", "Events", "hookimpl"]
    assert json.loads(Event(type="app.said").to_bytes())["type"] == "app.said"
