"""Emit: through the hooks into the outbox, within a deadline, never in the caller's way, and nothing lost in silence."""

import asyncio
import atexit
import contextvars
import json
import logging
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from supertokens_events import hookimpl
from supertokens_events.emit import Emitter, Plan, Route
from supertokens_events.event import Context
from supertokens_events.ledger import LedgerKey, Reason
from supertokens_events.outbox import DeliveryState, OutboxError, OutboxFull, SqliteOutbox
from supertokens_events.subscription import Conditions, Patterns, Subscription
from supertokens_events.testing import sample_event

# That a process with threads forks is part of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

MARGIN = 0.5  # seconds that a busy machine may add to a deadline
SECRET = "p4ssw0rd"

everything = Subscription(Patterns(["*"]))
CRM = Route("crm", everything)


@pytest.fixture
def outbox(tmp_path, clock):
    outbox = SqliteOutbox(tmp_path / "events.db", clock=clock, busy_timeout=0.02)
    yield outbox
    outbox.close()


@pytest.fixture
def make_emitter(outbox, make_plugins):
    """Emitters with one sink, 'crm', that wants everything. They end with the test."""
    made = []

    def make(*plugins, routes=(CRM,), captured=("*",), outbox=outbox, **options):
        emitter = Emitter(outbox, make_plugins(*plugins), routes, captured=Patterns(captured), **options)
        atexit.unregister(emitter.stop)
        made.append(emitter)
        return emitter

    yield make
    for emitter in made:
        emitter.stop(timeout=0.2)


@pytest.fixture
def locked(outbox):
    """Another program holds the outbox's lock inside the block."""

    @contextmanager
    def locked():
        outbox.open()
        connection = sqlite3.connect(outbox.path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.close()

    return locked


def emit_one(emitter, **fields):
    return emitter.emit_sync([sample_event(**fields)])[0]


def until(condition, seconds=5.0):
    """Wait for something that another thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return condition()


def counted(outbox):
    return {LedgerKey(Reason(line.reason), line.subject, line.event_type): line.count for line in outbox.ledger()}


class TestStored:
    @pytest.mark.anyio
    async def test_emit(self, make_emitter, outbox):
        """When emit returns, its events are committed, in order, and come back as they were stored."""
        events = [sample_event(), sample_event("session.created")]

        stored = await make_emitter().emit(events)

        assert stored == [event.model_copy(update={"sequence": n}) for n, event in enumerate(events, start=1)]
        assert [event.id for event in outbox.events()] == [event.id for event in events]

    def test_emit_sync(self, make_emitter, outbox):
        """The same without an event loop."""
        stored = emit_one(make_emitter())

        assert stored.sequence == 1
        assert outbox.event(stored.id).body == outbox.claim("crm", 1, 60)[0].delivery.body

    @pytest.mark.anyio
    async def test_nothing(self, make_emitter):
        """Emitting nothing is nothing."""
        emitter = make_emitter()

        assert await emitter.emit([]) == emitter.emit_sync([]) == []

    def test_threads(self, make_emitter, outbox):
        """Eight threads that emit at once all get their events stored, each once."""
        emitter = make_emitter()

        with ThreadPoolExecutor(8) as threads:
            stored = list(threads.map(lambda _: emit_one(emitter), range(200)))

        assert sorted(event.sequence for event in stored) == list(range(1, 201))
        assert {event.id for event in stored} == {event.id for event in outbox.events(limit=1000)}

    @pytest.mark.anyio
    async def test_one_loop(self, make_emitter):
        """A hundred calls at once on one event loop share commits, and each gets its own event."""
        emitter = make_emitter()
        events = [sample_event() for _ in range(100)]

        stored = await asyncio.gather(*(emitter.emit([event]) for event in events))

        assert [one.id for (one,) in stored] == [event.id for event in events]

    def test_a_loop_for_each_call(self, make_emitter):
        """Each call on an event loop of its own, as synchronous frameworks do, is stored when its loop ends."""
        emitter = make_emitter()

        stored = [asyncio.run(emitter.emit([sample_event()]))[0].sequence for _ in range(20)]

        assert stored == list(range(1, 21))

    def test_a_loop_that_is_gone(self, make_emitter, outbox, locked, caplog):
        """A caller that gives up, with its whole event loop, leaves an event that is stored all the same, and no complaint."""
        emitter = make_emitter(append_timeout=5)

        async def impatient():
            await asyncio.wait_for(emitter.emit([sample_event()]), 0.01)

        with locked(), pytest.raises(TimeoutError):
            asyncio.run(impatient())

        until(lambda: outbox.counts()[0] == 1)
        assert [record for record in caplog.records if record.name == "concurrent.futures"] == []

    def test_told(self, make_emitter, outbox):
        """Whoever asked is told the events of each commit, once they can be read."""
        seen = []

        emit_one(make_emitter(stored=lambda events: seen.extend(outbox.event(event.id).sequence for event in events)))

        assert until(lambda: seen) == [1]


class TestHookTimes:
    """How long hooks take is stored now and then, and when the process ends."""

    class Plugin:
        @hookimpl
        def enrich_event(self, event):
            return {"region": "eu"}

        @hookimpl
        def filter_event(self, event):
            raise LookupError

        @hookimpl
        def event_emitted(self, event):
            pass

    def test_at_the_end(self, make_emitter, outbox):
        """Every call of a short-lived process is there when it has stopped, those that were told last too."""
        emitter = make_emitter(self.Plugin())
        emit_one(emitter)
        emit_one(emitter)
        emitter.stop()

        found = {line.hook: (line.plugin, line.calls, line.failures) for line in outbox.hook_times()}

        assert found == {
            "enrich_event": ("Plugin#1", 2, 0),
            "filter_event": ("Plugin#1", 2, 2),
            "event_emitted": ("Plugin#1", 2, 0),
        }

    def test_now_and_then(self, make_emitter, outbox, monkeypatch):
        """A process that goes on stores them after a while though no event comes, and not with each event."""
        monkeypatch.setattr("supertokens_events.emit.writer._COUNTS_WAIT", 0.05)
        monkeypatch.setattr("supertokens_events.hook_times._SAVE_AFTER", 1000.0)
        calls = []
        monkeypatch.setattr(outbox, "record_hook_times", calls.append)
        emitter = make_emitter(self.Plugin())

        for _ in range(5):
            emit_one(emitter)
        at_first = len(calls)
        monkeypatch.setattr("supertokens_events.hook_times._SAVE_AFTER", 0.0)
        until(lambda: sum(tally.calls for times in calls for tally in times.values()) == 15)

        assert at_first == 0

    def test_an_outbox_in_trouble(self, make_emitter, outbox, locked):
        """What cannot be stored waits, and is stored by who comes later."""
        emitter = make_emitter(self.Plugin())
        emit_one(emitter)
        with locked():
            emitter.stop(timeout=0.1)
            assert emitter.plugins.times
        emit_one(emitter)
        emitter.stop()

        assert {line.hook: line.calls for line in outbox.hook_times()}["enrich_event"] == 2

    def test_a_fork(self, make_emitter, outbox, in_child):
        """What was counted before a fork is the parent's to store, and is stored once."""
        emitter = make_emitter(self.Plugin())
        emit_one(emitter)

        def child():
            emit_one(emitter)
            emitter.stop()
            return "stopped"

        assert in_child(child) == "stopped"
        emitter.stop()

        assert {line.hook: line.calls for line in outbox.hook_times()}["enrich_event"] == 2

    def test_without_plugins(self, make_emitter, outbox, monkeypatch):
        """Where no plugin has a hook, nothing is stored of them."""
        monkeypatch.setattr(outbox, "record_hook_times", pytest.fail)
        emitter = make_emitter()
        emit_one(emitter)
        emitter.stop()

        assert outbox.hook_times() == []


class TestWho:
    def test_deliveries(self, make_emitter, outbox):
        """An event is due for the sinks that want its type and tenant, and for no other."""
        routes = [
            Route("crm", Subscription(Patterns(["user.*"]))),
            Route("audit", everything),
            Route("t2", Subscription(Patterns(["*"]), ["t2"])),
            Route("sessions", Subscription(Patterns(["session.*"]))),
        ]

        emit_one(make_emitter(routes=routes), tenant_id="t1")

        assert [(d.sink, d.state) for d in outbox.deliveries()] == [("crm", "pending"), ("audit", "pending")]

    def test_conditions(self, make_emitter, outbox):
        """Conditions are about the event as it is stored: enriched, and without the context that is not kept."""

        class Geo:
            @hookimpl
            def enrich_event(self, event):
                return {"country": "fr", "user_agent": "curl"}

        wheres = {
            "french": {"context.country": "fr"},
            "german": {"context.country": "de"},
            "agent": {"context.user_agent": {"exists": True}},
            "digits": {"data.big": {"gt": 10}},
        }
        routes = [Route(name, Subscription(Patterns(["*"]), (), Conditions(where))) for name, where in wheres.items()]

        emit_one(make_emitter(Geo(), routes=routes, context_fields=["ip"]), data={"big": 10**4000})

        assert [d.sink for d in outbox.deliveries()] == ["french", "digits"]

    def test_no_conditions(self, make_emitter, outbox, monkeypatch):
        """Without conditions nothing is parsed; nor for a sink that does not want the type."""
        routes = [CRM, Route("other", Subscription(Patterns(["session.*"]), (), Conditions({"data.x": 1})))]
        monkeypatch.setattr("supertokens_events.emit.routing.json.loads", None)

        emit_one(make_emitter(routes=routes))

        assert [d.sink for d in outbox.deliveries()] == ["crm"]

    def test_order(self, make_emitter, tmp_path):
        """A sink that gets each user's events in order has deliveries with the user as their key."""
        keys = {}

        class Keys(SqliteOutbox):
            def append(self, entries):
                keys.update({(e.event.user_id, d.sink): d.ordering_key for e in entries for d in e.deliveries})
                return super().append(entries)

        emitter = make_emitter(outbox=Keys(tmp_path / "other.db"), routes=[CRM, Route("log", everything, ordered=True)])
        emitter.emit_sync([sample_event(user_id=user) for user in ("u1", None)])

        assert keys == {("u1", "crm"): None, ("u1", "log"): "u1", (None, "crm"): None, (None, "log"): None}
        emitter.outbox.close()

    def test_a_sink_that_is_off(self, make_emitter, outbox):
        """For a sink that is turned off the delivery is kept as skipped, with the reason."""
        emit_one(make_emitter(routes=[Route("crm", everything, enabled=False)]))

        (delivery,) = outbox.deliveries()
        assert (delivery.state, delivery.reason) == (DeliveryState.SKIPPED, "the sink is turned off")

    def test_not_captured(self, make_emitter, outbox):
        """A type that is not captured is not stored; the ledger says how often, when the process ends at the latest."""
        emitter = make_emitter(captured=("*", "!session.*"))

        assert emitter.emit_sync([sample_event("session.created"), sample_event("session.created")]) == [None, None]
        emitter.stop()

        assert outbox.counts()[0] == 0
        assert counted(outbox) == {LedgerKey(Reason.CAPTURE_OFF, "", "session.created"): 2}

    def test_counts_without_events(self, make_emitter, outbox, monkeypatch):
        """Counts are stored after a while though no event is; meanwhile nothing is asked over and over."""
        monkeypatch.setattr("supertokens_events.emit.writer._COUNTS_WAIT", 0.2)
        emitter = make_emitter(captured=("*", "!session.*"))

        emitter.emit_sync([sample_event("session.created")])
        emitter.emit_sync([sample_event("session.created")])
        until(lambda: counted(outbox) == {LedgerKey(Reason.CAPTURE_OFF, "", "session.created"): 2})
        emitter.ledger.count(Reason.CAPTURE_FAILED, subject="sign_in")

        until(lambda: LedgerKey(Reason.CAPTURE_FAILED, "sign_in", "") in counted(outbox))

    def test_counts_that_cannot_be_stored(self, make_emitter, outbox, locked, monkeypatch):
        """While the outbox is locked, counts wait for it."""
        monkeypatch.setattr("supertokens_events.emit.writer._COUNTS_WAIT", 0.05)
        emitter = make_emitter(captured=("*", "!session.*"))

        with locked():
            emitter.emit_sync([sample_event("session.created")])
            time.sleep(0.3)

        until(lambda: counted(outbox) == {LedgerKey(Reason.CAPTURE_OFF, "", "session.created"): 1})

    def test_replace(self, make_emitter, outbox):
        """A new plan holds from the next event on."""
        emitter = make_emitter(captured=("user.*",))
        emitter.emit_sync([sample_event(), sample_event("session.created")])

        emitter.replace(Plan([Route("audit", everything)], Patterns(["session.*"]), source="https://new"))
        emitter.emit_sync([sample_event(), sample_event("session.created")])

        assert [(d.event_type, d.sink) for d in outbox.deliveries()] == [
            ("user.created", "crm"),
            ("session.created", "audit"),
        ]
        assert emitter.source == "https://new"
        assert emitter.wants("session.created")

    def test_configuration(self, make_emitter, outbox):
        """The configuration is looked at before events are stored; when a look is due, also for those not captured so far."""

        class Changing:
            due = True

            def look(self):
                emitter.replace(Plan([CRM], Patterns(["*"])))

        emitter = make_emitter(captured=("user.*",), configuration=Changing())

        assert emit_one(emitter, event_type="session.created").sequence == 1

    def test_configuration_in_trouble(self, make_emitter, outbox, locked):
        """While events wait for the outbox, those that are not captured do not join them to have the configuration looked at."""

        class Unchanged:
            due = True

            def look(self):
                pass

        emitter = make_emitter(captured=("user.*",), configuration=Unchanged(), append_timeout=0.05)

        with locked():
            emit_one(emitter)
            (future,) = emitter.submit([sample_event("session.created")])
            assert future.done()

    def test_wants(self, make_emitter):
        """An event is worth a read of the core when it would be stored and somebody would get it."""

        class Listener:
            @hookimpl
            def event_emitted(self, event):
                pass

        routes = [Route("crm", Subscription(Patterns(["user.*"])))]
        captured = ("*", "!user.signed_in")
        types = ("user.created", "user.signed_in", "session.created")

        alone = make_emitter(routes=routes, captured=captured)
        listening = make_emitter(Listener(), routes=routes, captured=captured)

        assert [alone.wants(name) for name in types] == [True, False, False]
        assert [listening.wants(name) for name in types] == [True, False, True]

    def test_always_wanted(self, make_emitter):
        """What somebody reads who is no sink is wanted too, if it is stored."""
        emitter = make_emitter(routes=[], captured=("*", "!user.signed_in"), always_wanted=Patterns(["user.*"]))

        assert [emitter.wants(name) for name in ("user.created", "user.signed_in", "session.created")] == [
            True,
            False,
            False,
        ]

    def test_context_fields(self, make_emitter, outbox):
        """Context fields that are not asked for are not stored; what a plugin added stays."""

        class Tracing:
            @hookimpl
            def enrich_event(self, event):
                return {"trace_id": "t1"}

        emitter = make_emitter(Tracing(), context_fields=["ip"])
        emit_one(emitter, context=Context(ip="192.0.2.1", user_agent="curl", path="/auth"))

        document = json.loads(outbox.events()[0].body)
        assert document["context"] == {"ip": "192.0.2.1", "trace_id": "t1"}


request_id = contextvars.ContextVar("request_id")


class TestHooks:
    def test_enrich(self, make_emitter):
        """Hooks add to the context, the one registered last first; each sees what is there already."""

        class First:
            @hookimpl
            def enrich_event(self, event):
                return {"region": "eu", "seen": event.context.model_extra.get("region")}

        class Second:
            @hookimpl
            def enrich_event(self, event):
                return {"region": "us"}

        class Silent:
            @hookimpl
            def enrich_event(self, event):
                return None

        stored = emit_one(make_emitter(First(), Second(), Silent()), context=Context(ip="192.0.2.1"))

        assert (stored.context.ip, stored.context.region, stored.context.seen) == ("192.0.2.1", "eu", None)

    def test_context_of_the_request(self, make_emitter):
        """A hook sees the context variables of the call that emitted, though it runs on a thread of ours."""

        class Request:
            @hookimpl
            def enrich_event(self, event):
                return {"request_id": request_id.get()}

        emitter = make_emitter(Request())

        def handle(number):
            request_id.set(f"r{number}")
            return emit_one(emitter).context.request_id

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda n: contextvars.Context().run(handle, n), range(20)))

        assert answers == [f"r{number}" for number in range(20)]

    @pytest.mark.parametrize(
        "answer",
        [KeyError(SECRET), "text", {"ip": 5}, {"x": object()}, {"x": "\ud800"}],
        ids=["raises", "a text", "a number", "an object", "a lone surrogate"],
    )
    def test_enrich_that_fails(self, make_emitter, outbox, logged, answer):
        """A hook that raises, or adds what cannot be stored, is counted by its name; the event goes on without it."""

        class Broken:
            @hookimpl
            def enrich_event(self, event):
                if isinstance(answer, Exception):
                    raise answer
                return answer

        stored = emit_one(make_emitter(Broken()))

        assert stored.context == Context()
        until(lambda: counted(outbox) == {LedgerKey(Reason.ENRICH_FAILED, "Broken#1", "user.created"): 1})
        assert "plugin='Broken#1'" in logged()
        assert SECRET not in logged()

    def test_filter(self, make_emitter, outbox):
        """A hook that says False drops the event; the ledger has the plugin's name. Any other answer keeps it."""

        class Gdpr:
            @hookimpl
            def filter_event(self, event):
                return {"u1": False, "u2": True, "u3": None, "u4": 0}[event.user_id]

        emitter = make_emitter(Gdpr())

        stored = emitter.emit_sync([sample_event(user_id=f"u{n}") for n in (1, 2, 3, 4)])

        assert [event and event.user_id for event in stored] == [None, "u2", "u3", "u4"]
        until(lambda: counted(outbox) == {LedgerKey(Reason.FILTERED, "Gdpr#1", "user.created"): 1})

    def test_filter_sees_the_enriched_event(self, make_emitter):
        """Filters are asked last: about the event as it would be stored."""

        class Geo:
            @hookimpl
            def enrich_event(self, event):
                return {"country": "fr"}

        class Border:
            @hookimpl
            def filter_event(self, event):
                return event.context.country != "fr" or event.context.ip is not None

        assert emit_one(make_emitter(Geo(), Border(), context_fields=[]), context=Context(ip="192.0.2.1")) is None

    def test_filter_that_raises(self, make_emitter, outbox, logged):
        """When a filter raises, the event is kept and nothing leaves: every delivery is held as a dead letter."""

        class Broken:
            @hookimpl
            def filter_event(self, event):
                raise ValueError(SECRET)

        stored = emit_one(make_emitter(Broken(), routes=[Route("crm", everything), Route("off", everything, False)]))

        assert stored.sequence == 1
        deliveries = outbox.deliveries()
        assert [(d.sink, d.state) for d in deliveries] == [("crm", "dead"), ("off", "dead")]
        assert deliveries[0].reason == "held: filter_event of the plugin 'Broken#1' raised ValueError"
        until(lambda: counted(outbox) == {LedgerKey(Reason.FILTER_FAILED, "Broken#1", "user.created"): 1})
        assert SECRET not in logged()

    def test_filters_all_have_a_say(self, make_emitter):
        """An event that one filter drops is dropped, though another has raised."""

        class Drops:
            @hookimpl
            def filter_event(self, event):
                return False

        class Raises:
            @hookimpl
            def filter_event(self, event):
                raise ValueError

        assert emit_one(make_emitter(Drops(), Raises())) is None

    def test_emitted(self, make_emitter, outbox, logged):
        """Listeners are told after the commit, each one, though another raises; the failure is counted by name."""
        told = []

        class Listener:
            @hookimpl
            def event_emitted(self, event):
                told.append((event.sequence, outbox.event(event.id) is not None))

        class Broken:
            @hookimpl
            def event_emitted(self, event):
                raise ValueError(SECRET)

        emitter = make_emitter(Listener(), Broken())
        emit_one(emitter)
        emitter.stop()

        assert told == [(1, True)]
        assert emitter.ledger.peek() | counted(outbox) == {
            LedgerKey(Reason.LISTENER_FAILED, "Broken#2", "user.created"): 1
        }
        assert SECRET not in logged()

    def test_a_hook_that_exits(self, make_emitter, outbox, logged):
        """A hook that ends the process ends nothing: its event goes on without it, and so do all that wait beside it."""

        class Exits:
            @hookimpl
            def enrich_event(self, event):
                if event.user_id == "u1":
                    sys.exit(SECRET)

        emitter = make_emitter(Exits())

        stored = emitter.emit_sync([sample_event("user.created", user_id=user) for user in ("u1", "u2")])

        assert [event.sequence for event in stored] == [1, 2]
        assert [key.reason for key in counted(outbox)] == [Reason.ENRICH_FAILED]
        assert SECRET not in logged()

    def test_a_hook_that_emits(self, make_emitter, outbox):
        """A hook may emit too: it does not wait for itself, and its event is stored after the one it was told of."""
        told = []

        class Echo:
            @hookimpl
            def event_emitted(self, event):
                if event.type == "user.created":
                    told.extend(emitter.emit_sync([sample_event("session.created")]))
                    told.extend(asyncio.run(emitter.emit([sample_event("session.created")])))

        emitter = make_emitter(Echo(), append_timeout=30)
        emit_one(emitter)

        until(lambda: outbox.counts()[0] == 3)
        assert told == [None, None]
        assert Reason.LATE not in {key.reason for key in emitter.ledger.peek() | counted(outbox)}


class Hangs:
    """A plugin whose hooks hang for the user 'slow' until they are let go."""

    def __init__(self, hook):
        self.calls = []
        self.let_go = threading.Event()

        @hookimpl
        def hang(event):
            self.calls.append(event.user_id)
            if event.user_id == "slow":
                self.let_go.wait(30)

        setattr(self, hook, hang)


class TestHang:
    @pytest.fixture
    def hangs(self):
        made = []

        def make(hook):
            made.append(Hangs(hook))
            return made[-1]

        yield make
        for plugin in made:
            plugin.let_go.set()

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr("supertokens_events.emit.emitter._LEAST_HOOK_LIMIT", 0.2)
        monkeypatch.setattr("supertokens_events.emit.emitter._HOOK_LIMIT", 0)

    @pytest.mark.parametrize("hook", ["enrich_event", "filter_event", "event_emitted"])
    def test_others_go_on(self, make_emitter, outbox, logged, hangs, hook):
        """A hook that does not return holds up nothing for longer than the limit, and costs no event; each is stored once."""
        plugin = hangs(hook)
        emitter = make_emitter(plugin, append_timeout=10)

        stored = emitter.emit_sync([sample_event(user_id=user) for user in ("before", "slow", "after")])
        later = emit_one(emitter, user_id="later")

        assert [event.user_id for event in [*stored, later]] == ["before", "slow", "after", "later"]
        until(lambda: f"plugin='Hangs#1' hook='{hook}'" in logged())
        plugin.let_go.set()
        until(lambda: "its hooks are called again" in logged())
        assert emit_one(emitter, user_id="at last").sequence == 5
        until(lambda: "at last" in plugin.calls)
        emitter.stop()
        assert [event.user_id for event in outbox.events()] == ["before", "slow", "after", "later", "at last"]

    def test_counted(self, make_emitter, outbox, hangs):
        """What goes on without the plugin is counted, each event."""
        plugin = hangs("enrich_event")
        emitter = make_emitter(plugin, append_timeout=10)

        emitter.emit_sync([sample_event(user_id=user) for user in ("slow", "after")])
        emitter.stop()

        assert counted(outbox) == {LedgerKey(Reason.HOOK_HUNG, "Hangs#1", "user.created"): 2}
        assert plugin.calls == ["slow"]

    def test_filter(self, make_emitter, outbox, hangs):
        """While a filter hangs, nobody can say what it would have dropped: deliveries are held."""
        emit_one(make_emitter(hangs("filter_event"), append_timeout=10), user_id="slow")

        (delivery,) = outbox.deliveries()
        assert (delivery.state, delivery.reason) == (
            "dead",
            "held: filter_event of the plugin 'Hangs#1' was not asked: a hook of the plugin hangs",
        )

    def test_other_plugins(self, make_emitter, outbox, hangs):
        """The hooks of other plugins are called."""
        told = []

        class Listener:
            @hookimpl
            def event_emitted(self, event):
                told.append(event.user_id)

        emitter = make_emitter(Listener(), hangs("event_emitted"), append_timeout=10)
        emitter.emit_sync([sample_event(user_id=user) for user in ("slow", "after")])
        emit_one(emitter, user_id="later")

        until(lambda: "later" in told)
        assert told[-2:] == ["after", "later"]

    def test_stop(self, make_emitter, outbox, hangs):
        """stop() stores what waits behind a hook that hangs, if it has the time."""
        emitter = make_emitter(hangs("enrich_event"), append_timeout=0.05)

        emitter.submit([sample_event(user_id=user) for user in ("slow", "after")])
        emitter.stop(10)

        assert [event.user_id for event in outbox.events()] == ["slow", "after"]

    def test_fork(self, make_emitter, outbox, in_child, hangs):
        """A hook that hangs in the parent does not in the child."""
        plugin = hangs("enrich_event")
        emitter = make_emitter(plugin, append_timeout=10)
        emit_one(emitter, user_id="slow")

        def child():
            emit_one(emitter, user_id="child")
            return plugin.calls

        assert in_child(child) == "['slow', 'child']"


class TestTrouble:
    @pytest.mark.anyio
    async def test_late(self, make_emitter, outbox, locked, logged):
        """While the outbox is locked emit returns at its deadline; the event is counted as late, and stored afterwards."""
        emitter = make_emitter(append_timeout=0.1)

        with locked():
            start = time.monotonic()
            assert await emitter.emit([sample_event(), sample_event()]) == [None, None]
            took = time.monotonic() - start

        assert 0.1 <= took < 0.1 + MARGIN
        until(lambda: outbox.counts()[0] == 2)
        until(lambda: counted(outbox) == {LedgerKey(Reason.LATE, "", "user.created"): 2})
        assert logged().count("The outbox is not available; events wait in memory.") == 1

    def test_late_sync(self, make_emitter, outbox, locked):
        """The same without an event loop: however many events, the deadline is one."""
        emitter = make_emitter(append_timeout=0.1)

        with locked():
            start = time.monotonic()
            assert emitter.emit_sync([sample_event() for _ in range(5)]) == [None] * 5
            took = time.monotonic() - start

        assert 0.1 <= took < 0.1 + MARGIN
        until(lambda: outbox.counts()[0] == 5)

    def test_a_slow_hook(self, make_emitter, outbox):
        """A hook that takes its time costs a caller no more than the deadline."""
        going_on = threading.Event()

        class Slow:
            @hookimpl
            def enrich_event(self, event):
                going_on.wait(10)

        emitter = make_emitter(Slow(), append_timeout=0.05)

        start = time.monotonic()
        assert emit_one(emitter) is None
        took = time.monotonic() - start
        going_on.set()

        assert took < 0.05 + MARGIN
        until(lambda: outbox.counts()[0] == 1)

    def test_lost(self, make_emitter, tmp_path, logged):
        """A store that refuses for good: the event is counted as lost, and an error says so with its id and no more."""

        class Refusing(SqliteOutbox):
            def append(self, entries):
                raise OutboxError("the outbox events.db is damaged")

        emitter = make_emitter(outbox=Refusing(tmp_path / "other.db"))
        event = sample_event(user_id="somebody@example.com")

        assert emitter.emit_sync([event]) == [None]

        assert f"event_id='{event.id}' error='the outbox events.db is damaged'" in logged()
        assert "somebody" not in logged()
        emitter.stop()
        assert counted(emitter.outbox) == {LedgerKey(Reason.LOST, "", "user.created"): 1}
        emitter.outbox.close()

    def test_full(self, make_emitter, tmp_path, logged):
        """A full outbox refuses: each event is counted, and the log gets a line now and then, not one for each."""

        class Full(SqliteOutbox):
            def append(self, entries):
                raise OutboxFull("the outbox events.db has reached its max_size of 1 MB")

        emitter = make_emitter(outbox=Full(tmp_path / "other.db"))

        for _ in range(3):
            assert emitter.emit_sync([sample_event(), sample_event()]) == [None, None]

        assert logged().count("the outbox is full") == 1
        assert "events=2 error='the outbox events.db has reached its max_size of 1 MB'" in logged()
        emitter.stop()
        assert counted(emitter.outbox) == {LedgerKey(Reason.REFUSED, "", "user.created"): 6}
        emitter.outbox.close()

    @pytest.mark.parametrize("error", [OutboxError("refused"), KeyError(SECRET)], ids=repr)
    def test_one_bad_event(self, make_emitter, tmp_path, logged, error):
        """One event that the store does not take costs none of those that were to be stored with it."""

        class Particular(SqliteOutbox):
            def append(self, entries):
                if any(entry.event.user_id == "bad" for entry in entries):
                    raise error
                return super().append(entries)

        emitter = make_emitter(outbox=Particular(tmp_path / "other.db"))

        stored = emitter.emit_sync([sample_event(user_id=name) for name in ("a", "bad", "b")])

        assert [event and (event.user_id, event.sequence) for event in stored] == [("a", 1), None, ("b", 2)]
        until(lambda: counted(emitter.outbox) == {LedgerKey(Reason.LOST, "", "user.created"): 1})
        assert SECRET not in logged()
        emitter.stop()
        emitter.outbox.close()

    def test_too_many(self, make_emitter, outbox, locked, monkeypatch, logged):
        """When too many events wait, the newest are lost at once, counted and told; those that wait are stored."""
        monkeypatch.setattr("supertokens_events.emit.emitter._MAX_WAITING", 3)
        emitter = make_emitter()

        with locked():
            first = emitter.submit([sample_event()])
            until(lambda: emitter._writer.jobs)
            futures = first + emitter.submit([sample_event() for _ in range(5)])

        stored = [future.result(5) for future in futures]
        assert [event.sequence if event else None for event in stored] == [1, 2, 3, 4, None, None]
        until(lambda: counted(outbox) == {LedgerKey(Reason.LOST, "", "user.created"): 2})
        assert "error='too many events wait for the outbox'" in logged()


class TestEnd:
    def test_stop(self, make_emitter, outbox):
        """What waits is stored before stop returns; calling it again changes nothing; a later event is stored too."""
        emitter = make_emitter()
        emitter.submit([sample_event() for _ in range(1200)])

        emitter.stop()
        assert outbox.counts()[0] == 1200
        emitter.stop()

        assert emit_one(emitter).sequence == 1201

    def test_stop_before_anything(self, make_emitter, tmp_path):
        """Stopping what never began touches nothing."""
        make_emitter().stop()

        assert list(tmp_path.iterdir()) == []

    def test_stop_while_locked(self, make_emitter, outbox, locked, logged):
        """stop waits no longer than it was told; what could not be stored by then is counted as lost, not forgotten."""
        emitter = make_emitter()

        with locked():
            (future,) = emitter.submit([sample_event()])
            start = time.monotonic()
            emitter.stop(timeout=0.1)
            took = time.monotonic() - start

        assert took < 0.1 + MARGIN
        assert future.result(0) is None
        assert "An event is lost" in logged()
        emitter.stop()
        assert counted(outbox) == {LedgerKey(Reason.LOST, "", "user.created"): 1}

    def test_stop_waits_for_the_lock(self, make_emitter, outbox, locked):
        """A lock that goes in time costs nothing."""
        emitter = make_emitter()

        with locked():
            emitter.submit([sample_event()])
            ending = threading.Thread(target=emitter.stop, kwargs={"timeout": 10})
            ending.start()
            time.sleep(0.05)
        ending.join()

        assert outbox.counts()[0] == 1

    def test_stop_while_others_emit(self, make_emitter, outbox):
        """Events that arrive while somebody stops again and again are all stored."""
        emitter = make_emitter(append_timeout=10)

        def emit_many(_):
            return [emit_one(emitter) for _ in range(50)]

        with ThreadPoolExecutor(4) as threads:
            emitting = [threads.submit(emit_many, n) for n in range(4)]
            while not all(future.done() for future in emitting):
                emitter.stop()
            stored = [event for future in emitting for event in future.result()]

        assert sorted(event.sequence for event in stored) == list(range(1, 201))
        assert outbox.counts()[0] == 200

    def test_fork(self, make_emitter, outbox, in_child):
        """After a fork the child stores its own events, from several threads at once; the parent goes on."""
        emitter = make_emitter(append_timeout=10)
        emit_one(emitter)

        def emit_from_threads():
            with ThreadPoolExecutor(4) as threads:
                return sorted(event.sequence for event in threads.map(lambda _: emit_one(emitter), range(8)))

        child = json.loads(in_child(emit_from_threads))

        assert child == list(range(2, 10))
        assert emit_one(emitter).sequence == 10

    def test_fork_with_a_full_queue(self, make_emitter, outbox, locked, in_child):
        """What waits in the parent at a fork is stored by the parent, once; the child's stop leaves it alone."""
        emitter = make_emitter()

        with locked():
            emitter.submit([sample_event(user_id="parent")])
            until(lambda: emitter._writer.jobs)
            in_child(emitter.stop)

        until(lambda: outbox.counts()[0] == 1)
        assert in_child(lambda: emit_one(emitter, user_id="child").sequence) == "2"
        assert [event.user_id for event in outbox.events()] == ["parent", "child"]

    def test_exit(self, tmp_path):
        """A process that ends stores what waits, and what is emitted while it ends; its thread does not keep it alive."""
        code = """
import atexit, sys
from supertokens_events.testing import sample_event
def last():
    print(emitter.emit_sync([sample_event(user_id="last")])[0].sequence)
atexit.register(last)  # runs after the emitter has stopped
from supertokens_events.emit import Emitter, Route
from supertokens_events.outbox import SqliteOutbox
from supertokens_events.plugins import load_plugins
from supertokens_events.subscription import Patterns
emitter = Emitter(SqliteOutbox(sys.argv[1]), load_plugins(disable="*"), [], captured=Patterns(["*"]))
emitter.submit([sample_event() for _ in range(700)])
"""
        command = [sys.executable, "-c", code, str(tmp_path / "events.db")]
        process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        assert (process.stdout, process.stderr) == ("701\n", "")

    def test_no_more_threads(self, make_emitter, outbox, monkeypatch):
        """Where the interpreter starts no more threads, an event is stored by its caller, and the last one by nobody else."""

        def refuse(_thread):
            raise RuntimeError("can't create new thread at interpreter shutdown")

        monkeypatch.setattr(threading.Thread, "start", refuse)

        assert emit_one(make_emitter()).sequence == 1


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_quiet(make_emitter, caplog, level):
    """An app that logs at INFO hears nothing from us while all is well."""
    caplog.set_level(level, logger="supertokens_events")

    emit_one(make_emitter())

    assert caplog.records == []
