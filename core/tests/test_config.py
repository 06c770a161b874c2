"""Configuration: what may be written, where secrets come from, and errors that name the file and the key."""

import copy
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, field_validator

from supertokens_events import hookimpl
from supertokens_events.config import (
    CONFIG_VARIABLE,
    ConfigurationError,
    Stamp,
    find_file,
    load_file,
    load_settings,
    stamp,
)
from supertokens_events.plugins import load_plugins
from supertokens_events.retry import Duration, RetryPolicy
from supertokens_events.sink import SinkSettings
from supertokens_events.testing import RecordingSink


class Flock(SinkSettings):
    pigeons: int = 10


class PigeonSettings(SinkSettings):
    url: str
    secret: SecretStr
    flock: Flock = Flock()
    timeout: Duration = 20.0

    @field_validator("secret")
    @classmethod
    def long_enough(cls, secret):
        value = secret.get_secret_value()
        if len(value) < 8:
            raise ValueError(f"expected at least 8 characters, got {len(value)}: {value!r}")
        return secret


class Pigeon(RecordingSink):
    type = "pigeon"
    Settings = PigeonSettings
    retry = RetryPolicy(schedule=(1, 2, 3))


class Snail(Pigeon):
    """A sink type that takes one call at a time."""

    type = "snail"
    concurrency = 1


class Train(Pigeon):
    """A sink type that keeps each user's events in order."""

    type = "train"
    ordered = True


class Greedy(RecordingSink):
    """A sink type with a key that every sink has."""

    type = "greedy"

    class Settings(SinkSettings):
        rate: int = 5


class Crooked(RecordingSink):
    """A sink type whose settings have a bug."""

    type = "crooked"

    class Settings(BaseModel):
        url: str

        @field_validator("url")
        @classmethod
        def check(cls, url):
            raise KeyError(url)


class Aviary:
    @hookimpl
    def register_sink_types(self):
        return [Pigeon, Snail, Train, Crooked, Greedy]


PLUGINS = load_plugins([Aviary()], disable="*")

VALID = """
[app]
source = "https://api.example.com"

[outbox]
url = "sqlite:events.db"
durability = "full"
append_timeout = "500ms"
max_size = "500MB"
when_full = "drop_oldest_done"
erase_on_user_deleted = true
retention = { events = "1d", deliveries = "12h", dead = "forever", attempts = 60, ledger = "365d" }

[capture]
events = ["@default", "session.refreshed"]
context = ["ip", "user_agent"]

[dispatcher]
run = "off"
poll_interval = 2
concurrency = 20

[sinks.crm]
type = "pigeon"
events = ["user.*", "!user.*.failed"]
tenants = ["public"]
enabled = true
url = "https://crm.example.com/hooks"
secret = "whsec_0123456789"
flock = { pigeons = 5 }
ordering = "user"
concurrency = 3
rate = "90/m"
retry = { schedule = ["5s", "1m"], jitter = 0.1, max_retry_after = "2h" }

[sinks.crm.where]
tenant_id = ["public", "t1"]
actor.type = { not = "system" }
"data.login_method.recipe_id" = "emailpassword"
"""


BARE = {"type": "pigeon", "events": ["*"], "url": "https://crm.example.com", "secret": "whsec_0123456789"}


def valid():
    return tomllib.loads(VALID)


def load(document):
    return load_settings(document, PLUGINS, file="supertokens-events.toml", folder=Path("here"))


def problems(document):
    with pytest.raises(ConfigurationError) as raised:
        load(document)
    return list(raised.value.problems)


def problems_if_any(document):
    try:
        load(document)
    except ConfigurationError as error:
        return error.problems
    return ()


def changed(path, value):
    """The valid document with one value changed, or added."""
    document = table = valid()
    *parents, key = path.split(".")
    for parent in parents:
        table = table[parent]
    table[key] = value
    return document


class TestValid:
    def test_whole(self):
        """Everything that may be written arrives in its place."""
        loaded = load(valid())

        assert loaded.app.source == "https://api.example.com"
        outbox = loaded.outbox
        assert (outbox.url.get_secret_value(), outbox.append_timeout) == ("sqlite:events.db", 0.5)
        assert (outbox.max_size, outbox.when_full, outbox.erase_on_user_deleted) == (
            500_000_000,
            "drop_oldest_done",
            True,
        )
        assert outbox.retention.model_dump() == {
            "events": 86400,
            "deliveries": 43200,
            "dead": None,
            "attempts": 60,
            "ledger": 365 * 86400,
        }
        assert (loaded.dispatcher.run, loaded.dispatcher.poll_interval) == ("off", 2)
        crm = loaded.sinks["crm"]
        assert (crm.enabled, crm.sink_type, crm.settings.flock.pigeons) == (True, Pigeon, 5)
        assert crm.subscription.matches("user.created", "public")
        assert not crm.subscription.matches("user.sign_in.failed", "public")
        assert not crm.subscription.matches("user.created", "t1")
        assert crm.subscription.where.hold(
            {"tenant_id": "t1", "actor": {"type": "user"}, "data": {"login_method": {"recipe_id": "emailpassword"}}}
        )
        assert not crm.subscription.where.hold({"tenant_id": "t1", "actor": {"type": "system"}, "data": {}})

    def test_empty(self):
        """Every key has a default: an empty file stores the default events in a file beside it, and sends them nowhere."""
        loaded = load({})

        assert loaded.outbox.url.get_secret_value() == "sqlite:supertokens-events.db"
        assert (loaded.outbox.max_size, loaded.outbox.when_full) == (None, "refuse")
        days = [age and age / 86400 for age in loaded.outbox.retention.model_dump().values()]
        assert days == [90, 30, 90, 30, None]
        assert (loaded.outbox.append_timeout, loaded.dispatcher.run, dict(loaded.sinks)) == (1, "thread", {})

    def test_default_events(self):
        """'@default' is every type but the high-volume ones; these can be asked for beside it."""
        default = load({}).captured(PLUGINS.catalog)
        asked = load(valid()).captured(PLUGINS.catalog)

        assert [pattern.matches("user.created") for pattern in (default, asked)] == [True, True]
        assert [pattern.matches("session.refreshed") for pattern in (default, asked)] == [False, True]
        assert default.matches("app.invitation.accepted")

    def test_build(self):
        """A sink is built with its name, its settings and the schedule that its table changed."""
        sink = load(valid()).sinks["crm"].build()

        assert (sink.name, sink.settings.url) == ("crm", "https://crm.example.com/hooks")
        assert (sink.retry.schedule, sink.retry.max_retry_after) == ((5, 60), 7200)
        assert (sink.concurrency, sink.rate) == (3, 1.5)

    def test_the_types_own_stay(self):
        """Where neither the sink's table nor [dispatcher] says, a sink type's own concurrency and rate stay."""
        sink = load({"sinks": {"crm": BARE}}).sinks["crm"].build()

        assert (sink.concurrency, sink.rate) == (Pigeon.concurrency, None)

    @pytest.mark.parametrize(
        ("sink_type", "table", "ordered"),
        [
            ("pigeon", {}, False),
            ("pigeon", {"ordering": "user"}, True),
            ("train", {}, True),
            ("train", {"ordering": "none"}, False),
        ],
    )
    def test_the_types_own_order(self, sink_type, table, ordered):
        """A sink type's own choice of order holds, unless the sink's table says otherwise; for storing and for delivering."""
        config = load({"sinks": {"crm": BARE | {"type": sink_type} | table}}).sinks["crm"]

        assert (config.ordered, config.build().ordered) == (ordered, ordered)

    @pytest.mark.parametrize(("sink_type", "concurrency"), [("pigeon", 20), ("snail", 1)])
    def test_usual_concurrency(self, sink_type, concurrency):
        """[dispatcher] says it for all sinks whose type does not say that it needs another."""
        document = {"dispatcher": {"concurrency": 20}, "sinks": {"crm": BARE | {"type": sink_type}}}

        assert load(document).sinks["crm"].build().concurrency == concurrency

    def test_builds_like(self):
        """Two configurations of a sink are alike when its sink would be: what it subscribes to may differ."""
        crm = load(valid()).sinks["crm"]
        alike = [("events", ["*"]), ("tenants", ["t1"]), ("where", {}), ("enabled", False)]
        other = [
            ("ordering", "none"),
            ("url", "https://x"),
            ("secret", "whsec_other"),
            ("rate", "1/s"),
            ("concurrency", 1),
            ("retry", {}),
        ]

        assert all(crm.builds_like(load(changed(f"sinks.crm.{key}", value)).sinks["crm"]) for key, value in alike)
        assert not any(crm.builds_like(load(changed(f"sinks.crm.{key}", value)).sinks["crm"]) for key, value in other)

    def test_partial_retry(self):
        """What a sink's 'retry' leaves out is the sink type's own."""
        crm = load(changed("sinks.crm.retry", {"jitter": 0.5})).sinks["crm"]

        assert (crm.retry.schedule, crm.retry.jitter) == ((1, 2, 3), 0.5)

    def test_types_schedule_stays(self):
        """One sink's changed schedule is not its type's."""
        load(valid()).sinks["crm"].build()

        assert Pigeon.retry.schedule == (1, 2, 3)


class TestErrors:
    @pytest.mark.parametrize(
        ("path", "value", "problem"),
        [
            ("outbax", {}, "outbax: unknown key, did you mean 'outbox'?"),
            ("app", "x", "app: expected a table, [app]"),
            ("app.source", 5, "app.source: input should be a valid string"),
            ("outbox.urll", "x", "outbox.urll: unknown key, did you mean 'url'?; known keys: url, durability"),
            ("outbox.durability", "some", "outbox.durability: input should be 'normal' or 'full'"),
            ("outbox.append_timeout", "soon", "outbox.append_timeout: expected a duration such as '500ms'"),
            ("outbox.append_timeout", 10**400, "outbox.append_timeout: expected a duration"),
            ("outbox.max_size", "500 bytes", "outbox.max_size: expected a size such as '500MB' or '2GiB', got '500 bytes'"),
            ("outbox.max_size", "9" * 400 + "B", "outbox.max_size: expected a size such as"),
            ("outbox.max_size", 0, "outbox.max_size: expected a size such as"),
            ("outbox.when_full", "drop", "outbox.when_full: input should be 'refuse' or 'drop_oldest_done'"),
            ("outbox.retention", {"event": "1d"}, "outbox.retention.event: unknown key, did you mean 'events'?; known keys"),
            ("outbox.retention", {"dead": "never"}, "outbox.retention.dead: expected a duration such as '12h' or '90d', or"),
            ("outbox.retention", "1d", "outbox.retention: expected a table"),
            ("dispatcher.concurrency", 0, "dispatcher.concurrency: input should be greater than or equal to 1"),
            ("sinks.crm.concurrency", 1001, "sinks.crm.concurrency: input should be less than or equal to 1000"),
            ("sinks.crm.concurrency", True, "sinks.crm.concurrency: input should be a valid integer"),
            ("sinks.crm.ordering", "tenant", "sinks.crm.ordering: input should be 'none' or 'user'"),
            ("sinks.crm.rate", "10 per second", "sinks.crm.rate: expected a rate such as '10/s', '60/m' or '1000/h', got"),
            ("sinks.crm.rate", 10, "sinks.crm.rate: expected a rate such as"),
            ("sinks.crm.rate", "0/s", "sinks.crm.rate: expected a rate such as"),
            ("sinks.crm.where", [], "sinks.crm.where: expected a table, such as { key = value }"),
            ("sinks.crm.where", {"tenant": "t1"}, "sinks.crm.where.tenant: an event has no field 'tenant', did you mean 'ten"),
            ("sinks.crm.where", {"data.x": {"eq": 1}}, "sinks.crm.where.data.x.eq: unknown operator"),
            ("sinks.crm.where", {"data": {"x": {"env": "UNSET"}}}, "sinks.crm.where.data.x: the environment variable UNSET"),
            ("capture.events", ["user..x"], "capture.events: 'user..x' is not an event pattern"),
            ("capture.events", "user.*", "capture.events: expected a list, in square brackets"),
            ("capture.context", ["ipp"], "capture.context.0: input should be 'ip'"),
            ("dispatcher.run", "yes", "dispatcher.run: input should be 'thread' or 'off'"),
            ("dispatcher.poll_interval", 0, "dispatcher.poll_interval: input should be greater than or equal to 0.01"),
            ("sinks", 5, "sinks: expected one table for each sink, such as [sinks.crm]"),
            ("sinks.c r m", {}, "sinks.c r m: a sink's name consists of letters, digits, '-' and '_'"),
            ("sinks.crm", [], "sinks.crm: expected a table, [sinks.crm]"),
            ("sinks.crm.type", "discord", "sinks.crm.type: there is no sink type 'discord'"),
            ("sinks.crm.type", "pidgeon", "sinks.crm.type: there is no sink type 'pidgeon', did you mean 'pigeon'?; installed"),
            ("sinks.crm.events", [], "sinks.crm.events: must not be empty"),
            ("sinks.crm.events", ["@default"], "sinks.crm.events: '@default' is not an event pattern"),
            ("sinks.crm.evnts", ["*"], "sinks.crm.evnts: unknown key, did you mean 'events'?; known keys: url, secret"),
            ("sinks.crm.flock", {"pigeos": 1}, "sinks.crm.flock.pigeos: unknown key, did you mean 'pigeons'?"),
            ("sinks.crm.flock", {"events": 1}, "sinks.crm.flock.events: unknown key; known keys: pigeons"),
            ("sinks.crm.retry", {"jitter": 2}, "sinks.crm.retry.jitter: input should be less than or equal to 1"),
            ("sinks.crm.retry", {"schedule": ["5 weeks"]}, "sinks.crm.retry.schedule.0: expected a duration"),
            ("sinks.crm.retry", {"attempts": 3}, "sinks.crm.retry.attempts: unknown key; known keys: schedule"),
            ("sinks.crm.retry", [], "sinks.crm.retry: expected a table, such as { key = value }"),
            ("sinks.crm.timeout", {"env": "UNSET"}, "sinks.crm.timeout: the environment variable UNSET is not set"),
            ("sinks.crm.secret", {"file": "none"}, "sinks.crm.secret: the file none cannot be read: No such file or directory"),
            ("sinks.crm.secret", {"file": "a\0b"}, "sinks.crm.secret: the file a\0b cannot be read: its name or its text"),
        ],
        ids=lambda value: value if isinstance(value, str) and " " not in value else "",
    )  # fmt: skip
    def test_sentence(self, path, value, problem):
        """What is wrong is one sentence with the file, the key, and what to do."""
        (told,) = problems(changed(path, value))

        assert told.startswith(f"supertokens-events.toml: {problem}")

    @pytest.mark.parametrize("key", ["type", "events"])
    def test_required(self, key):
        """A key that a sink needs is named when it is missing."""
        document = valid()
        del document["sinks"]["crm"][key]

        assert problems(document) == [f"supertokens-events.toml: sinks.crm.{key}: is required"]

    def test_all_at_once(self):
        """All problems of a file are told at once, also those of a sink type's own keys."""
        document = changed("outbox.durability", "some") | {"dispatch": {}}
        document["sinks"]["crm"] |= {"secret": "short", "events": ["User.*"]}
        del document["sinks"]["crm"]["url"]

        keys = [problem.split(": ")[1] for problem in problems(document)]

        assert keys == ["dispatch", "outbox.durability", "sinks.crm.events", "sinks.crm.url", "sinks.crm.secret"]

    def test_every_condition(self):
        """All that is wrong in a sink's conditions is told, key by key."""
        told = problems(
            changed("sinks.crm.where", {"user_id.x": 1, "data.x": {"gt": "soon"}, "context.ip": {"cidr": 5}})
        )

        keys = [problem.split(": ")[1] for problem in told]
        assert keys == [f"sinks.crm.where.{key}" for key in ("user_id.x", "data.x.gt", "context.ip.cidr")]

    def test_a_type_that_could_not_be_loaded(self):
        """While a plugin fails to load, a sink of an unknown type is kept: its deliveries wait, nothing is refused."""
        plugins = copy.copy(PLUGINS)
        plugins.found = [copy.copy(PLUGINS.found[0])]
        object.__setattr__(plugins.found[0], "error", "ImportError: …")

        crm = load_settings(changed("sinks.crm.type", "falcon"), plugins).sinks["crm"]

        assert (crm.sink_type, crm.build()) == (None, None)

    def test_a_type_that_is_turned_off(self):
        """A sink of a plugin that is turned off says so."""
        plugins = copy.copy(PLUGINS)
        plugins.found = [copy.copy(PLUGINS.found[0])]
        object.__setattr__(plugins.found[0], "name", "falcon")
        object.__setattr__(plugins.found[0], "disabled", True)

        with pytest.raises(ConfigurationError, match="the plugin 'falcon' is turned off by SUPERTOKENS_EVENTS_DISABLE"):
            load_settings(changed("sinks.crm.type", "falcon"), plugins)

    def test_a_key_that_is_taken(self):
        """A sink type whose own key is one that every sink has would never get it: that is told."""
        (told,) = problems({"sinks": {"x": {"type": "greedy", "events": ["*"]}}})

        assert told == (
            "supertokens-events.toml: sinks.x.type: this sink type has a key 'rate', as every sink has; that is a bug in it"
        )

    def test_a_bug_in_a_sink_type(self):
        """A sink type whose settings raise is told by file, key and place, without the value."""
        (told,) = problems({"sinks": {"x": {"type": "crooked", "events": ["*"], "url": "p4ssw0rd"}}})

        assert told.startswith("supertokens-events.toml: sinks.x: could not be checked: Settings raised KeyError at ")
        assert "p4ssw0rd" not in told


def paths(table, prefix=()):
    for key, value in table.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from paths(value, (*prefix, key))


def put(document, path, value):
    *parents, key = path
    for parent in parents:
        document = document[parent]
    document[key] = value


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.binary(max_size=5) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["env", "file", "url"]) | st.integers(), inner, max_size=2
        )
    ),
    max_leaves=4,
)


class TestAnythingWrong:
    @settings(max_examples=300)
    @given(st.sampled_from(sorted(paths(valid()))), junk)
    def test_one_value(self, path, value):
        """Any one value in place of another is accepted or told by file and key, and never any other exception."""
        document = valid()
        put(document, path, value)

        where = f"supertokens-events.toml: {'.'.join(path[:2])}"
        assert [problem for problem in problems_if_any(document) if not problem.startswith(where)] == []

    @settings(max_examples=100)
    @given(
        st.sampled_from(
            [(), *sorted(path for path in paths(valid()) if path[-1] in {"app", "outbox", "crm", "retry"})]
        ),
        st.text(min_size=1, max_size=8) | st.integers(),
        junk,
    )
    def test_one_key(self, path, key, value):
        """Any key that is not known is told by file and key."""
        document = valid()
        unknown = (*path, f"zz{key}" if isinstance(key, str) else key)
        put(document, unknown, value)

        (told,) = problems(document)

        assert told.startswith(f"supertokens-events.toml: {'.'.join(map(str, unknown))}")

    @settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.sampled_from(sorted(path for path in paths(valid()) if len(path) > 1 and path[-1] != "crm")),
        st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=8, max_size=20),
        st.sampled_from(["env", "file"]),
    )
    def test_no_secret(self, monkeypatch, tmp_path, path, secret, kind):
        """A value from the environment or a file is never repeated, at whichever key it stands by mistake."""
        # letters that no sentence of ours has, so that what is found is the secret
        secret = "ж" + secret + "щ"
        monkeypatch.setenv("SECRET", secret)
        (tmp_path / "secret").write_text(secret, encoding="utf-8")
        document = valid()
        put(document, path, {kind: {"env": "SECRET", "file": str(tmp_path / "secret")}[kind]})

        told = "\n".join(problems_if_any(document))

        assert "ж" not in told
        assert "щ" not in told


class TestReferences:
    def test_environment_and_file(self, monkeypatch, tmp_path):
        """A value may come from the environment, or from a file beside the configuration, without its last newline."""
        monkeypatch.setenv("CRM_SECRET", "from the environment")
        (tmp_path / "url").write_text("https://from.file\n")
        document = changed("sinks.crm.secret", {"env": "CRM_SECRET"})
        document["sinks"]["crm"]["url"] = {"file": "url"}

        crm = load_settings(document, PLUGINS, folder=tmp_path).sinks["crm"].settings

        assert crm.secret.get_secret_value() == "from the environment"
        assert crm.url == "https://from.file"

    def test_in_conditions(self, monkeypatch):
        """A condition's value may come from the environment; a field that is called 'env' is a field."""
        monkeypatch.setenv("TENANT", "t1")
        where = {"tenant_id": {"env": "TENANT"}, "data": {"env": "staging"}}

        loaded = load(changed("sinks.crm.where", where)).sinks["crm"].subscription.where

        assert loaded.hold({"tenant_id": "t1", "data": {"env": "staging"}})

    @pytest.mark.parametrize("kind", ["env", "file"])
    def test_a_sink_type_that_repeats_the_value(self, monkeypatch, tmp_path, kind):
        """A secret is blanked even where the sink type's own sentence has it."""
        monkeypatch.setenv("CRM_SECRET", "p4ss'w\\")
        (tmp_path / "secret").write_text("p4ss'w\\")

        with pytest.raises(ConfigurationError) as raised:
            load_settings(
                changed("sinks.crm.secret", {kind: {"env": "CRM_SECRET", "file": "secret"}[kind]}),
                PLUGINS,
                folder=tmp_path,
            )

        assert "p4ss" not in str(raised.value)
        assert "expected at least 8 characters, got 7: " in str(raised.value)

    def test_an_empty_variable(self, monkeypatch):
        """A variable that is set to nothing is told apart from one that is not set."""
        monkeypatch.setenv("CRM_SECRET", "")

        (told,) = problems(changed("sinks.crm.secret", {"env": "CRM_SECRET"}))

        assert told.endswith("sinks.crm.secret: the environment variable CRM_SECRET is empty")

    def test_not_in_repr(self, monkeypatch):
        """Settings that are printed show no secret."""
        monkeypatch.setenv("CRM_SECRET", "p4ssw0rd-p4ssw0rd")

        loaded = load(changed("sinks.crm.secret", {"env": "CRM_SECRET"}))

        assert "p4ssw0rd" not in repr(loaded)

    def test_password_of_the_outbox(self, monkeypatch):
        """Nor the password in the outbox's URL, whether it stands in the file or in the environment."""
        url = "postgresql://app:p4ssw0rd@db/events"
        monkeypatch.setenv("OUTBOX_URL", url)

        for loaded in (load(changed("outbox.url", url)), load(changed("outbox.url", {"env": "OUTBOX_URL"}))):
            assert loaded.outbox.url.get_secret_value() == url
            assert "p4ssw0rd" not in f"{loaded!r} {loaded.outbox} {loaded.outbox.model_dump_json()}"


class TestFile:
    def test_where(self, monkeypatch):
        """The file is the one that was named, else the variable's, else supertokens-events.toml where the app runs."""
        assert find_file() == Path("supertokens-events.toml")
        monkeypatch.setenv(CONFIG_VARIABLE, "/etc/events.toml")
        assert find_file() == Path("/etc/events.toml")
        assert find_file("mine.toml") == Path("mine.toml")

    def test_read(self, tmp_path):
        """A file is read with its own name for errors and its own folder for relative paths."""
        (tmp_path / "events.toml").write_text(VALID)

        loaded = load_file(tmp_path / "events.toml", PLUGINS)

        assert (loaded.file, loaded.folder) == (str(tmp_path / "events.toml"), tmp_path)
        assert list(loaded.sinks) == ["crm"]

    def test_files(self, tmp_path):
        """It is known which files were read, and how they were: also when they could not be used."""
        path, secret = tmp_path / "events.toml", tmp_path / "secret"
        path.write_text(VALID.replace('"whsec_0123456789"', '{ file = "secret" }'))

        with pytest.raises(ConfigurationError) as raised:
            load_file(path, PLUGINS)
        secret.write_text("whsec_0123456789")
        loaded = load_file(path, PLUGINS, name="mine")

        assert (loaded.file, loaded.path) == ("mine", path)
        assert loaded.files == {path: stamp(path), secret: stamp(secret)}
        assert raised.value.files == {path: stamp(path), secret: Stamp()}

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (None, "there is no such file; write one with 'supertokens-events init'"),
            (b"[sinks\n", "is not valid TOML: "),
            (b"[app]\nsource = 'a'\nsource = 'b'\n", "is not valid TOML: "),
            (b"\xff\xfe", "is not valid TOML: "),
        ],
        ids=["missing", "unclosed", "twice", "not UTF-8"],
    )
    def test_unreadable(self, tmp_path, content, problem):
        """A file that is missing or no TOML is named, with what to do or the place."""
        path = tmp_path / "events.toml"
        if content is not None:
            path.write_bytes(content)

        with pytest.raises(ConfigurationError) as raised:
            load_file(path, PLUGINS)

        assert str(raised.value).startswith(f"{path}: {problem}")

    def test_a_folder(self, tmp_path):
        """A folder in place of the file is told as such."""
        with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
            load_file(tmp_path, PLUGINS)
