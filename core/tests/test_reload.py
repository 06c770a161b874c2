"""Reload: a change of the configuration's file reaches what runs, a mistake in it changes nothing."""

import time

import anyio
import anyio.to_thread
import pytest

from supertokens_events import Events, hookimpl
from supertokens_events.config import ConfigurationError
from supertokens_events.dispatch import Dispatcher
from supertokens_events.ledger import Ledger
from supertokens_events.outbox import Entry, NewDelivery
from supertokens_events.plugins import DISABLE_VARIABLE
from supertokens_events.sink import Delivered, Sink, SinkSettings
from supertokens_events.testing import sample_event

# That a process with threads forks is part of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

PATIENCE = 10.0
TABLE = {"type": "inbox", "events": ["*"]}


class Inbox(Sink):
    """Writes down what becomes of it and what it gets."""

    type = "inbox"
    diary = []

    class Settings(SinkSettings):
        tag: str = ""
        slow: float = 0

    async def open(self):
        self.diary.append(("open", self.name, self.settings.tag))

    async def deliver(self, deliveries):
        await anyio.sleep(self.settings.slow)
        self.diary.extend((delivery.event_type, self.name, self.settings.tag) for delivery in deliveries)
        return [Delivered()] * len(deliveries)

    async def close(self):
        self.diary.append(("close", self.name, self.settings.tag))


class Post:
    @hookimpl
    def register_sink_types(self):
        return [Inbox]


@pytest.fixture
def diary(monkeypatch):
    monkeypatch.setattr(Inbox, "diary", [])
    return Inbox.diary


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """Looks come often, and a file is soon taken for whole."""
    monkeypatch.setenv(DISABLE_VARIABLE, "*")
    monkeypatch.setattr("supertokens_events.reload._EVERY", 0.02)
    monkeypatch.setattr("supertokens_events.reload._SETTLED", 0.02)
    monkeypatch.setattr("supertokens_events.dispatch.dispatcher._LOOK_EVERY", 0.02)


@pytest.fixture
def file(tmp_path):
    """Writes the configuration: tables beside the sinks, and a sink for each name."""
    path = tmp_path / "events.toml"

    def write(*sinks, tables="", run="thread", **named):
        lines = [f'[dispatcher]\nrun = "{run}"\n{tables}']
        for name, keys in [*((sink, "") for sink in sinks), *named.items()]:
            events = "" if "events" in keys else 'events = ["*"]'
            lines.append(f'[sinks.{name}]\ntype = "inbox"\n{events}\n{keys}')
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.fixture
def make_events(file, diary):
    made = []

    def make(path):
        made.append(Events.from_toml(path, plugins=[Post()]))
        return made[-1]

    yield make
    for events in made:
        events.stop()


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return condition()


def wait_for_look():
    time.sleep(0.1)


class TestReplaceSinks:
    """The same from code, for an app that has no file."""

    @pytest.fixture
    def events(self, tmp_path, diary):
        url = f"sqlite://{tmp_path}/events.db"
        events = Events.from_dict({"outbox": {"url": url}, "sinks": {"crm": TABLE}}, plugins=[Post()])
        yield events
        events.stop()

    def test_reaches_both_ends(self, events, diary):
        """The next event goes to the sinks that are new, and not to those that are gone; one that stays keeps its lane."""
        events.emit_sync("app.first")
        until(lambda: ("app.first", "crm", "") in diary)

        events.replace_sinks({"crm": TABLE | {"events": ["app.first"]}, "audit": TABLE | {"tag": "new"}})
        events.emit_sync("app.second")

        until(lambda: ("app.second", "audit", "new") in diary)
        assert [status.sink for status in events.outbox.status()] == ["audit", "crm"]
        assert ("app.second", "crm", "") not in diary
        assert [line for line in diary if line[0] in {"open", "close"}] == [
            ("open", "crm", ""),
            ("open", "audit", "new"),
        ]

    def test_mistake(self, events, diary):
        """A table with a mistake is an error that names the key; what was configured goes on."""
        with pytest.raises(ConfigurationError, match=r"configuration: sinks.audit.tagg: unknown key"):
            events.replace_sinks({"audit": TABLE | {"tagg": "new"}})

        assert list(events.settings.sinks) == ["crm"]
        events.emit_sync("app.first")
        until(lambda: ("app.first", "crm", "") in diary)

    def test_of_a_file(self, make_events, file):
        """Sinks that come from a file are changed there: two places that say different things are one too many."""
        events = make_events(file("crm"))

        with pytest.raises(ConfigurationError, match=r"events\.toml: the sinks come from this file; change them there"):
            events.replace_sinks({})

        assert list(events.settings.sinks) == ["crm"]


class TestDispatching:
    def test_a_new_sink(self, make_events, file, diary):
        """A sink that comes to the file gets what happens from then on; one that stays as it is keeps its lane."""
        events = make_events(file("crm"))
        events.emit_sync("app.first")
        until(lambda: ("app.first", "crm", "") in diary)

        file("crm", "audit")
        until(lambda: "audit" in events.settings.sinks)
        events.emit_sync("app.second")

        until(lambda: {("app.second", "crm", ""), ("app.second", "audit", "")} <= set(diary))
        assert [line for line in diary if line[0] in {"open", "close"}] == [("open", "crm", ""), ("open", "audit", "")]
        assert ("app.first", "audit", "") not in diary

    def test_a_changed_sink(self, make_events, file, diary):
        """One that changes ends first, with what is in flight; then the new one begins. Nothing is delivered twice."""
        events = make_events(file(crm="slow = 0.3"))
        events.emit_sync("app.first")
        until(lambda: ("open", "crm", "") in diary)

        file(crm='tag = "new"')
        until(lambda: events.settings.sinks["crm"].settings.tag == "new")
        events.emit_sync("app.second")

        until(lambda: ("app.second", "crm", "new") in diary)
        assert diary == [
            ("open", "crm", ""),
            ("app.first", "crm", ""),
            ("close", "crm", ""),
            ("open", "crm", "new"),
            ("app.second", "crm", "new"),
        ]

    def test_what_it_subscribes_to(self, make_events, file, diary):
        """A sink that only wants other events keeps its lane."""
        events = make_events(file(crm='events = ["app.a"]'))
        events.emit_sync("app.a")
        until(lambda: ("app.a", "crm", "") in diary)

        file(crm='events = ["app.b"]')
        until(lambda: events.settings.sinks["crm"].subscription.patterns.matches("app.b"))
        for name in ("app.a", "app.b"):
            events.emit_sync(name)

        until(lambda: ("app.b", "crm", "") in diary)
        assert diary == [("open", "crm", ""), ("app.a", "crm", ""), ("app.b", "crm", "")]

    def test_a_removed_sink(self, make_events, file, diary):
        """One that goes is closed; what waits for it is still there, for the day when it comes back."""
        events = make_events(file(crm="", audit="enabled = false"))
        events.emit_sync("app.first")
        until(lambda: ("app.first", "crm", "") in diary)

        file("audit")
        until(lambda: ("close", "crm", "") in diary)
        events.emit_sync("app.second")

        until(
            lambda: (
                [(status.sink, status.done, status.skipped) for status in events.outbox.status()]
                == [("audit", 1, 1), ("crm", 1, 0)]
            )
        )
        assert ("app.second", "crm", "") not in diary

    def test_a_mistake(self, make_events, file, diary, logged):
        """A file that is wrong is told once, with all that is wrong in it; what runs goes on until it is right."""
        events = make_events(file("crm"))
        events.emit_sync("app.first")
        until(lambda: ("app.first", "crm", "") in diary)

        file(crm="tags = 5", tables='[outbox]\ndurability = "some"')
        until(lambda: "sinks.crm.tags" in logged())
        wait_for_look()
        events.emit_sync("app.second")
        until(lambda: ("app.second", "crm", "") in diary)
        file("crm", "audit")
        until(lambda: "audit" in events.settings.sinks)

        assert logged().count("is wrong; what was configured before goes on") == 1
        assert "outbox.durability" in logged()

    def test_gone(self, make_events, file, diary, logged):
        """So is a file that is not there any more."""
        path = file("crm")
        events = make_events(path)
        events.start()

        path.unlink()
        until(lambda: "there is no such file" in logged())

        assert list(events.settings.sinks) == ["crm"]

    def test_secrets(self, make_events, file, tmp_path, diary, logged):
        """A secret's own file is looked at too, also when it comes later than the file that names it."""
        (tmp_path / "tag").write_text("old")
        events = make_events(file(crm='tag = { file = "tag" }'))
        events.start()
        until(lambda: ("open", "crm", "old") in diary)

        (tmp_path / "tag").write_text("rotated")
        until(lambda: ("open", "crm", "rotated") in diary)
        file(crm='tag = { file = "other" }')
        until(lambda: "the file other cannot be read" in logged())
        (tmp_path / "other").write_text("late")

        until(lambda: ("open", "crm", "late") in diary)

    def test_what_needs_a_restart(self, make_events, file, logged):
        """Where the outbox is and how the dispatcher runs stay as they are, and that is said."""
        events = make_events(file("crm"))
        events.start()

        file("crm", run="off", tables='[outbox]\nmax_size = "1GB"')

        until(lambda: "is applied" in logged())
        assert "[outbox] has changed; that needs a restart." in logged()
        assert "[dispatcher] has changed; that needs a restart." in logged()
        assert (events.settings.outbox.max_size, events.settings.dispatcher.run) == (None, "thread")


class TestStoring:
    """A process without a dispatcher looks when it stores."""

    def test_the_first_event(self, make_events, file):
        """The first event after a change is stored by the new configuration, also one that was not captured before."""
        events = make_events(file("crm", run="off", tables='[capture]\nevents = ["user.created"]'))

        file("audit", run="off", tables='[capture]\nevents = ["*"]')
        wait_for_look()
        events.emit_sync("app.first")

        assert [delivery.sink for delivery in events.outbox.deliveries()] == ["audit"]

    def test_half_a_file(self, make_events, file, monkeypatch):
        """A file that is being written is left alone: half of it may be valid, and say that there are no sinks."""
        monkeypatch.setattr("supertokens_events.reload._SETTLED", 60)
        path = file("crm", run="off")
        events = make_events(path)

        with path.open("w") as opened:
            for line in ("[dispatcher]\n", 'run = "off"\n'):
                opened.write(line)
                opened.flush()
                wait_for_look()
                events.emit_sync("app.first")

        assert [delivery.sink for delivery in events.outbox.deliveries()] == ["crm", "crm"]
        wait_for_look()
        events.emit_sync("app.second")
        assert len(events.outbox.deliveries()) == 2

    def test_seldom(self, make_events, file, monkeypatch):
        """However many events there are, the file is looked at once a second."""
        monkeypatch.setattr("supertokens_events.reload._EVERY", 60)
        looks = []
        monkeypatch.setattr("supertokens_events.reload.stamp", looks.append)
        events = make_events(file("crm", run="off"))

        for _ in range(20):
            events.emit_sync("app.first")

        assert looks == []

    def test_from_a_dict(self, diary, tmp_path):
        """What comes from no file does not change."""
        events = Events.from_dict({"outbox": {"url": f"sqlite://{tmp_path}/x.db"}, "dispatcher": {"run": "off"}})

        wait_for_look()
        events.emit_sync("app.first")

        assert not events.emitter._configuration.due
        events.stop()

    def test_fork(self, make_events, file, in_child):
        """A child looks for itself, though another thread was looking at the fork."""
        events = make_events(file("crm", run="off"))
        file("audit", run="off")
        wait_for_look()

        def child():
            events.emit_sync("app.first")
            return [delivery.sink for delivery in events.outbox.deliveries()]

        with events._following.reloader._looking:
            assert in_child(child) == "['audit']"

    def test_a_bug(self, make_events, file, monkeypatch, logged):
        """A failure of ours in a look costs no event, and is told once for each change."""
        events = make_events(file("crm", run="off"))
        monkeypatch.setattr("supertokens_events.reload.load_file", None)
        file("audit", run="off")

        for _ in range(3):
            wait_for_look()
            assert events.emit_sync("app.first").sequence

        assert logged().count("could not be looked at") == 1


@pytest.mark.anyio
async def test_replace_while_stopping(outbox, make_plugins, diary):
    """A dispatcher that is stopping begins nothing new."""
    old, new = (Inbox(name, Inbox.Settings()) for name in ("old", "new"))
    dispatcher = Dispatcher([old], outbox, make_plugins(), Ledger())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run)
        await anyio.sleep(0.05)
        dispatcher.stop()
        dispatcher.replace([new])

    assert [lane.sink for lane in dispatcher.lanes] == [old]


@pytest.mark.anyio
async def test_replace_twice(outbox, make_plugins, diary, monkeypatch):
    """Of several changes in a row only the last one is there in the end, and what was opened is closed."""
    sinks = [Inbox("crm", Inbox.Settings(tag=str(number))) for number in range(4)]
    dispatcher = Dispatcher(sinks[:1], outbox, make_plugins(), Ledger())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run)
        await anyio.sleep(0.2)
        for sink in sinks[1:]:
            dispatcher.replace([sink])
        await anyio.to_thread.run_sync(until, lambda: ("open", "crm", "3") in diary)
        dispatcher.stop()

    assert diary == [("open", "crm", "0"), ("close", "crm", "0"), ("open", "crm", "3"), ("close", "crm", "3")]
    assert (dispatcher._leaving, dispatcher._scopes) == ({}, {})


@pytest.mark.anyio
async def test_replace_what_hangs(outbox, make_plugins, diary, monkeypatch):
    """A sink that does not finish gives its deliveries back after a while, and the new one gets them."""
    monkeypatch.setattr("supertokens_events.dispatch.dispatcher._REPLACED_GRACE", 0.1)
    hanging, new = Inbox("crm", Inbox.Settings(slow=60)), Inbox("crm", Inbox.Settings(tag="new"))
    dispatcher = Dispatcher([hanging], outbox, make_plugins(), Ledger(), poll_interval=0.02)
    event = sample_event()
    outbox.append([Entry(event, event.to_bytes(), [NewDelivery("crm")])])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run)
        with anyio.fail_after(PATIENCE):
            await anyio.sleep(0.2)
            dispatcher.replace([new])
            await anyio.to_thread.run_sync(until, lambda: ("user.created", "crm", "new") in diary)
        dispatcher.stop()
