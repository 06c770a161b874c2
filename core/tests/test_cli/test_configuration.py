"""`init`, `check` and `plugins`."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from supertokens_events.config import (
    AppSettings,
    CaptureSettings,
    CoreSettings,
    DispatcherSettings,
    OutboxSettings,
    ReconcileSettings,
    ServerSettings,
)
from supertokens_events.operate import findings

SECRET = "m4rker-of-a-s3cret"

BROKEN_PLUGIN = "import a_module_that_is_missing"


def sentences(result):
    """What was wrong, checked to be a user's mistake: exit code 2, nothing on stdout, no traceback."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()


# init


def test_init_writes_what_check_accepts(empty):
    """`check` accepts what `init` writes, also when no sink type is installed."""
    assert empty.run("init").exit_code == 0

    result = empty.run("check")

    assert (result.exit_code, result.stderr) == (0, "")
    assert "There is no sink" in result.stdout


def test_init_names_every_key_of_the_core(empty, monkeypatch):
    """Every key of the core's tables is in the file, and a default that is commented out is accepted as it stands."""
    monkeypatch.setenv("SUPERTOKENS_EVENTS_API_KEY", "a-key-of-the-management-api")
    monkeypatch.setenv("SUPERTOKENS_EVENTS_ENCRYPTION_KEY", "A" * 43 + "=")
    monkeypatch.setenv("SUPERTOKENS_API_KEY", SECRET)
    empty.run("init")
    text = empty.file.read_text()
    uncommented = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)

    document = tomllib.loads(uncommented)
    empty.file.write_text(uncommented)

    tables = {
        "app": AppSettings,
        "outbox": OutboxSettings,
        "capture": CaptureSettings,
        "dispatcher": DispatcherSettings,
        "server": ServerSettings,
        "core": CoreSettings,
        "reconcile": ReconcileSettings,
    }
    assert {name: set(table) for name, table in document.items()} == {
        name: set(model.model_fields) for name, model in tables.items()
    }
    assert empty.run("check").exit_code == 0


def test_init_shows_each_installed_sink_type(place):
    """The file has a table to fill in for each sink type that is installed, with its keys."""
    place.run("init", "other.toml")
    text = (place.folder / "other.toml").read_text()
    example = tomllib.loads(re.sub(r"^# ", "", text[text.index("# [sinks.my_box]") :], flags=re.MULTILINE))

    assert example["sinks"]["my_box"] | {"path": ""} == {
        "type": "box",
        "events": ["user.*"],
        "path": "",
        "answer": "delivered",
        "broken": False,
        "problem": "",
        "hang": False,
    }


def test_secrets_and_aliases_of_a_sink_type(empty, monkeypatch):
    """`init` takes a required secret from a variable and calls a key by its alias; `check` shows neither value nor field name."""
    empty.install(
        "vault",
        """
        from pydantic import Field, SecretStr
        from supertokens_events import hookimpl
        from supertokens_events.sink import Sink, SinkSettings

        class VaultSettings(SinkSettings):
            code: SecretStr = Field(alias="key")
            shelf: int = Field(3, alias="place")

        class Vault(Sink[VaultSettings]):
            type = "vault"
            Settings = VaultSettings

            async def deliver(self, deliveries):
                return []

        @hookimpl
        def register_sink_types():
            return [Vault]
        """,
    )
    monkeypatch.setenv("MY_VAULT_KEY", SECRET)
    empty.run("init")
    text = empty.file.read_text()
    empty.file.write_text(re.sub(r"^# ", "", text[text.index("# [sinks.my_vault]") :], flags=re.MULTILINE))

    *_, vault = empty.lines("check")

    assert vault["settings"] == {"key": "from the environment variable MY_VAULT_KEY", "place": 3}


def test_init_goes_where_config_says(empty):
    """`--config` names the file to write, too."""
    empty.run("--config", "mine.toml", "init")

    assert (empty.folder / "mine.toml").exists()


def test_init_overwrites_only_when_told(place):
    """A file that is there stays as it is, with exit code 1; `--force` replaces it."""
    before = place.file.read_text()

    refused = place.run("init")
    assert (refused.exit_code, place.file.read_text()) == (1, before)
    assert refused.stderr == "supertokens-events.toml: there is such a file; --force overwrites it\n"

    assert place.run("init", "--force").exit_code == 0
    assert place.file.read_text() != before


def test_init_says_where_it_cannot_write(empty):
    """A folder that is missing is named."""
    result = empty.run("init", "nowhere/new.toml")

    assert result.exit_code == 1
    assert result.stderr == "nowhere/new.toml: cannot be written: No such file or directory\n"


# check


def test_check_shows_the_configuration_sink_by_sink(place):
    """Each sink is shown with its type, events, tenants, schedule in words and own settings."""
    result = place.run("check")

    assert result.exit_code == 0
    first, second = result.stdout.split("\n\n")[1:]
    assert first.startswith("first (box)\n")
    assert re.search(r"events +user\.\*\n", first)
    assert re.search(r"tenants +all\n", first)
    assert "10 attempts over 75 h 35 min 5 s (5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h; ±20%)" in first
    assert re.search(r"path +\S+/first\.jsonl", first)
    assert second.startswith("second (box, turned off)\n")
    assert re.search(r"tenants +public, acme\n", second)
    assert re.search(r"without +[^(]*session\.refreshed", second)


SHELF = """
    from supertokens_events import hookimpl
    from supertokens_events.sink import Sink, SinkSettings

    class Limits(SinkSettings):
        books: int | None = None
        kind: str | None = None
        heights: list[int] = []

    class ShelfSettings(SinkSettings):
        room: str = "hall"
        limits: Limits = Limits()

    class Shelf(Sink[ShelfSettings]):
        type = "shelf"
        Settings = ShelfSettings

        async def deliver(self, deliveries):
            return []

        def clashes(self, others):
            return [f"room: {one.name!r} is there too" for one in others if one.settings.room == self.settings.room]

    @hookimpl
    def register_sink_types():
        return [Shelf]
"""


def shelves(empty, **sinks):
    """A configuration with a shelf for each, with its own lines."""
    empty.install("shelf", SHELF)
    tables = [f'[sinks.{name}]\ntype = "shelf"\nevents = ["*"]\n{lines}' for name, lines in sinks.items()]
    empty.configure("\n".join(['[outbox]\nurl = "sqlite:events.db"', *tables]))


def test_check_shows_nested_settings_as_the_file_has_them(empty):
    """A table in a sink's settings is shown as TOML, without what is not set; with `--json`, as an object."""
    shelves(empty, a='limits = { kind = "old \\"books\\"", heights = [20, 30] }')

    assert '  limits   { kind = "old \\"books\\"", heights = [20, 30] }\n' in empty.run("check").stdout
    assert empty.lines("check")[1]["settings"] == {"limits": {"kind": 'old "books"', "heights": [20, 30]}}


def test_check_warns_of_sinks_that_do_not_go_together(empty):
    """What a sink finds doubtful beside the earlier ones of its type that are turned on is a warning, said once."""
    shelves(empty, a="", b='room = "attic"', c="", d="enabled = false")

    result = empty.run("check")

    assert (result.exit_code, result.stderr) == (
        0,
        "supertokens-events.toml: warning: sinks.c.room: 'a' is there too\n",
    )


def test_check_as_json(place):
    """With `--json` the outbox and each sink are one object."""
    outbox, first, second = place.lines("check")

    assert outbox == {"kind": "outbox", "url": "sqlite:events.db", "events": 0, "bytes": outbox["bytes"]}
    assert (first["kind"], first["sink"], first["retry"]["attempts"]) == ("sink", "first", 10)
    assert (second["enabled"], second["tenants"]) == (False, ["public", "acme"])


@pytest.mark.parametrize(
    ("configuration", "key", "hint"),
    [
        ('[sinks.a]\ntype = "bxo"\nevents = ["*"]', "sinks.a.type", "did you mean 'box'?"),
        ('[sinks.a]\ntype = "fil"\nevents = ["*"]', "sinks.a.type", "did you mean 'file'?"),
        ('[sinks.a]\ntype = "box"\nevents = ["*"]\npaht = "x"\npath = "x"', "sinks.a.paht", "did you mean 'path'?"),
        ('[outbox]\nulr = "sqlite:x.db"', "outbox.ulr", "did you mean 'url'?"),
        (
            '[sinks.a]\ntype = "box"\nevents = ["*"]\npath = "x"\ntoken = { env = "NOT_SET" }',
            "sinks.a.token",
            "NOT_SET",
        ),
        ("[sinks.a\n", "", "is not valid TOML"),
        ('[sinks.a]\ntype = "box"\nevents = ["user.Created"]\npath = "x"', "sinks.a.events", "'user.Created'"),
        ('[capture]\nevents = ["user..x"]', "capture.events", "'user..x'"),
        ('[outbox]\nurl = "mysql://db"', "outbox.url", "sqlite:"),
        ('[outbox]\nurl = "sqlite:missing/events.db"', "outbox.url", "No such file or directory"),
        ('[sinks.a]\ntype = "box"\nevents = ["*"]', "sinks.a.path", "is required"),
    ],
)
def test_a_wrong_configuration_is_one_sentence(place, configuration, key, hint):
    """Whatever is wrong with a configuration is one sentence with file and key on stderr, and exit code 2."""
    place.configure(configuration)

    (sentence,) = sentences(place.run("check"))

    assert sentence.startswith(f"supertokens-events.toml: {key}")
    assert hint in sentence


def test_every_problem_is_told_at_once(place):
    """Two mistakes are two sentences."""
    place.configure('[outbox]\nulr = "x"\n[sinks.a]\ntype = "box"')

    assert len(sentences(place.run("check"))) == 2


@pytest.mark.parametrize(
    "command", [["check"], ["status"], ["events"], ["deliveries"], ["dispatch"], ["send", "user.created"]]
)
def test_a_missing_file_is_one_sentence(empty, command):
    """Every command that needs the configuration says how to get one."""
    (sentence,) = sentences(empty.run("--config", "mine.toml", *command))

    assert sentence.startswith("mine.toml: there is no such file")
    assert "supertokens-events init" in sentence


@pytest.mark.parametrize(
    "command", [["check"], ["status"], ["events"], ["deliveries"], ["dispatch"], ["send", "user.created"]]
)
def test_an_outbox_that_cannot_be_opened_is_one_sentence(place, command):
    """Every command that needs the outbox names file and key when it cannot be opened."""
    (place.folder / "events.db").mkdir()

    (sentence,) = sentences(place.run(*command))

    assert sentence.startswith("supertokens-events.toml: outbox.url: the outbox ")


def test_a_mistake_has_no_traceback_in_a_real_process(place):
    """In a process of its own, too, a user's mistake is one line on stderr and nothing else."""
    place.configure("[sinks.a\n")

    done = place.shell("check")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("supertokens-events.toml: is not valid TOML:")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("patterns", "warning"),
    [
        ('["user.craeted"]', "matches 'user.craeted', did you mean 'user.created'?"),
        ('["app.*"]', "matches 'app.*'; right if the app emits such events itself"),
        ('["usr.*"]', "matches 'usr.*', did you mean 'user.*'?"),
        (
            '["session.refreshed"]',
            "gets nothing: [capture] events does not ask for 'session.refreshed' (high-volume)",
        ),
    ],
)
def test_a_pattern_that_gets_nothing_is_a_warning(place, patterns, warning):
    """A pattern that no event can match is told as a warning; the exit code stays 0."""
    place.configure(f'[sinks.a]\ntype = "box"\nevents = {patterns}\npath = "x"')

    result = place.run("check")
    assert result.exit_code == 0
    assert result.stderr.startswith("supertokens-events.toml: warning: sinks.a.events: ")
    assert warning in result.stderr

    _, _, told = place.lines("check")
    assert told["kind"] == "warning"


def test_one_mistyped_pattern_does_not_print_the_catalog(place):
    """When ``[capture] events`` asks for nothing that exists, what is near is named, and the rest counted; --json has all."""
    place.configure(
        """
        [capture]
        events = ["user.craeted"]

        [sinks.a]
        type = "box"
        events = ["*"]
        path = "x"
        """
    )
    result = place.run("check")
    _, sink, *_ = place.lines("check")

    types = len(sink["not_captured"])
    assert types > 90
    assert "did you mean 'user.created'?" in result.stderr
    (warning,) = [line for line in result.stderr.splitlines() if "gets nothing" in line]
    assert warning.endswith(f"does not ask for 'user.created', 'user.deleted', 'session.created' and {types - 3} more")
    (without,) = [line for line in result.stdout.splitlines() if "not in [capture] events" in line]
    assert f" and {types - 3} more (not in" in without
    assert without.count(",") == 2


def test_captured_high_volume_types_need_no_warning(place):
    """A sink that asks for a high-volume type which is captured gets it, without a warning."""
    place.configure(
        """
        [capture]
        events = ["@default", "session.refreshed"]

        [sinks.a]
        type = "box"
        events = ["session.refreshed"]
        path = "x"
        """
    )

    assert place.run("check").stderr == ""


def test_a_sink_whose_plugin_failed_is_wrong(place):
    """A sink whose type is missing while a plugin failed to load is named, with exit code 1; its table is not condemned."""
    place.install("broken", BROKEN_PLUGIN)
    place.configure('[sinks.a]\ntype = "other"\nevents = ["*"]\nwhatever = 1')

    done = place.shell("check")

    assert done.returncode == 1
    assert "A plugin could not be loaded" in done.stderr
    assert "supertokens-events.toml: sinks.a.type: the sink type 'other' is not there" in done.stderr


def test_a_plugin_that_failed_is_wrong(place):
    """A plugin that failed to load makes `check` exit 1, whether or not a sink needs it: it may be a filter."""
    place.install("broken", BROKEN_PLUGIN)

    assert place.run("check").exit_code == 1


def test_connect_asks_each_sink(place):
    """`--connect` tells what the sinks that are turned on say, and exits 1 when one has a problem."""
    assert place.run("check", "--connect").exit_code == 0

    place.file.write_text(
        place.file.read_text().replace('first.jsonl"', 'first.jsonl"\nproblem = "the box is nailed shut"')
    )
    result = place.run("check", "--connect")

    assert result.exit_code == 1
    assert result.stderr == "supertokens-events.toml: sinks.first: the box is nailed shut\n"
    assert "1 problem" in result.stdout


def test_connect_leaves_a_sink_alone_that_is_turned_off(place):
    """A sink that is turned off is not asked."""
    place.file.write_text(place.file.read_text().replace('second.jsonl"', 'second.jsonl"\nproblem = "nailed shut"'))

    assert place.run("check", "--connect").exit_code == 0


def test_connect_does_not_wait_for_ever(place, monkeypatch):
    """A sink whose check hangs is a finding."""
    monkeypatch.setattr(findings, "_PATIENCE", 0.01)
    place.file.write_text(place.file.read_text().replace('first.jsonl"', 'first.jsonl"\nhang = true'))

    result = place.run("check", "--connect")

    assert result.exit_code == 1
    assert "sinks.first: no answer within 0.01 s" in result.stderr


def test_connect_survives_a_sink_that_raises(place):
    """A sink whose check raises is a finding, without the exception's text."""
    place.file.write_text(place.file.read_text().replace('first.jsonl"', 'first.jsonl"\nbroken = true'))

    result = place.run("check", "--connect")

    assert result.exit_code == 1
    assert "sinks.first: its check raised OSError" in result.stderr
    assert "no place" not in result.output


def test_no_command_prints_a_secret(place, monkeypatch):
    """A secret from a variable, from a file or in the TOML is in no command's output, right or wrong."""
    monkeypatch.setenv("BOX_SECRET", SECRET)
    monkeypatch.setenv("BOX_URL", f"https://example.com/{SECRET}")
    (place.folder / "secret.txt").write_text(SECRET)
    monkeypatch.setenv("OUTBOX_URL", f"sqlite:{SECRET}.db")
    place.configure(
        f"""
        [outbox]
        url = {{ env = "OUTBOX_URL" }}

        [sinks.variable]
        type = "box"
        events = ["*"]
        path = "{{folder}}/a.jsonl"
        token = {{ env = "BOX_SECRET" }}
        url = {{ env = "BOX_URL" }}

        [sinks.file]
        type = "box"
        events = ["*"]
        path = "{{folder}}/b.jsonl"
        answer = "retry"
        token = {{ file = "secret.txt" }}

        [sinks.literal]
        type = "box"
        events = ["*"]
        path = "{{folder}}/c.jsonl"
        answer = "rejected"
        token = "{SECRET}"
        url = "https://user:{SECRET}@example.com/hooks?key={SECRET}"
        """
    )
    commands = [["plugins"], ["check"], ["check", "--connect"], ["send", "user.created"], ["dispatch", "--until-empty"]]
    commands += [["status"], ["events"], ["deliveries"], ["catalog"]]

    outputs = [place.run(*command, *option).output for command in commands for option in ([], ["--json"])]
    place.file.write_text(place.file.read_text().replace('answer = "retry"', 'answer = { env = "BOX_SECRET" }'))
    outputs.append(place.run("check").output)

    assert [output for output in outputs if SECRET in output] == []
    assert "from the environment variable BOX_SECRET" in outputs[2]
    assert "from the file secret.txt" in outputs[2]
    assert "https://example.com/hooks?…" in outputs[2]


# plugins


def test_plugins_lists_what_is_installed(place):
    """Each plugin is listed with its package, its version and what it brings."""
    (box,) = [plugin for plugin in place.lines("plugins") if not plugin["disabled"]]

    assert box == {
        "name": "box",
        "distribution": "box",
        "version": "1.2.3",
        "requires": "",
        "api": 1,
        "hooks": ["register_sink_types"],
        "sink_types": ["box"],
        "event_types": [],
        "error": "",
        "disabled": False,
    }
    assert re.search(r"box +box 1\.2\.3 +sink type box", place.run("plugins").stdout)


def test_plugins_lists_hooks_and_event_types(empty, monkeypatch):
    """Event types and hooks that are more than a way to register are listed by name."""
    empty.install(
        "shop",
        """
        from supertokens_events import hookimpl
        from supertokens_events.catalog import EventData

        supertokens_events_api = 1

        class Paid(EventData):
            event_type = "app.order.paid"
            example = {}

        @hookimpl
        def register_event_types():
            return [Paid]

        @hookimpl
        def filter_event(event):
            return None
        """,
    )

    monkeypatch.setenv("COLUMNS", "140")
    (shop,) = [plugin for plugin in empty.lines("plugins") if not plugin["disabled"]]

    assert (shop["hooks"], shop["event_types"]) == (["filter_event", "register_event_types"], ["app.order.paid"])
    assert re.search(r"shop +shop 1\.2\.3 +event type app\.order\.paid, filter_event", empty.run("plugins").stdout)


def test_plugins_names_one_for_another_contract(place):
    """A plugin that was made for another version of the contract is shown with what to do, and the exit code is 1."""
    place.install("future", "supertokens_events_api = 2")

    result = place.run("plugins")

    assert result.exit_code == 1
    said = " ".join(result.stdout.split())
    assert "made for version 2 of the plugin contract" in said
    assert "has version 1: upgrade supertokens-events" in said


def test_plugins_says_what_has_no_hook(empty):
    """A plugin whose @hookimpl was forgotten is listed with that; it has not failed."""
    empty.install("idle", "def filter_event(event): return False")

    result = empty.run("plugins")

    assert result.exit_code == 0
    assert "nothing: it has no hook: is @hookimpl missing?" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('type = "wrong"; Settings = dict; deliver = None', "Wrong has Settings that are no model: <class 'dict'>"),
        ('type = "wrong"', "Wrong is abstract: it has no deliver()"),
    ],
    ids=["no model", "abstract"],
)
def test_a_sink_type_that_is_none_is_no_traceback(empty, body, sentence):
    """`check` and `send` bear a class that no sink can be made of: its plugin has failed, and they say why."""
    empty.install(
        "wrong",
        f"""
        from supertokens_events import hookimpl
        from supertokens_events.sink import Sink

        class Wrong(Sink):
            {body}

        @hookimpl
        def register_sink_types():
            return [Wrong]
        """,
    )
    empty.configure('[sinks.mine]\ntype = "wrong"\nevents = ["*"]\nkey = 1')

    assert empty.run("check").exit_code == 1
    assert empty.run("send", "user.created").exit_code == 0
    assert sentence in " ".join(empty.run("plugins").stdout.split())


def test_plugins_needs_no_configuration(empty):
    """`plugins` works in an empty folder."""
    assert empty.run("plugins").exit_code == 0


def test_plugins_shows_what_is_turned_off(place, monkeypatch):
    """A plugin named in SUPERTOKENS_EVENTS_DISABLE is listed as turned off."""
    monkeypatch.setenv("SUPERTOKENS_EVENTS_DISABLE", "*")

    assert all(plugin["disabled"] for plugin in place.lines("plugins"))
    assert "turned off by" in place.run("plugins").stdout


def test_plugins_exits_1_when_one_failed(place):
    """A plugin that failed to load is shown with its error, the others with theirs, and the exit code is 1."""
    place.install("broken", BROKEN_PLUGIN)

    result = place.run("plugins", "--json")

    assert result.exit_code == 1
    plugins = {plugin["name"]: plugin for plugin in map(json.loads, result.stdout.splitlines())}
    assert "a_module_that_is_missing" in plugins["broken"]["error"]
    assert plugins["box"]["error"] == ""
    assert "failed to load: ModuleNotFoundError" in place.run("plugins").stdout.replace("\n", " ")


def test_check_shows_what_a_sink_asks_for(place, monkeypatch):
    """Conditions, order and rate are shown as they are written; what a variable holds is not."""
    monkeypatch.setenv("TENANT", SECRET)
    text = """["user.*"]\nordering = "user"\nrate = "60/h"\nwhere = { "data.method" = ["a", "b"], context.ip.exists = true }"""
    place.file.write_text(place.file.read_text().replace('["user.*"]', text))

    printed = place.run("check").stdout
    _, first, second, *_ = place.lines("check")

    assert 'where     { "data.method" = ["a", "b"], context = { ip = { exists = true } } }\n' in printed
    assert "ordering  user\n" in printed
    assert "rate      1 call a minute\n" in printed
    assert (first["ordering"], first["rate"], second["ordering"], second["rate"]) == ("user", 60 / 3600, "none", None)
    assert (second["where"], second["concurrency"]) == ({}, 10)

    place.file.write_text(place.file.read_text().replace('["a", "b"]', '{ env = "TENANT" }'))
    _, first, *_ = place.lines("check")
    assert first["where"] == "from the environment variable TENANT"
