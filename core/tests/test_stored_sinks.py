"""Sinks that are made through the API: checked, stored without a readable secret, followed by every process."""

import base64
import os
import time
from dataclasses import replace

import anyio
import pytest
from pydantic import Field, SecretStr, field_validator

from supertokens_events import Events, hookimpl
from supertokens_events.config import ConfigurationError, load_settings
from supertokens_events.event import Event
from supertokens_events.outbox import DeliveryState
from supertokens_events.plugins import DISABLE_VARIABLE, Plugin, load_plugins
from supertokens_events.sink import Delivered, Renewed, Sink, SinkSettings
from supertokens_events.stored.secrets import plain_secrets
from supertokens_events.stored.sinks import NoSuchSink, SinkConflict, Sinks
from supertokens_events.stored.vault import Vault

# That a process with threads forks is part of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

PATIENCE = 10.0
SECRET = "canary-5ecret-of-a-place"
KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in range(2)]
TABLE = {"events": ["*"], "token": SECRET}


class Box(Sink):
    """Has secrets in every kind of place."""

    type = "box"
    received = []

    class Settings(SinkSettings):
        token: SecretStr
        headers: dict[str, SecretStr] = {}
        more: tuple[SecretStr, ...] = ()
        url: str | None = Field(None, repr=False)
        tag: str = ""

    @classmethod
    def renewed(cls, table, settings, until):
        if settings is None and "token" in table:
            return None
        return Renewed({**table, "token": "canary-new-5ecret"}, {"token": "canary-new-5ecret"})

    async def deliver(self, deliveries):
        token = self.settings.token.get_secret_value()
        self.received.extend((self.name, delivery.event_type, token) for delivery in deliveries)
        return [Delivered()] * len(deliveries)


class Blunt(Sink):
    """Repeats what it is told."""

    type = "blunt"

    class Settings(SinkSettings):
        token: SecretStr

        @field_validator("token")
        @classmethod
        def _token(cls, value):
            raise ValueError(f"{value.get_secret_value()} will not do")

    async def deliver(self, deliveries):
        return [Delivered()] * len(deliveries)


class Plain(Sink):
    """Makes no secrets."""

    type = "plain"

    async def deliver(self, deliveries):
        return [Delivered()] * len(deliveries)


class Post:
    @hookimpl
    def register_sink_types(self):
        return [Blunt, Box, Plain]


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setenv(DISABLE_VARIABLE, "*")
    monkeypatch.setattr(Box, "received", [])
    monkeypatch.setattr("supertokens_events.stored.following._EVERY", 0.02)
    monkeypatch.setattr("supertokens_events.dispatch.dispatcher._LOOK_EVERY", 0.02)


@pytest.fixture
def make_events(tmp_path):
    """One process each, all of them on one outbox."""
    made = []

    def make(*, keys=KEYS[:1], run="off", sinks=None):
        url = f"sqlite://{tmp_path}/events.db"
        document = {"outbox": {"url": url}, "dispatcher": {"run": run}, "sinks": sinks or {}}
        made.append(Events.from_dict(document | {"server": {"encryption_key": keys}}, plugins=[Post()]))
        return made[-1]

    yield make
    for events in made:
        events.stop()


@pytest.fixture
def events(make_events):
    return make_events()


def managing(events):
    return Sinks(events.outbox, events.plugins, lambda: events.configured, lambda: events.follow(now=True))


@pytest.fixture
def sinks(events):
    return managing(events)


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
    return condition()


def problems(function, *arguments, **named):
    with pytest.raises(ConfigurationError) as error:
        function(*arguments, **named)
    return list(error.value.problems)


def on_disk(tmp_path):
    return b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_without_its_plugin(make_events):
    """Of a configured sink whose plugin is not there, nobody knows which settings are secret: none is shown."""
    plugins = replace(load_plugins(), found=[Plugin("pager", error="ImportError: not today")])
    table = {"type": "pager", "events": ["*"], "write_key": "a-secret-in-the-configuration"}
    settings = load_settings({"sinks": {"ops": table}}, plugins)
    outbox = make_events().outbox

    (view,) = Sinks(outbox, plugins, lambda: settings, lambda: None).all()

    assert (view.name, view.type, view.settings) == ("ops", "pager", {})


class TestCreate:
    def test_shown(self, sinks):
        """A new sink is shown with its settings; of a secret only that it is there, and its end when it is long."""
        view = sinks.create("crm", "box", TABLE | {"more": ["short-5ecret"], "tag": "a"}).sink

        assert view == sinks.read("crm")
        assert (view.name, view.type, view.origin, view.enabled, view.problems) == ("crm", "box", "api", True, [])
        assert view.settings == {
            "events": ["*"],
            "token": {"configured": True, "last4": "lace"},
            "more": [{"configured": True}],
            "tag": "a",
        }

    def test_a_secret_that_is_made(self, sinks):
        """A type that makes secrets makes one where none is given; it is in this answer, and in no later one."""
        made = sinks.create("crm", "box", {"events": ["*"]})

        assert made.secrets == {"token": "canary-new-5ecret"}
        assert "canary" not in repr(made) + repr(sinks.all())

    @pytest.mark.parametrize(
        ("name", "type_name", "table", "problem"),
        [
            ("crm", "box", {"events": [], "token": "t"}, "request: sinks.crm.events: must not be empty"),
            ("crm", "box", {"token": "t"}, "request: sinks.crm.events: is required"),
            ("crm", "box", TABLE | {"tokn": "canary"}, "request: sinks.crm.tokn: unknown key, did you mean 'token'?"),
            ("crm", "box", TABLE | {"tag": 7}, "request: sinks.crm.tag: input should be a valid string"),
            ("crm", "box", TABLE | {"events": ["A b"]}, "request: sinks.crm.events: 'A b' is not"),
            ("crm", "box", TABLE | {"where": {"x": 1}}, "request: sinks.crm.where.x: "),
            ("crm", "boxx", TABLE, "request: sinks.crm.type: there is no sink type 'boxx', did you mean 'box'?"),
            ("a b", "box", TABLE, "request: sinks.a b: a sink's name consists of letters, digits, '-' and '_'"),
            ("crm", "box", TABLE | {"type": "box"}, "request: sinks.crm.type: stands beside the settings"),
            ("crm", "box", TABLE | {"token": {"encrypted": "x"}}, "request: sinks.crm.token: give the secret itself"),
            ("crm", "box", TABLE | {"token": {"env": "NOT_SET"}}, "the environment variable NOT_SET is not set"),
        ],
    )
    def test_mistakes(self, sinks, name, type_name, table, problem):
        """A table is checked as one in TOML is, with the same sentences; nothing is stored, and no value is repeated."""
        (found, *_) = problems(sinks.create, name, type_name, table)

        assert problem in found
        assert "canary" not in found
        assert sinks.all() == []

    def test_a_type_that_repeats_a_secret(self, sinks):
        """What a sink type says of a secret is told without it."""
        assert problems(sinks.create, "crm", "blunt", TABLE) == ["request: sinks.crm.token: *** will not do"]

    def test_null(self, sinks):
        """A key that is null is not there."""
        made = sinks.create("crm", "box", {"events": ["*"], "token": None, "tag": None})

        assert made.secrets
        assert "tag" not in made.sink.settings

    def test_a_name_is_taken(self, make_events):
        """By a stored sink, or by one of the configuration: an error that says by which."""
        sinks = managing(make_events(sinks={"audit": TABLE | {"type": "box"}}))
        sinks.create("crm", "box", TABLE)

        with pytest.raises(SinkConflict, match="there is a sink 'crm' already"):
            sinks.create("crm", "plain", {"events": ["*"]})
        with pytest.raises(SinkConflict, match="configuration has a sink 'audit'"):
            sinks.create("audit", "box", TABLE)


class TestSecrets:
    def test_nowhere_readable(self, events, sinks, tmp_path, logged):
        """Wherever a secret stands in a table, it is not in the store's bytes, in no view and in no log."""
        url = "https://example.com/hook?key=canary-query"
        more = {"headers": {"authorization": "Bearer canary-header"}, "more": ["canary-listed-one"], "url": url}
        sinks.create("crm", "box", TABLE | more)
        events.emit_sync("app.said")
        anyio.run(events.dispatcher().run_until_empty)
        sinks.update("crm", {"tag": "other"})

        assert Box.received == [("crm", "app.said", SECRET)]
        said = on_disk(tmp_path) + repr([sinks.all(), events, events.settings, events.outbox.stored_sinks()]).encode()
        assert b"canary" not in said + logged().encode()
        assert sinks.read("crm").settings["url"] == {"configured": True, "url": "https://example.com/hook?…"}

    def test_without_a_key(self, make_events):
        """Without an encryption key a secret is refused with both ways out; a reference is taken, and shown as it is."""
        sinks = managing(make_events(keys=[]))

        (problem,) = problems(sinks.create, "crm", "box", TABLE)
        assert problem == (
            'request: sinks.crm.token: a secret is never stored readable: give a reference such as {"env": "CRM_TOKEN"}, '
            "or set [server] encryption_key in the configuration"
        )
        path = {"env": "PATH"}
        assert sinks.create("crm", "box", TABLE | {"token": path}).sink.settings["token"] == path

    def test_a_process_without_the_key(self, make_events, sinks, logged):
        """There events are stored for the sink and wait, which is told once; where the key is they go out."""
        sinks.create("crm", "box", TABLE)
        other = make_events(keys=[])
        for _ in range(3):
            other.emit_sync("app.said")
            other.follow(now=True)
        anyio.run(other.dispatcher().run_until_empty)

        assert Box.received == []
        assert logged().count("is encrypted, and [server] encryption_key is not set here") == 1
        anyio.run(make_events().dispatcher().run_until_empty)
        assert len(Box.received) == 3

    def test_another_key(self, make_events, sinks):
        """With another key nothing is readable, and that is what is said."""
        sinks.create("crm", "box", TABLE)

        view = managing(make_events(keys=KEYS[1:])).read("crm")

        assert view.problems == [
            "stored sinks: sinks.crm.token: is encrypted with a key that is not in [server] encryption_key"
        ]
        assert view.settings["token"] == {"configured": True}

    def test_rotating_the_key(self, make_events, sinks):
        """With the new key in front the old one still decrypts; a change encrypts anew, and then the old one can go."""
        sinks.create("crm", "box", TABLE)

        managing(make_events(keys=[KEYS[1], KEYS[0]])).update("crm", {})

        assert managing(make_events(keys=KEYS[1:])).read("crm").problems == []
        assert managing(make_events(keys=KEYS[:1])).read("crm").problems != []

    @pytest.mark.parametrize("key", ["", "short", "a" * 44, base64.b64encode(b"x" * 31).decode(), "ü" * 44])
    def test_a_key_that_is_none(self, make_events, key):
        """It is refused with how to make one, and not repeated."""
        (problem,) = problems(make_events, keys=[key])

        assert "expected 32 random bytes in base64, such as 'openssl rand -base64 32' prints" in problem
        assert not key or key not in problem

    def test_what_a_schema_cannot_say(self):
        """A secret is found by its type too, when the settings say nothing of it in JSON Schema."""

        class Odd(Plain):
            class Settings(SinkSettings):
                thing: object
                keys: dict[str, list[SecretStr]]

        settings = Odd.Settings(thing=SecretStr("one"), keys={"a": ["two"]})
        table = {"thing": "one", "keys": {"a": ["two"]}, "events": ["one"]}

        assert plain_secrets(Odd, settings, table) == {("thing", "one"), ("keys.a[0]", "two")}

    def test_vault(self):
        """What is sealed twice differs, and opens to the same."""
        vault = Vault([SecretStr(KEYS[0])])

        assert vault.seal("a") != vault.seal("a")
        assert vault.open(vault.seal("ä")) == "ä"


class TestUpdate:
    def test_some_keys(self, sinks):
        """What is named changes, null takes away, the rest stays, secrets too."""
        before = sinks.create("crm", "box", TABLE | {"tag": "a", "tenants": ["t1"]}).sink

        after = sinks.update("crm", {"tag": "b", "tenants": None}, revision=before.revision)

        assert after.settings["tag"] == "b"
        assert "tenants" not in after.settings
        assert after.settings["token"] == before.settings["token"]
        assert after.revision > before.revision

    def test_what_was_shown_comes_back(self, events, sinks):
        """Whoever sends back what they were shown changes no secret."""
        shown = sinks.create("crm", "box", TABLE).sink.settings

        sinks.update("crm", dict(shown) | {"tag": "b"})
        sinks.test("crm")
        anyio.run(events.dispatcher().run_until_empty)

        assert Box.received == [("crm", "user.created", SECRET)]

    def test_another_revision(self, sinks):
        """Who does not know of the last change is told to read again, and has changed nothing."""
        old = sinks.create("crm", "box", TABLE).sink
        now = sinks.update("crm", {"tag": "b"})

        with pytest.raises(SinkConflict, match="changed by somebody else meanwhile; read it again"):
            sinks.update("crm", {"tag": "c"}, revision=old.revision)
        with pytest.raises(SinkConflict, match="read it again"):
            sinks.delete("crm", revision=old.revision)
        assert sinks.read("crm") == now

    def test_mistake(self, sinks):
        """A change that leads to a wrong table changes nothing."""
        before = sinks.create("crm", "box", TABLE).sink

        assert problems(sinks.update, "crm", {"events": None}) == ["request: sinks.crm.events: is required"]
        assert problems(sinks.update, "crm", {"type": "plain"}) == [
            "request: sinks.crm.type: stands beside the settings, not in them"
        ]
        assert sinks.read("crm") == before

    def test_rotate(self, sinks):
        """A new secret is shown once; a type that makes none says so."""
        sinks.create("crm", "box", TABLE)
        sinks.create("quiet", "plain", {"events": ["*"]})

        assert sinks.rotate("crm", 60).secrets == {"token": "canary-new-5ecret"}
        with pytest.raises(SinkConflict, match="of type 'plain' are not made here"):
            sinks.rotate("quiet", 60)

    def test_of_the_configuration(self, make_events):
        """A sink of the configuration is listed and read, without its secrets, and changed only there."""
        sinks = managing(make_events(sinks={"crm": TABLE | {"type": "box"}}))

        (view,) = sinks.all()
        assert (view.origin, view.revision) == ("configuration", None)
        assert view.settings == {"events": ["*"], "token": {"configured": True, "last4": "lace"}}
        for change in (
            lambda: sinks.update("crm", {}),
            lambda: sinks.disable("crm"),
            lambda: sinks.rotate("crm", 1),
            lambda: sinks.delete("crm"),
        ):
            with pytest.raises(SinkConflict, match="the sink 'crm' comes from configuration; change it there"):
                change()

    def test_no_such_sink(self, sinks):
        """Every function that names a sink says that there is none, and which is near."""
        sinks.create("crm", "box", TABLE)

        for call in (sinks.read, sinks.disable, sinks.enable, sinks.delete, sinks.test):
            with pytest.raises(NoSuchSink, match="there is no sink 'crn', did you mean 'crm'"):
                call("crn")


class TestFollowing:
    def test_a_running_process(self, make_events, sinks):
        """What is made, changed, turned off and deleted elsewhere reaches a process that runs, by itself."""
        running = make_events(run="thread")
        running.start()
        running.emit_sync("app.before")

        sinks.create("crm", "box", TABLE | {"events": ["app.first"]})
        until(lambda: "crm" in running.settings.sinks)
        running.emit_sync("app.first")
        until(lambda: ("crm", "app.first", SECRET) in Box.received)

        sinks.update("crm", {"events": ["app.second"]})
        until(lambda: running.settings.sinks["crm"].subscription.matches("app.second", None))
        running.emit_sync("app.second")
        until(lambda: len(Box.received) == 2)

        sinks.disable("crm")
        until(lambda: not running.settings.sinks["crm"].enabled)
        running.emit_sync("app.second")
        sinks.delete("crm")
        until(lambda: not running.settings.sinks)
        running.emit_sync("app.second")
        assert [delivery.state for delivery in running.outbox.deliveries()] == ["done", "done", "skipped"]

    def test_the_first_event(self, make_events, sinks):
        """A process that starts knows the stored sinks before it stores anything."""
        sinks.create("crm", "box", TABLE)

        event = make_events().emit_sync("app.said")

        assert [delivery.event_id for delivery in sinks._outbox.deliveries(sink="crm")] == [event.id]

    def test_beside_the_configuration(self, make_events, sinks, logged):
        """Both are used; of two of one name the configuration's, which is told."""
        sinks.create("crm", "box", TABLE | {"tag": "stored"})
        sinks.create("extra", "box", TABLE)
        other = make_events(sinks={"crm": {"type": "plain", "events": ["*"]}})
        other.follow(now=True)

        assert {name: config.type_name for name, config in other.settings.sinks.items()} == {
            "crm": "plain",
            "extra": "box",
        }
        assert "sinks.crm: configuration has one of this name" in logged()
        assert [view.problems for view in managing(other).all() if view.origin == "api" and view.name == "crm"] == [
            ["sinks.crm: configuration has one of this name, which is used"]
        ]

    def test_an_unchanged_one_keeps_its_lane(self, make_events, sinks):
        """A change of one sink does not touch another."""
        running = make_events()
        sinks.create("crm", "box", TABLE)
        sinks.create("audit", "box", TABLE)
        running.follow(now=True)
        supply = running.dispatcher()._supply
        before = {sink.name: sink for sink in supply._made and [made for _, made in supply._made.values()]}

        sinks.update("audit", {"tag": "b"})
        running.follow(now=True)
        after = {sink.name: sink for sink in supply.sinks()}

        assert after["crm"] is before["crm"]
        assert after["audit"] is not before["audit"]

    def test_a_file_that_is_referred_to(self, make_events, sinks, tmp_path):
        """A secret's file that changes is read again."""
        (tmp_path / "token").write_text("first")
        running = make_events()
        sinks.create("crm", "box", TABLE | {"token": {"file": str(tmp_path / "token")}})
        running.follow(now=True)
        assert running.settings.sinks["crm"].settings.token.get_secret_value() == "first"

        (tmp_path / "token").write_text("second")
        running.follow(now=True)

        assert running.settings.sinks["crm"].settings.token.get_secret_value() == "second"

    def test_replaced_sinks_leave_the_stored_ones(self, make_events, sinks):
        """`replace_sinks` is about the configuration's own."""
        sinks.create("crm", "box", TABLE)
        running = make_events()
        running.follow(now=True)

        running.replace_sinks({"mine": {"type": "plain", "events": ["*"]}})

        assert set(running.settings.sinks) == {"crm", "mine"}

    def test_a_fork(self, make_events, sinks, in_child):
        """A child looks for itself, though another thread was looking, and another applying, at the fork."""
        running = make_events()
        running.follow(now=True)
        sinks.create("crm", "box", TABLE)
        with running._following._looking, running._following._applying:
            answer = in_child(lambda: (running.follow(), list(running.settings.sinks))[1])

        assert answer == "['crm']"

    @pytest.mark.parametrize("name", [7, None, ("a",), "a b", ""])
    def test_names_are_texts(self, make_events, name):
        """A name that is no text, or none of ours, is refused by `replace_sinks`, and nothing changes."""
        running = make_events(sinks={"crm": {"type": "plain", "events": ["*"]}})

        (problem,) = problems(running.replace_sinks, {name: {"type": "plain", "events": ["*"]}})

        assert problem == f"configuration: sinks.{name}: a sink's name consists of letters, digits, '-' and '_'"
        assert list(running.settings.sinks) == ["crm"]


class TestDelete:
    def test_what_waited(self, events, sinks):
        """Deliveries that wait become skipped, with the reason; how many is said."""
        sinks.create("crm", "box", TABLE)
        for _ in range(3):
            events.emit_sync("app.said")

        assert sinks.delete("crm") == 3
        assert [(delivery.state, delivery.reason) for delivery in events.outbox.deliveries()] == [
            (DeliveryState.SKIPPED, "the sink was deleted")
        ] * 3
        assert sinks.all() == []

    def test_what_another_process_has_stored_since(self, make_events, sinks):
        """A process that hears of it later skips what it has stored for the sink meanwhile."""
        other = make_events()
        sinks.create("crm", "box", TABLE)
        other.follow(now=True)
        other._following._next_look = time.monotonic() + 60
        assert sinks.delete("crm") == 0
        other.emit_sync("app.said")
        assert [delivery.state for delivery in other.outbox.deliveries()] == [DeliveryState.PENDING]

        other.follow(now=True)

        assert [delivery.state for delivery in other.outbox.deliveries()] == [DeliveryState.SKIPPED]


class TestTest:
    def test_event(self, events, sinks):
        """A test event is the example of a type that the sink wants, says that it is one, and is delivered as all are."""
        sinks.create("crm", "box", TABLE | {"events": ["session.*"], "tenants": ["t7"]})

        event = sinks.test("crm")
        anyio.run(events.dispatcher().run_until_empty)

        assert Box.received == [("crm", event.type, SECRET)]
        assert event.type.startswith("session.")
        stored = Event.from_bytes(events.outbox.event(event.id).body)
        assert (stored, stored.tenant_id, stored.context.test) == (event, "t7", True)

    def test_a_type(self, sinks):
        """Any type of the catalog can be asked for; another is a ValueError with the nearest."""
        sinks.create("crm", "box", TABLE | {"events": ["app.mine"]})

        assert sinks.test("crm").type == "user.created"
        assert sinks.test("crm", "user.deleted").type == "user.deleted"
        with pytest.raises(ValueError, match=r"there is no event type 'user\.delted' .*, did you mean 'user\.deleted'"):
            sinks.test("crm", "user.delted")

    def test_turned_off(self, sinks):
        """A sink that is turned off is not tested, but enabled first."""
        sinks.create("crm", "box", TABLE, enabled=False)
        with pytest.raises(SinkConflict, match="turned off; turn it on first"):
            sinks.test("crm")

        view, over = sinks.enable("crm")

        assert (view.enabled, over) == (True, None)
        assert sinks.test("crm").sequence == 1


def test_environment_is_this_process(make_events, sinks, monkeypatch):
    """A reference is looked up where it is needed: here it is there, in another process it may not be."""
    monkeypatch.setenv("BOX_TOKEN", "from-here")
    sinks.create("crm", "box", TABLE | {"token": {"env": "BOX_TOKEN"}})
    del os.environ["BOX_TOKEN"]

    assert managing(make_events()).read("crm").problems == [
        "stored sinks: sinks.crm.token: the environment variable BOX_TOKEN is not set"
    ]
