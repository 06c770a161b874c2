"""Handlers: an app's own functions, called with events by the dispatcher or before the response."""

import asyncio
import contextvars
import functools
import logging
import sqlite3
import threading
import time
from contextlib import closing, suppress

import pytest

from supertokens_events import Events, hookimpl
from supertokens_events.emit import Stored
from supertokens_events.handlers import BeforeResponse, Handler
from supertokens_events.handlers.calls import Running, Writing
from supertokens_events.outbox import DeliveryState, OutboxUnavailable, SqliteOutbox
from supertokens_events.plugins import DISABLE_VARIABLE
from supertokens_events.retry import RetryPolicy
from supertokens_events.sink import Delivered, Sink
from supertokens_events.subscription import Patterns, Subscription
from supertokens_events.testing import sample_event

# That a process with threads forks is part of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

PATIENCE = 10.0
AT_ONCE = RetryPolicy(schedule=(0.01,) * 5, jitter=0)
LATER = RetryPolicy(schedule=(3600,), jitter=0)


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch):
    monkeypatch.setenv(DISABLE_VARIABLE, "*")


@pytest.fixture
def make_events(tmp_path):
    made = []

    def make(*plugins, **tables):
        document = {"outbox": {"url": f"sqlite://{tmp_path}/events.db", "append_timeout": "20s"}} | tables
        made.append(Events.from_dict(document, plugins=plugins))
        return made[-1]

    yield make
    for events in made:
        events.stop()


@pytest.fixture
def events(make_events):
    return make_events()


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)
    return answer


def delivery(events):
    """The only one there is."""
    (found,) = events.outbox.deliveries()
    return found


def tried(events):
    """That delivery, once its first try is written down."""
    return until(lambda: (one := delivery(events)).attempts and one)


# What a handler may do to a call -----------------------------------------------------------------------------------------


LET_GO = threading.Event()


def raises():
    raise ValueError("p4ssw0rd")


async def raises_async():
    raise ValueError("p4ssw0rd")


def exits():
    raise SystemExit


async def exits_async():
    raise SystemExit


async def cancels_itself():
    raise asyncio.CancelledError


def hangs():
    LET_GO.wait(PATIENCE)


async def hangs_async():
    await asyncio.Event().wait()


async def will_not_be_cancelled():
    for _ in range(3):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.3)


async def is_no_async_function():
    raise AssertionError("nobody awaits it")


TOO_SLOW = "did not return within 0.05 s, before the response"
FAULTS = [
    (raises, "it raised ValueError at test_handlers.py:"),
    (raises_async, "it raised ValueError at test_handlers.py:"),
    (exits, "it raised SystemExit at test_handlers.py:"),
    (exits_async, "it raised SystemExit at test_handlers.py:"),
    (cancels_itself, "it raised CancelledError at test_handlers.py:"),
    (hangs, TOO_SLOW),
    (hangs_async, TOO_SLOW),
    (will_not_be_cancelled, TOO_SLOW),
    (is_no_async_function, "it returned something to await, and nobody does: make it an async function"),
]


class TestFromTheDispatcher:
    @pytest.mark.parametrize("kind", ["async", "blocking"])
    def test_called(self, events, kind):
        """A handler is called once with each event that it wants and with no other, async or not."""
        got = []

        if kind == "async":

            @events.on("app.*", "!app.other", name="mirror")
            async def mirror(event):
                got.append(event)
        else:
            events.on("app.*", "!app.other", name="mirror")(got.append)

        stored = events.emit_sync("app.said", data={"n": 1})
        events.emit_sync("app.other")

        until(lambda: events.outbox.status()[0].done)
        assert got == [stored]
        assert (delivery(events).sink, delivery(events).event_id) == ("on:mirror", stored.id)

    def test_again(self, events):
        """One that raises is called again with the same event, by its schedule; why is kept, but not what it said."""
        got = []

        @events.on("app.said", name="mirror", retry=AT_ONCE)
        def mirror(event):
            got.append(event.id)
            if len(got) < 3:
                raise ValueError("p4ssw0rd")

        stored = events.emit_sync("app.said")

        until(lambda: delivery(events).state == DeliveryState.DONE)
        assert got == [stored.id] * 3
        first, second, third = delivery(events).attempts
        assert first.reason == second.reason
        assert first.reason.startswith("it raised ValueError at test_handlers.py:")
        assert third.outcome == "delivered"

    def test_after_a_restart(self, make_events):
        """What was stored for a handler waits for a process that has it, by its name."""
        before, got = make_events(), []
        before.on("app.said", name="mirror", retry=LATER)(lambda _event: 1 / 0)
        stored = before.emit_sync("app.said")
        tried(before)
        before.stop()

        with closing(sqlite3.connect(before.outbox.path)) as connection, connection:
            connection.execute("UPDATE delivery SET due_at = 0")
        after = make_events()
        after.on("app.said", name="mirror")(got.append)
        after.start()

        assert until(lambda: got) == [stored]

    def test_dispatcher_elsewhere(self, make_events):
        """Where the app's sinks are delivered by another process, the app calls its handlers all the same, and only those."""
        delivered, got = [], []

        class Inbox(Sink):
            type = "inbox"

            async def deliver(self, deliveries):
                delivered.extend(deliveries)
                return [Delivered()] * len(deliveries)

        class Plugin:
            @hookimpl
            def register_sink_types(self):
                return [Inbox]

        sinks = {"crm": {"type": "inbox", "events": ["*"]}}
        events = make_events(Plugin(), sinks=sinks, dispatcher={"run": "off"})
        events.on("app.said", name="mirror")(got.append)

        stored = events.emit_sync("app.said")

        assert until(lambda: got) == [stored]
        until(lambda: {one.sink: one.state for one in events.outbox.deliveries()}["on:mirror"] == DeliveryState.DONE)
        assert {one.sink: one.state for one in events.outbox.deliveries()}["crm"] == DeliveryState.PENDING
        assert delivered == []

    def test_registered_later(self, events):
        """A handler that is registered while the dispatcher runs gets what is emitted from then on."""
        first, second = [], []
        events.on("app.said", name="first")(first.append)
        events.emit_sync("app.said")
        until(lambda: first)

        events.on("app.said", name="second")(second.append)
        stored = events.emit_sync("app.said")

        assert until(lambda: second) == [stored]


class TestBeforeResponse:
    @pytest.mark.anyio
    async def test_on_the_callers_loop(self, events):
        """An async handler has run when the call returns, on the caller's event loop, with the event as it is stored; and is not
        called again.
        """
        got = []

        @events.on("app.said", before_response=True, name="mirror")
        async def mirror(event):
            await asyncio.sleep(0)
            assert events.outbox.event(event.id) is not None
            got.append((event, asyncio.get_running_loop(), threading.get_ident()))

        stored = await events.emit("app.said")

        assert got == [(stored, asyncio.get_running_loop(), threading.get_ident())]
        until(lambda: delivery(events).state == DeliveryState.DONE)
        (attempt,) = delivery(events).attempts
        assert (attempt.outcome, attempt.detail) == ("delivered", {"called": "before the response"})

    @pytest.mark.parametrize("caller", ["emit", "emit_sync"])
    @pytest.mark.parametrize("kind", ["async", "blocking"])
    def test_has_run(self, events, caller, kind):
        """Whichever way the event is emitted, and whatever kind of function it is, it has run when the call returns."""
        got = []

        async def mirror(event):
            got.append(event)

        events.on("app.said", before_response=True, name="mirror")(mirror if kind == "async" else got.append)
        stored = asyncio.run(events.emit("app.said")) if caller == "emit" else events.emit_sync("app.said")

        assert got == [stored]
        until(lambda: delivery(events).state == DeliveryState.DONE)
        assert got == [stored]

    @pytest.mark.parametrize("caller", ["emit", "emit_sync"])
    @pytest.mark.parametrize(("fault", "why"), FAULTS, ids=[fault.__name__ for fault, _ in FAULTS])
    def test_fails(self, events, caller, fault, why):
        """Whatever a handler does, the call returns in time with its event; the dispatcher calls it again, and the first attempt
        says what came of the first call.
        """
        calls = []
        LET_GO.clear()

        def once(_event):
            calls.append(fault)
            return fault() if len(calls) == 1 else None

        async def once_async(event):
            if (answer := once(event)) is not None:
                await answer

        is_async = asyncio.iscoroutinefunction(fault) and fault is not is_no_async_function
        events.on("app.said", before_response=True, timeout=0.05, name="mirror", retry=AT_ONCE)(
            once_async if is_async else once
        )
        began = time.monotonic()
        stored = asyncio.run(events.emit("app.said")) if caller == "emit" else events.emit_sync("app.said")

        assert stored.sequence == 1
        assert time.monotonic() - began < PATIENCE / 2
        first = tried(events).attempts[0]
        assert first.reason.startswith(why)
        assert first.detail == {"called": "before the response"}
        LET_GO.set()
        until(lambda: delivery(events).state == DeliveryState.DONE)
        assert len(calls) >= 2

    @pytest.mark.anyio
    async def test_one_deadline(self, events):
        """Handlers of one event run at once; one that has used up its time with a first event is not called with the next."""
        got = []

        @events.on("app.*", before_response=True, timeout=0.2, name="slow", retry=LATER)
        async def slow(event):
            got.append(("slow", event.type))
            await asyncio.Event().wait()

        @events.on("app.*", before_response=True, timeout=20, name="quick")
        async def quick(event):
            got.append(("quick", event.type))

        began = time.monotonic()
        first, second = (events._event(name, {}, None) for name in ("app.first", "app.second"))
        await events.emitter.emit([first, second])

        assert time.monotonic() - began < PATIENCE / 2
        assert got == [("slow", "app.first"), ("quick", "app.first"), ("quick", "app.second")]
        until(lambda: all(one.attempts for one in events.outbox.deliveries()))
        reasons = [one.attempts[0].reason for one in events.outbox.deliveries() if one.sink == "on:slow"]
        assert reasons == [
            "did not return within 0.2 s, before the response",
            "not called before the response: no time was left",
        ]

    @pytest.mark.anyio
    async def test_caller_that_goes_away(self, events):
        """A request that is cancelled takes the call with it; the dispatcher repeats it."""
        begun, cancelled = asyncio.Event(), []

        @events.on("app.said", before_response=True, timeout=20, name="mirror")
        async def mirror(_event):
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        request = asyncio.create_task(events.emit("app.said"))
        await begun.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await asyncio.sleep(0)

        assert cancelled == [True]
        assert delivery(events).state == DeliveryState.PENDING

    @pytest.mark.anyio
    @pytest.mark.parametrize("kind", ["async", "blocking"])
    async def test_a_handler_that_cancels_its_task(self, events, kind):
        """It cancels nobody else: whoever emits has his event, and the dispatcher calls the handler again."""

        @events.on("app.said", before_response=True, timeout=20, name="mirror", retry=LATER)
        async def mirror(_event):
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

        if kind == "async":
            event = await events.emit("app.said")
        else:
            event = await asyncio.to_thread(events.emit_sync, "app.said")

        assert event.sequence == 1
        (attempt,) = until(lambda: delivery(events).attempts)
        assert attempt.reason == "it cancelled the task that it ran in"

    def test_events_of_a_handler(self, events):
        """What a handler emits is stored, and its handlers are called by the dispatcher: no call waits for a chain of them."""
        got = []

        @events.on("app.said", before_response=True, name="mirror")
        def mirror(_event):
            events.emit_sync("app.heard")
            got.append(("mirror", [one.sink for one in events.outbox.deliveries()]))

        @events.on("app.heard", before_response=True, name="echo")
        def echo(_event):
            got.append(("echo", threading.current_thread().name))

        events.emit_sync("app.said")

        assert got == [("mirror", ["on:mirror", "on:echo"])]

    def test_context(self, events):
        """A handler sees the context variables of the request."""
        request, got = contextvars.ContextVar("request"), []
        request.set("r1")
        events.on("app.said", before_response=True, name="mirror")(lambda _event: got.append(request.get()))

        events.emit_sync("app.said")
        asyncio.run(events.emit("app.said"))

        assert got == ["r1", "r1"]

    def test_held_by_a_filter(self, make_events):
        """Where a filter fails, nothing leaves that should have been stopped: the handler is not called."""
        got = []

        class Broken:
            @hookimpl
            def filter_event(self, event):
                raise KeyError("p4ssw0rd")

        events = make_events(Broken())
        events.on("app.said", before_response=True, name="mirror")(got.append)

        events.emit_sync("app.said")

        assert delivery(events).state == DeliveryState.DEAD
        assert got == []

    def test_not_stored_in_time(self, make_events, tmp_path):
        """An event that is not stored in time is not handled in the call; once it is stored, the dispatcher sees to it."""
        events, got = make_events(outbox={"url": f"sqlite://{tmp_path}/events.db", "append_timeout": 0.05}), []
        events.on("app.said", before_response=True, timeout=0.05, name="mirror")(got.append)
        events.outbox.open()

        with closing(sqlite3.connect(tmp_path / "events.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            returned = events.emit_sync("app.said")
            assert (returned.sequence, got) == (None, [])
            other.execute("ROLLBACK")
        until(events.outbox.deliveries)
        with closing(sqlite3.connect(tmp_path / "events.db")) as other, other:
            other.execute("UPDATE delivery SET due_at = 0")

        until(lambda: got)
        assert [event.id for event in got] == [returned.id]

    def test_store_that_goes_away(self, events, caplog):
        """Where it cannot be written down that a handler ran, the log says so, and the dispatcher calls it again."""

        class Gone(SqliteOutbox):
            def take(self, event_id, sink, lease):
                raise OutboxUnavailable("its disk is full")

        got = []
        handler = Handler("on:mirror", got.append, Subscription(Patterns(["*"])), timeout=20)
        with closing(Gone(events.outbox.path)) as outbox:
            before_response = BeforeResponse(outbox, {"on:mirror": handler}.get)
            before_response.call_sync([Stored(sample_event("user.created"), ["on:mirror"])])
            before_response.stop(PATIENCE)

        assert len(got) == 1
        assert "could not be written down; it is called again. error='its disk is full'" in caplog.text

    def test_busy_store(self, events):
        """While the outbox is locked, no call waits for what a handler did to be written down."""
        other = sqlite3.connect(events.outbox.path, isolation_level=None, check_same_thread=False)
        got = []

        @events.on("app.said", before_response=True, name="mirror")
        def mirror(event):
            other.execute("BEGIN IMMEDIATE")
            got.append(event)

        with closing(other):
            assert events.emit_sync("app.said") == got[0]
            other.execute("ROLLBACK")
            until(lambda: delivery(events).state == DeliveryState.DONE)
        assert len(got) == 1

    def test_stop(self, events):
        """``stop`` waits until it is written down that a handler ran."""
        events.on("app.said", before_response=True, name="mirror")(lambda _event: None)
        events.emit_sync("app.said")

        events.stop()

        assert delivery(events).state == DeliveryState.DONE

    def test_fork(self, events, in_child):
        """A forked child calls handlers in its own process."""
        got = []
        events.on("app.said", before_response=True, name="mirror")(got.append)
        events.emit_sync("app.said")

        def child():
            events.emit_sync("app.said")
            events.stop()
            return len(got)

        assert in_child(child) == "2"
        until(lambda: [one.state for one in events.outbox.deliveries()] == [DeliveryState.DONE] * 2)
        assert len(got) == 1


class TestRegistering:
    def test_its_name(self, events):
        """By default a handler is named for its module and its place in it, whatever stands around it."""

        def local(_event):
            """Do nothing."""

        assert events.on("app.said")(local) is local
        events.on("app.said", before_response=True)(functools.partial(print, end=""))

        assert [route.sink for route in events.emitter.routes] == [
            f"on:{__name__}.TestRegistering.test_its_name.local",
            "on:builtins.print",
        ]

    @pytest.mark.parametrize(
        ("arguments", "options", "says"),
        [
            ((), {}, "on() takes the types of the events"),
            ((print,), {}, "on() takes the types of the events"),
            (("Not a type",), {}, "'Not a type' is not an event pattern"),
            (("app.said",), {"before_response": True, "timeout": 0}, "timeout is a number of seconds above 0"),
            (("app.said",), {"before_response": True, "timeout": float("inf")}, "timeout is a number of seconds"),
            (("app.said",), {"name": "a/b"}, "'a/b' cannot be the name of a handler"),
            (("app.said",), {"name": ""}, "'' cannot be the name of a handler"),
            (("app.said",), {"name": "taken"}, "there is a handler 'taken' already: give one of them a name=…"),
        ],
    )
    def test_mistakes(self, events, arguments, options, says):
        """A mistake is a ``ValueError`` that says what to do, and registers nothing."""
        events.on("app.said", name="taken")(lambda _event: None)

        with pytest.raises(ValueError, match=r"\S") as caught:
            events.on(*arguments, **options)(lambda _event: None)

        assert str(caught.value).startswith(says)
        assert [route.sink for route in events.emitter.routes] == ["on:taken"]

    @pytest.mark.parametrize(
        ("pattern", "says"),
        [
            ("session.refreshed", "A handler is never called: [capture] leaves out its event type."),
            ("user.creatd", "A handler's event type is in no catalog; there is one much like it."),
        ],
    )
    def test_what_never_comes(self, events, caplog, pattern, says):
        """A type that is not captured, or looks like a typing error, is warned of: an app's own types are in no catalog."""
        with caplog.at_level(logging.WARNING):
            events.on(pattern, name="mirror")(lambda _event: None)

        assert says in caplog.text

    def test_wanted(self, events):
        """What a handler wants is worth an extra read of the core."""
        assert not events.emitter.wants("user.deleted")

        events.on("user.deleted", name="mirror")(lambda _event: None)

        assert events.emitter.wants("user.deleted")


class TestCalls:
    def test_running(self):
        """A handler whose calls do not return is not called any more, until some do; others are."""
        running = Running()
        while running.begin("stuck"):
            assert running.begin("fine")
            running.end("fine")
        running.end("stuck")

        assert running.begin("stuck")
        assert not running.begin("stuck")

    def test_too_many(self, events):
        """A call that there is no room for waits for the dispatcher, and its first attempt says why."""
        events.on("app.said", before_response=True, name="mirror", retry=LATER)(lambda _event: None)
        while events._before_response._running.begin("on:mirror"):
            pass

        events.emit_sync("app.said")

        attempt = tried(events).attempts[0]
        assert attempt.reason == "not called before the response: too many calls of it have not returned"
        assert delivery(events).used == 0

    def test_writing(self):
        """What is being written is waited for, not for ever."""
        writing, go, done = Writing(), threading.Event(), []
        writing.start(lambda: go.wait(PATIENCE) and done.append(1))

        writing.join(0.01)
        assert done == []
        go.set()
        writing.join(PATIENCE)
        assert done == [1]
