"""The doctor: each family of questions by itself, on real files, sockets and outboxes."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
import socket
import sqlite3
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from supertokens_events import hookimpl
from supertokens_events.config import load_settings
from supertokens_events.doctor import (
    CHECKS,
    Case,
    Check,
    Severity,
    examine,
    locked,
    opened,
    read_configuration,
    worst,
)
from supertokens_events.doctor.configuration import configuration, installed
from supertokens_events.doctor.dispatchers import dispatchers
from supertokens_events.doctor.finding import note, ok, problem, warning
from supertokens_events.doctor.locked import in_locked_child, was_refused
from supertokens_events.doctor.outbox import outbox
from supertokens_events.doctor.secrets import secrets
from supertokens_events.doctor.servers import servers
from supertokens_events.doctor.sinks import sinks
from supertokens_events.doctor.state import state
from supertokens_events.doctor.strength import weakness
from supertokens_events.event import Event
from supertokens_events.ledger import LedgerKey, Reason
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery, Pulse, Settlement, SqliteOutbox
from supertokens_events.plugins import Plugins
from supertokens_events.sink import Delivered, Sink, SinkSettings

HANGS = threading.Event()


class NotebookSettings(SinkSettings):
    token: SecretStr | None = None
    answer: str = "fine"


class Notebook(Sink[NotebookSettings]):
    """A sink whose place is as a test says."""

    type = "notebook"
    Settings = NotebookSettings

    async def deliver(self, deliveries):
        return [Delivered()] * len(deliveries)

    async def check(self):
        match self.settings.answer:
            case "blocks":
                HANGS.wait()  # the whole event loop, for good
            case "raises":
                raise RuntimeError("token is m4rker")
            case "complains":
                return ["the notebook is full"]
        return []


class BringsNotebook:
    @hookimpl
    def register_sink_types(self):
        return [Notebook]


@pytest.fixture
def plugins(make_plugins) -> Plugins:
    return make_plugins(BringsNotebook())


@pytest.fixture
def make_case(plugins, tmp_path):
    """A case of a configuration; its outbox, once open, is that of the test."""

    def make(tables=None, **fields) -> Case:
        settings = load_settings({"outbox": {"url": "sqlite:events.db"}, **(tables or {})}, plugins, folder=tmp_path)
        return Case(plugins, settings, environment={}, **fields)

    return make


@pytest.fixture
def case(make_case, outbox) -> Case:
    """An outbox that works, and one sink."""
    return make_case({"sinks": {"book": book()}}, outbox=outbox, clock=outbox._clock)


def book(**settings):
    return {"type": "notebook", "events": ["user.*"], **settings}


def found(findings):
    """What was found, by id and severity."""
    return [(finding.id, str(finding.severity)) for finding in findings]


def bad(findings):
    return [one for one in findings if one.severity in (Severity.WARNING, Severity.PROBLEM)]


def store(outbox, sink="book", *, state=DeliveryState.PENDING):
    event = Event(type="user.created", user_id="u-1", data={})
    outbox.append([Entry(event, event.to_bytes(), [NewDelivery(sink, state, "given up")])])


# Asking


def test_every_question_has_its_answer_or_a_finding(make_case):
    """A family that raises, or hangs, is a finding without the exception's text; what it found before stays; the rest go on."""

    def raises(_case):
        yield ok("first.fine", "Fine.")
        raise RuntimeError("password m4rker")

    def hangs(_case):
        yield ok("second.fine", "Fine.")
        HANGS.wait()

    checks = [Check("first", raises), Check("second", hangs), Check("third", lambda _case: [ok("third.fine", "Fine.")])]
    findings = list(examine(make_case(patience=0.2), checks))

    assert found(findings) == [
        ("first.fine", "ok"),
        ("doctor.failed", "warning"),
        ("second.fine", "ok"),
        ("doctor.hung", "warning"),
        ("third.fine", "ok"),
    ]
    assert "RuntimeError at test_doctor.py" in findings[1].what
    assert "m4rker" not in str(findings)


def test_those_that_hang_do_so_at_the_same_time(make_case):
    """Ten families that hang cost the patience about once, not ten times."""
    checks = [Check(str(number), lambda _case: HANGS.wait() and ()) for number in range(10)]
    began = time.monotonic()

    findings = list(examine(make_case(patience=0.5), checks))

    assert len(findings) == 10
    assert 0.5 <= time.monotonic() - began < 4.0


def test_the_worst():
    """The order of severities: ok, note, warning, problem."""
    words = {"why": "So.", "do": "This."}
    findings = [ok("a.a", "A."), note("b.b", "B."), warning("c.c", "C.", **words), problem("d.d", "D.", **words)]

    assert [worst(findings[:n]) for n in range(5)] == ["ok", "ok", "note", "warning", "problem"]


# The configuration


def test_what_is_wrong_hides_nothing_else(plugins, tmp_path):
    """Of a configuration with mistakes in two tables the rest is used: the outbox, and the sinks that are right."""
    file = tmp_path / "supertokens-events.toml"
    file.write_text(
        """
        [outbox]
        url = "sqlite:other.db"
        [capture]
        evnts = ["user.*"]
        [sinks.right]
        type = "notebook"
        events = ["user.*"]
        [sinks.wrong]
        type = "notebook"
        evnts = ["user.*"]
        """
    )
    settings, problems = read_configuration(file, plugins)

    assert len(problems) == 2
    assert list(settings.sinks) == ["right"]
    with opened(Case(plugins, settings, problems)) as case:
        assert case.outbox.path == tmp_path / "other.db"
        findings = list(configuration(case))
    assert found(findings) == [("configuration.wrong", "problem")] * 2
    assert "sinks.wrong.events: is required" in findings[1].what


@pytest.mark.parametrize("text", ["[outbox\n", '[outbox]\nurl = "mysql://x"', "[outbox]\nulr = 1"])
def test_no_outbox_is_made_in_the_place_of_a_wrong_one(plugins, tmp_path, text):
    """Where the outbox's own table is wrong, the default one is not looked at instead, nor made."""
    file = tmp_path / "supertokens-events.toml"
    file.write_text(text)

    with opened(Case(plugins, *read_configuration(file, plugins))) as case:
        assert case.outbox is None
        assert found(outbox(case)) == [("outbox.not_looked_at", "note")]
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_what_is_hardly_meant(make_case):
    """A pattern that matches nothing is a doubt; a sink without a doubt is none; no sink at all is told."""
    doubtful = make_case({"sinks": {"book": {"type": "notebook", "events": ["user.craeted"]}}})

    assert found(configuration(doubtful)) == [("configuration.doubt", "warning")]
    assert found(configuration(make_case({"sinks": {"book": book()}}))) == [("configuration.right", "ok")]
    assert found(configuration(make_case())) == [("configuration.no_sinks", "note"), ("configuration.right", "ok")]


def test_plugins_that_fail(case):
    """A plugin that failed to load is a problem by its name, one that is turned off is told, one without a hook is a doubt."""
    good = next(plugin for plugin in case.plugins.found if not plugin.disabled)
    failed, off = replace(good, name="bad", error="No module named 'x'"), replace(good, name="quiet", disabled=True)
    case.plugins.found[:] = [good, failed, off, replace(good, name="idle", hooks=())]

    assert [(one.id, one.subject) for one in installed(case)] == [
        ("plugins.failed", "bad"),
        ("plugins.off", "quiet"),
        ("plugins.no_hook", "idle"),
    ]


# Secrets


@pytest.mark.parametrize(
    "secret",
    [
        "a" * 40,
        "abcdefghijklmnopqrstuvwxyz",
        "0123456789" * 4,
        "change-me-change-me-change-me",
        "whsec_" + base64.b64encode(b"secret" * 4).decode(),
        "whsec_" + base64.b64encode(bytes(24)).decode(),
        "whsec_" + base64.b64encode(bytes(range(32))).decode(),
        "supersecretpassword1234",
    ],
)
def test_weak(secret):
    """What repeats itself, goes up step by step, or stands in for a secret, is easily guessed; why is said without it."""
    why = weakness(secret)

    assert why
    assert secret not in why


def test_strong():
    """No random secret of the lengths that are asked for looks weak, in a thousand tries of each."""
    made = [os.urandom(24) for _ in range(1000)]

    assert [key for key in made if weakness("whsec_" + base64.b64encode(key).decode())] == []
    assert [key for key in made if weakness(key.hex()) or weakness(base64.b64encode(key).decode())] == []


def test_secrets_of_every_table_are_looked_at(make_case):
    """Keys of the server, of the core and of sinks, each by its key; a secret that need not be strong is left alone."""
    tables = {
        "server": {"api_keys": ["a" * 30], "encryption_key": base64.b64encode(bytes(32)).decode()},
        "core": {"connection_uri": "http://localhost", "api_key": "password"},
        "sinks": {"book": book(token="xxxxxxxx")},
    }
    findings = list(secrets(make_case(tables)))

    weak = [one.subject for one in findings if one.id == "secrets.weak"]
    assert weak == ["server.api_keys[0]", "server.encryption_key[0]", "core.api_key", "sinks.book.token"]


@pytest.mark.parametrize(("mode", "severity"), [(0o644, "warning"), (0o600, "note")])
def test_a_secret_in_the_file(plugins, tmp_path, mode, severity):
    """A secret in the file itself is told by its key; it is worse when every user can read the file."""
    token = os.urandom(24).hex()
    file = tmp_path / "supertokens-events.toml"
    file.write_text(
        f'[outbox]\nurl = "postgresql://me:{token}@db/app"\n[sinks.book]\ntype = "notebook"\nevents = ["*"]\ntoken = "{token}"\n'
    )
    file.chmod(mode)
    settings, problems = read_configuration(file, plugins)
    assert problems == ()

    (finding,) = secrets(Case(plugins, settings))

    assert (finding.id, finding.severity) == ("secrets.in_configuration", severity)
    assert "sinks.book.token, outbox.url" in finding.what or "outbox.url, sinks.book.token" in finding.what
    assert token not in str(finding)


def test_a_secret_in_a_file_of_its_own(plugins, tmp_path):
    """A file that the configuration refers to must not be readable by all; one that is not is fine."""
    secret, file = tmp_path / "token", tmp_path / "supertokens-events.toml"
    secret.write_text(os.urandom(24).hex())
    secret.chmod(0o644)
    file.write_text('[sinks.book]\ntype = "notebook"\nevents = ["*"]\ntoken = { file = "token" }\n')
    settings, _ = read_configuration(file, plugins)

    assert found(secrets(Case(plugins, settings))) == [("secrets.file_readable", "warning")]
    secret.chmod(0o600)
    assert found(secrets(Case(plugins, settings))) == [("secrets.strong", "ok")]


# The outbox


def test_an_outbox_that_works(case):
    """It is on a local disk with room, takes what is written, and the sign of life is gone afterwards."""
    findings = list(outbox(case))

    assert {"outbox.writable", "outbox.disk", "outbox.size"} <= {one.id for one in findings}
    assert bad([one for one in findings if one.id != "outbox.disk"]) == []
    assert case.outbox.dispatchers() == []


def test_an_outbox_that_cannot_be_opened(plugins, tmp_path):
    """A folder in the place of the file is a problem, and the other families go on."""
    (tmp_path / "events.db").mkdir()
    settings = load_settings(
        {"outbox": {"url": "sqlite:events.db"}, "sinks": {"book": book()}}, plugins, folder=tmp_path
    )

    with opened(Case(plugins, settings, environment={}, patience=5)) as case:
        findings = list(examine(case, CHECKS))

    (finding,) = [one for one in findings if one.id == "outbox.writable"]
    assert finding.severity == "problem"
    assert str(tmp_path / "events.db") in finding.what
    assert ("sinks.place", "ok") in found(findings)


def test_an_outbox_that_cannot_be_written(case):
    """Another process that holds the file's lock for good makes it a problem, not an exception."""
    impatient = SqliteOutbox(case.outbox.path, busy_timeout=0.1)
    other = sqlite3.connect(case.outbox.path, isolation_level=None)
    impatient.open()
    other.execute("BEGIN IMMEDIATE")

    findings = list(outbox(replace(case, outbox=impatient)))

    other.close()
    impatient.close()
    assert ("outbox.writable", "problem") in found(findings)


@pytest.mark.parametrize(
    ("kind", "severity"), [("nfs4", "problem"), ("fuse.sshfs", "problem"), ("tmpfs", "warning"), ("ext4", "ok")]
)
def test_file_systems(case, tmp_path, monkeypatch, kind, severity):
    """A network file system is a problem, one in memory a warning, any other is fine."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 0:1 / {tmp_path} rw - {kind} host:/ rw\n")
    monkeypatch.setattr("supertokens_events.outbox.mounts._MOUNTS", mounts)

    first = next(outbox(case))

    assert (first.id, first.severity) == ("outbox.file_system", severity)


@pytest.mark.parametrize(("free", "severity"), [(10 * 2**20, "problem"), (200 * 2**20, "warning"), (2**30, "ok")])
def test_room_on_the_disk(case, monkeypatch, free, severity):
    """Little room is a warning, next to none a problem."""
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: type("Usage", (), {"free": free}))

    (finding,) = [one for one in outbox(case) if one.id == "outbox.disk"]

    assert finding.severity == severity


def test_an_outbox_that_is_nearly_full(make_case, outbox):
    """From four fifths of max_size on it is a warning that says what happens then."""
    case = make_case({"outbox": {"max_size": "100KiB"}}, outbox=outbox)
    store(outbox)

    (finding,) = [one for one in globals()["outbox"](case) if one.id == "outbox.size"]

    assert finding.severity == "warning"
    assert "refused" in finding.why


# Sinks


def test_places(make_case):
    """Each sink's own words; one that blocks its thread for good, or raises, is a finding, and holds up no other."""
    tables = {name: book(answer=name) for name in ("fine", "complains", "raises", "blocks")}
    case = make_case({"sinks": {**tables, "off": book(answer="complains", enabled=False)}}, patience=2.3)
    began = time.monotonic()

    findings = {one.subject: one for one in sinks(case)}

    assert time.monotonic() - began < case.patience
    assert {name: str(one.severity) for name, one in findings.items()} == {
        "fine": "ok",
        "complains": "problem",
        "raises": "problem",
        "blocks": "problem",
    }
    assert "the notebook is full" in findings["complains"].what
    assert "no answer within" in findings["blocks"].what
    assert "m4rker" not in str(findings)


def test_offline_asks_no_sink(make_case):
    """With --offline no sink is asked, and that is told."""
    case = make_case({"sinks": {"book": book(answer="blocks")}}, offline=True)

    assert found(sinks(case)) == [("sinks.not_asked", "note")]


# Dispatchers


def beat(outbox, *leads, version="0.1.0", host="here", id_="d-1"):
    outbox.beat(Pulse(id_, host, 42, version, leads))


def test_nobody_delivers(case):
    """No dispatcher is a note as long as nothing is due, and then a problem that names the sink."""
    assert found(dispatchers(case)) == [("dispatchers.none", "note")]
    store(case.outbox)

    (finding,) = dispatchers(case)

    assert (finding.id, finding.severity) == ("dispatchers.none", "problem")
    assert "1 for book" in finding.what


def test_somebody_delivers(case):
    """A dispatcher that runs is fine; one that leaves out a sink with due deliveries is a problem."""
    store(case.outbox)
    beat(case.outbox)
    assert ("dispatchers.sink_alone", "problem") in found(dispatchers(case))

    beat(case.outbox, "book")
    assert found(dispatchers(case)) == [("dispatchers.run", "ok")]


def test_a_dispatcher_falls_silent(case, clock):
    """One that has given no sign of life for a while is a warning, and does not count as running."""
    beat(case.outbox, "book")
    clock.advance(60)
    store(case.outbox)

    assert found(dispatchers(case)) == [("dispatchers.silent", "warning"), ("dispatchers.none", "problem")]


def test_dispatchers_that_do_not_fit(case):
    """Another version is told; another machine on one SQLite file is a warning."""
    beat(case.outbox, "book")
    beat(case.outbox, id_="d-2", host="there", version="0.0.9")

    assert found(dispatchers(case)) == [
        ("dispatchers.run", "ok"),
        ("dispatchers.version", "note"),
        ("dispatchers.hosts", "warning"),
    ]


# What has gone wrong


def test_all_is_well(case):
    """An outbox in which nothing went wrong says so."""
    assert found(state(case)) == [("state.well", "ok")]


def test_what_status_shows(case):
    """Dead letters, a place that is away and a sink that is disabled are told with what to do about them."""
    store(case.outbox, "dead", state=DeliveryState.DEAD)
    store(case.outbox, "away")
    case.outbox.open_breaker("away", failing_for=5.0, probe_in=5.0, reason="connection refused")
    store(case.outbox, "gone")
    (claim,) = case.outbox.claim("gone", 1, 30.0)
    case.outbox.settle([Settlement(claim, DeliveryState.DEAD, "rejected", 1, reason="410 Gone", disables=True)])

    findings = list(state(case))

    assert [(one.id, one.subject) for one in findings] == [
        ("state.away", "away"),
        ("state.dead", "dead"),
        ("state.disabled", "gone"),
        ("state.dead", "gone"),
    ]
    assert "410 Gone" in findings[2].what
    assert "supertokens-events enable gone" in findings[2].do


def test_the_ledger_of_the_last_week(case, clock):
    """What was lost, refused, hung or not captured is told for a week; what is only for the curious is not."""
    reasons = [Reason.LOST, Reason.HOOK_HUNG, Reason.CAPTURE_GAP, Reason.FILTERED, Reason.LATE]
    case.outbox.record({LedgerKey(reason, "emailpassword.sign_in", ""): 2 for reason in reasons})

    findings = {one.id: one for one in state(case)}

    assert set(findings) == {"ledger.lost", "ledger.hook_hung", "ledger.capture_gap"}
    assert findings["ledger.capture_gap"].what.startswith(
        "It was found that emailpassword.sign_in is not captured (2 times"
    )
    clock.advance(8 * 86400)
    assert found(state(case)) == [("state.well", "ok")]


# Servers


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("gunicorn.conf.py", "preload_app = True\nworkers = 4", ("servers.forks", "ok")),
        ("gunicorn.conf.py", "import os\nraise SystemExit", ("servers.forks", "ok")),
        ("gunicorn.conf.py", "worker_class = 'gevent'", ("servers.green_threads", "warning")),
        ("gunicorn.conf.py", "worker_class = ", ("servers.unreadable", "warning")),
        ("uwsgi.ini", "[uwsgi]\nmaster = true\nprocesses = 4", ("servers.no_threads", "problem")),
        ("uwsgi.ini", "[uwsgi]\nenable-threads = true\nmaster = true", ("servers.forks", "note")),
        ("uwsgi.ini", "[uwsgi]\nenable-threads\nlazy-apps = 1\nprocesses = 4", ("servers.forks", "ok")),
        ("uwsgi.ini", "[uwsgi]\nthreads = 2\nlazy-apps = false\nprocesses = 4", ("servers.forks", "note")),
        ("uwsgi.ini", "[else]\na = 1", ("servers.unreadable", "warning")),
    ],
)
def test_servers(case, tmp_path, name, text, expected):
    """Settings of gunicorn and uWSGI are read, never run, and judged by how the server forks."""
    file = tmp_path / name
    file.write_text(text)

    assert found(servers(replace(case, servers=[file]))) == [expected]


def test_servers_from_the_environment_and_the_folder(case, tmp_path, monkeypatch):
    """GUNICORN_CMD_ARGS and UWSGI_… are read, and the usual files of the working directory; without any that is told."""
    monkeypatch.chdir(tmp_path)
    assert found(servers(case)) == [("servers.not_known", "note")]

    (tmp_path / "uwsgi.ini").write_text("[uwsgi]\nmaster = true\n")
    variables = {"GUNICORN_CMD_ARGS": "--preload -k gevent", "UWSGI_ENABLE_THREADS": "1"}
    findings = list(servers(replace(case, environment=variables)))

    assert [one.id for one in findings] == ["servers.green_threads", "servers.forks", "servers.no_threads"]


# The locked child


def children():
    """The processes that this one has started, dead ones that nobody has asked about too."""
    return {child for task in Path("/proc/self/task").glob("*/children") for child in task.read_text().split()}


def test_a_locked_child_answers():
    """What the work says comes back, whatever its length; what it did to memory does not."""
    seen = []

    async def work():
        seen.append("here")
        return "x" * 300_000

    assert in_locked_child(work, 10) == "x" * 300_000
    assert seen == []


def test_a_locked_child_of_a_process_with_many_files():
    """An app that has more than a thousand files or connections open is answered like any other."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 4096), limits[1]))
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]

    async def work():
        return "here"

    try:
        assert in_locked_child(work, 10) == "here"
    finally:
        for descriptor in many:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_locked_child_reaches_nothing(tmp_path):
    """Neither a connection nor a file that were open, nor new ones, nor processes, nor the file system: nothing gets out."""
    kept = tmp_path / "kept"
    kept.write_text("as it was")
    listener = socket.create_server(("127.0.0.1", 0))
    connection = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    accepted.settimeout(0.2)
    listener.settimeout(0.2)
    database = sqlite3.connect(tmp_path / "open.db", isolation_level=None)
    database.execute("CREATE TABLE t (a)")
    log = kept.open("a")
    attempts = {
        "an open connection": lambda: connection.sendall(b"x"),
        "a new connection": lambda: socket.create_connection(listener.getsockname()),
        "a socket": socket.socket,
        "a name": lambda: socket.getaddrinfo("localhost", 80),
        "an open file": lambda: (log.write("x"), log.flush()),
        "a new file": lambda: (tmp_path / "new").write_text("x"),
        "a file to read": kept.read_text,
        "an open database": lambda: database.execute("INSERT INTO t VALUES (1)"),
        "a new database": lambda: sqlite3.connect(tmp_path / "new.db").execute("CREATE TABLE t (a)"),
        "a file to delete": kept.unlink,
        "a file to move": lambda: kept.rename(tmp_path / "moved"),
        "a folder": (tmp_path / "folder").mkdir,
        "a program": lambda: subprocess.run(["touch", tmp_path / "touched"], check=True),
        "a shell": lambda: os.system(f"touch {tmp_path / 'touched'}"),
        "a child": os.fork,
        "the parent": lambda: os.kill(os.getppid(), 0),
        "the lock": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)),
    }
    names = sorted(path.name for path in tmp_path.iterdir())

    async def work():
        through = []
        for name, attempt in attempts.items():
            try:
                attempt()
            except Exception:
                continue
            through.append(name)
        return f"through: {through}"

    said = in_locked_child(work, 20)

    assert said == "through: []"
    assert kept.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert database.execute("SELECT count(*) FROM t").fetchone() == (0,)
    with pytest.raises(TimeoutError):
        accepted.recv(1)
    with pytest.raises(TimeoutError):
        listener.accept()
    for one in (connection, accepted, listener, database, log):
        one.close()


@pytest.mark.parametrize("how", ["hangs", "exits", "raises", "blocks"])
def test_a_locked_child_that_says_nothing(how):
    """One that hangs, blocks, exits or raises is no answer, within the time; nothing of it is left."""

    async def work():
        match how:
            case "hangs":
                await asyncio.sleep(1000)
            case "blocks":
                HANGS.wait()
            case "exits":
                os._exit(3)
            case "raises":
                raise RuntimeError("in the child")
        return "never"

    before, began = children(), time.monotonic()

    assert in_locked_child(work, 0.3) is None
    assert time.monotonic() - began < 5.0
    assert children() <= before


def test_what_was_refused():
    """An exception is told from what was refused, also when it is wrapped in another one."""
    try:
        try:
            raise locked.Refused("socket.connect")
        except OSError as error:
            raise RuntimeError("no mail") from error
    except RuntimeError as error:
        wrapped = error

    assert was_refused(wrapped)
    assert was_refused(OSError(24, "Too many open files"))
    assert not was_refused(RuntimeError("of its own"))
