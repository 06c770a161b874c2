"""What an app emits in a test: kept for the test, delivered to nobody, and its own outbox not touched."""

import threading

import anyio
import pytest

from supertokens_events import Events, hookimpl
from supertokens_events.ledger import Reason
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery
from supertokens_events.testing import RecordingSink, capture_events, memory_outbox, sample_event


class Plugin:
    """An app's plugin: a sink that records, and hooks."""

    def __init__(self):
        self.made = []
        self.told = []

    @hookimpl
    def register_sink_types(self):
        class Recording(RecordingSink):
            def __init__(sink, name, settings):  # noqa: N805 - `self` is the plugin
                super().__init__(name, settings)
                self.made.append(sink)

        return [Recording]

    @hookimpl
    def enrich_event(self, event):
        return {"request_id": "r-1"}

    @hookimpl
    def filter_event(self, event):
        return event.type != "app.filtered"

    @hookimpl
    def event_emitted(self, event):
        self.told.append(event.type)


@pytest.fixture
def plugin():
    return Plugin()


@pytest.fixture
def app(tmp_path, plugin):
    """The Events of an app that would store in a file and deliver from a thread."""
    configuration = {
        "outbox": {"url": f"sqlite://{tmp_path}/app.db"},
        "dispatcher": {"poll_interval": "10ms"},
        "sinks": {"all": {"type": "recording", "events": ["*"]}},
    }
    events = Events.from_dict(configuration, plugins=[plugin])
    yield events
    events.stop()


def test_what_is_emitted_is_kept(app):
    """Events come back in order, as they were stored: with their sequence, and with what hooks have added."""
    with capture_events(app) as events:
        app.emit_sync("app.one", user_id="ada", data={"n": 1})
        app.emit_sync("app.two")

        assert events.types == ["app.one", "app.two"]
        first = events.emitted[0]
        assert (first.user_id, first.data, first.sequence, first.context.request_id) == ("ada", {"n": 1}, 1, "r-1")


def test_nothing_is_delivered_and_no_file_is_made(app, plugin, tmp_path):
    """Neither the dispatcher's thread nor one that the app runs delivers, and the app's own outbox is not even opened."""
    with capture_events(app) as events:
        app.start()
        app.emit_sync("app.one")
        assert events.types == ["app.one"]
        assert "supertokens-events-dispatch" not in {thread.name for thread in threading.enumerate()}

    assert [sink.deliveries for sink in plugin.made] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.anyio
async def test_a_dispatcher_of_the_app_finds_nothing(app, plugin):
    """A dispatcher that the app's lifespan runs by itself has nothing to deliver."""
    with capture_events(app) as events:
        await app.emit("app.one")

        assert await app.dispatcher().run_until_empty() == 0
        assert events.types == ["app.one"]


def test_hooks_are_told_and_heeded(app, plugin):
    """What a hook filters is not emitted; what is emitted is told to hooks."""
    with capture_events(app) as events:
        app.emit_sync("app.filtered")
        app.emit_sync("app.one")

        assert events.types == ["app.one"]
        assert plugin.told == ["app.one"]


def test_a_handler_before_the_response_is_called(app):
    """What answers wait for is done in a test as well, for the event that the test captured and for the app's own."""
    seen = []
    app.on("app.one", before_response=True, name="mirror")(lambda event: seen.append(event.id))

    with capture_events(app) as events:
        app.emit_sync("app.one")
        captured = events.one()
        assert seen == [captured.id]
    app.emit_sync("app.one")

    assert seen == [captured.id, app.outbox.events()[0].id]
    app.stop()
    (delivery,) = app.outbox.deliveries(sink="on:mirror")
    assert delivery.state == DeliveryState.DONE


def dispatching():
    """Whether a dispatcher's thread is alive."""
    return "supertokens-events-dispatch" in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("run", ["thread", "off"])
def test_a_handler_that_is_registered_inside(plugin, tmp_path, run):
    """A module that is first imported in a test registers its handlers inside: nothing starts, and nothing is delivered; once
    it is over, they are called as if they had been registered before.
    """
    configuration = {
        "outbox": {"url": f"sqlite://{tmp_path}/app.db"},
        "dispatcher": {"run": run, "poll_interval": "10ms"},
    }
    app = Events.from_dict(configuration, plugins=[plugin])
    seen, called = [], threading.Event()

    def handler(event):
        seen.append(event.type)
        called.set()

    try:
        with capture_events(app) as outer:
            with capture_events(app) as inner:
                app.on("app.*")(handler)
                app.start()
                app.emit_sync("app.inside")
                assert inner.types == ["app.inside"]
                assert not dispatching()
            app.emit_sync("app.between")
            assert outer.types == ["app.between"]
            assert not dispatching()
        assert (dispatching(), list(tmp_path.iterdir())) == (False, [])

        app.emit_sync("app.outside")
        assert called.wait(10)
        assert seen == ["app.outside"]
    finally:
        app.stop()


def test_before_and_afterwards_it_is_the_apps_own(app, plugin):
    """What was emitted before is in the app's outbox, and so is what comes afterwards, and is delivered."""
    app.emit_sync("app.before")
    with capture_events(app) as events:
        app.emit_sync("app.meanwhile")
        assert events.types == ["app.meanwhile"]
    app.emit_sync("app.afterwards")

    assert [stored.type for stored in app.outbox.events()] == ["app.before", "app.afterwards"]
    app.stop()
    anyio.run(app.dispatcher().run_until_empty)
    assert {one.event_type for sink in plugin.made for one in sink.deliveries} == {"app.before", "app.afterwards"}


def test_the_app_may_stop_meanwhile(app):
    """An app's lifespan ends before the test looks: what was emitted is still there, and more can come."""
    with capture_events(app) as events:
        app.emit_sync("app.one")
        app.stop()

        assert events.types == ["app.one"]
        app.emit_sync("app.two")
        assert events.types == ["app.one", "app.two"]


def test_captures_nest(app):
    """Inside, a test sees its own events; outside, those of before and after."""
    with capture_events(app) as outer:
        app.emit_sync("app.one")
        with capture_events(app) as inner:
            app.emit_sync("app.two")
            assert inner.types == ["app.two"]
        app.emit_sync("app.three")

        assert outer.types == ["app.one", "app.three"]


def test_it_ends_when_the_test_fails(app):
    """An exception in the test ends the capture, too."""
    with pytest.raises(ZeroDivisionError), capture_events(app):
        raise ZeroDivisionError

    assert app.emit_sync("app.one").sequence == 1
    assert [stored.type for stored in app.outbox.events()] == ["app.one"]


def test_events_are_found_by_patterns(app):
    """``of_type`` takes what a sink's ``events`` takes; ``one`` gives the event; ``none`` is content with none."""
    with capture_events(app) as events:
        for name in ("app.user.made", "app.user.gone", "app.role.made"):
            app.emit_sync(name)

        assert [event.type for event in events.of_type("app.user.*")] == ["app.user.made", "app.user.gone"]
        assert [event.type for event in events.of_type("*.made", "!app.role.*")] == ["app.user.made"]
        assert events.one("*.gone").type == "app.user.gone"
        assert [event.type for event in events.of_type()] == events.types
        events.none("app.session.*")


def test_what_is_missing_is_told_with_what_is_there(app):
    """A failed expectation shows what was emitted, and what of these types was not stored, and why."""
    with capture_events(app) as events:
        app.emit_sync("app.one", user_id="ada", data={"n": 1})
        app.emit_sync("app.filtered")

        with pytest.raises(AssertionError) as failed:
            events.one("app.filtered", "app.two")

    assert str(failed.value) == (
        "expected one event 'app.filtered' or 'app.two', found 0; emitted:\n"
        "  app.one user ada {'n': 1}\n"
        f"  not stored: app.filtered {Reason.FILTERED} Plugin#1"
    )


def test_too_many_and_any_are_told(app):
    """More than one is not one, and any is not none."""
    with capture_events(app) as events:
        app.emit_sync("app.one")
        app.emit_sync("app.one")

        with pytest.raises(
            AssertionError, match=r"expected one event 'app\.one', found 2; emitted:\n  app\.one\n  app\.one"
        ):
            events.one("app.one")
        with pytest.raises(AssertionError, match="expected no event, found 2; emitted:"):
            events.none()
        with pytest.raises(ValueError, match="'User' is not an event pattern"):
            events.of_type("User")


def test_what_came_first_can_be_forgotten(app):
    """After ``clear`` a test sees what comes next."""
    with capture_events(app) as events:
        app.emit_sync("app.prepared")
        events.clear()
        events.none()
        app.emit_sync("app.one")

        assert events.types == ["app.one"]
        assert repr(events) == "<CapturedEvents ['app.one']>"


def test_many_events_are_all_kept(app):
    """More than one page of the outbox, emitted from several threads."""

    def emit():
        app.emitter.emit_sync([sample_event("app.many") for _ in range(600)])

    with capture_events(app) as events:
        threads = [threading.Thread(target=emit) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(events.emitted) == 1200


def test_an_outbox_in_memory_leaves_nothing(clock):
    """It keeps the contract, and its folder goes with it."""
    event = sample_event()
    with memory_outbox(clock=clock) as outbox:
        outbox.append([Entry(event, event.to_bytes(), [NewDelivery("crm")])])
        (claim,) = outbox.claim("crm", 10, 60)
        folder = outbox.path.parent

        assert claim.delivery.event.type == "user.created"
        assert outbox.events()[0].stored_at == clock()
        assert folder.is_dir()

    assert not folder.exists()
