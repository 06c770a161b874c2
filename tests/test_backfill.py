"""History for a sink that is new, made from the core's users: complete, once, and only for that sink."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from core_double import CoreDouble
from crowd import crowd, id_of, join, joined, linked
from supertokens_events import Event, Events, hookimpl
from supertokens_events.backfill import Filling, Position, Range, Refused, next_position
from supertokens_events.cli import cli
from supertokens_events.config import CoreSettings
from supertokens_events.core_api import Core, CoreUnavailable
from supertokens_events.outbox import OutboxError, OutboxFull, Retention
from supertokens_events.testing import sample_event

PROGRAM = [sys.executable, "-m", "supertokens_events"]
EVERYTHING = Range(until=4_000_000_000.0)


@pytest.fixture
def core() -> Iterator[CoreDouble]:
    """Seven users."""
    with crowd(7) as core:
        yield core


@pytest.fixture
def make_events(tmp_path):
    """An outbox with the sinks ``crm`` and ``audit``; ``tables`` change the configuration, ``crm`` the sink's."""
    with ExitStack() as opened:

        def make(plugins=(), crm=None, **tables) -> Events:
            sinks = {
                name: {"type": "file", "events": ["*"], "path": str(tmp_path / f"{name}.jsonl")}
                for name in ("crm", "audit")
            }
            sinks["crm"] |= crm or {}
            outbox = {"url": f"sqlite:///{tmp_path}/events.db", **tables.pop("outbox", {})}
            events = Events.from_dict(
                {"outbox": outbox, "dispatcher": {"run": "off"}, "sinks": sinks, **tables}, plugins=plugins
            )
            opened.callback(events.stop, 5)
            return events

        yield make


@pytest.fixture
def filling(core):
    """Makes backfills of ``crm`` that do not wait."""
    with ExitStack() as opened:

        def make(events: Events, *, patience: float = 0.0, **options) -> Filling:
            waited = options.setdefault("wait", lambda _seconds: None)
            reader = opened.enter_context(Core(CoreSettings(connection_uri=core.url), patience=patience, wait=waited))
            routes = tuple(route for route in events.plan.routes if route.sink == "crm")
            plan = events.plan.__class__(routes, events.plan.captured, context_fields=events.plan.context_fields)
            return Filling(events.outbox, events.plugins, reader, plan, **options)

        yield make


def go_on(filling: Filling, asked: Range = EVERYTHING, *, again: bool = False):
    """As the command does."""
    return filling.run(next_position(None if again else filling.saved.position, asked, given=False))


def stored(events: Events) -> list[Event]:
    return [Event.from_bytes(one.body) for one in events.outbox.events(limit=100_000) if one.body]


def whose(events: Events, event_type: str = "user.created") -> list[str | None]:
    return sorted(event.user_id or "" for event in stored(events) if event.type == event_type)


# What is sent ----------------------------------------------------------------------------------------------------------


def test_everybody_with_the_time_when_they_joined(make_events, filling):
    """Each user is an event, marked as history, with its true time."""
    events = make_events()

    tally = go_on(filling(events))

    assert tally.stored == {"user.created": 7}
    assert [(event.user_id, event.timestamp.timestamp()) for event in stored(events)] == [
        (id_of(number), joined(number)) for number in range(7)
    ]
    assert {event.context.origin for event in stored(events)} == {"backfill"}
    assert stored(events)[0].data == {
        "method": "emailpassword",
        "recipe_user_id": id_of(0),
        "email": "user0@example.com",
        "email_verified": False,
    }


def test_to_that_sink_alone(make_events, filling):
    """No other sink hears of it, whatever it subscribes to."""
    events = make_events()

    go_on(filling(events))

    assert {delivery.sink for delivery in events.outbox.deliveries()} == {"crm"}


def test_linked_accounts_and_tenants(make_events, filling, core):
    """A login method is created as its own user, is then linked, and comes into its other tenants."""
    join(core, 8, tenant_ids=["acme", "public"])
    linked(core, 8, primary=2)
    events = make_events()

    tally = go_on(filling(events))

    (link,) = [event for event in stored(events) if event.type == "account.linked"]
    (place,) = [event for event in stored(events) if event.type == "tenant.user.associated"]
    assert tally.stored == {"user.created": 8, "account.linked": 1, "tenant.user.associated": 1}
    assert (link.user_id, link.data["recipe_user_id"]) == (id_of(2), id_of(8))
    assert (place.user_id, place.tenant_id) == (id_of(2), "public")


def test_roles_and_metadata_on_request(make_events, filling, core):
    """Only when they are asked for; of metadata the keys, never a value."""
    core._state.user_roles["public", id_of(3)] += ["admin", "editor"]
    core._state.metadata[id_of(4)] = {"plan": "a-secret-plan"}
    events = make_events()

    go_on(filling(events))
    plain = Counter(event.type for event in stored(events))
    tally = go_on(filling(events), Range(until=4e9, include=("metadata", "roles")))

    assert plain == {"user.created": 7}
    assert tally.stored == {"role.assigned": 2, "user.metadata.updated": 1}
    assert b"a-secret-plan" not in b"".join(one.body for one in events.outbox.events(limit=100))


def test_who_joined_in_a_time(make_events, filling):
    """From the first moment on, up to but not at the last."""
    events = make_events()

    go_on(filling(events), Range(since=joined(2), until=joined(5)))

    assert whose(events) == sorted(id_of(number) for number in (2, 3, 4))


# What is left out ------------------------------------------------------------------------------------------------------


def test_what_the_sink_does_not_want(make_events, filling, core):
    """Types, tenants and conditions of its subscription hold, and what they leave out is counted."""
    join(core, 8, tenant_ids=["acme"])
    join(core, 9, tenant_ids=["public"], email="ada@example.org")
    linked(core, 9, primary=2)
    crm = {"events": ["user.*"], "tenants": ["public"], "where": {"data.email": {"suffix": "example.com"}}}
    events = make_events(crm=crm)

    tally = go_on(filling(events))

    assert tally.stored == {"user.created": 7}
    assert tally.unwanted == {"user.created": 2, "account.linked": 1}


def test_a_tenant_that_the_sink_wants(make_events, filling, core):
    """Who is in several tenants is told of with one that the sink wants."""
    join(core, 8, tenant_ids=["acme", "zoo"])
    events = make_events(crm={"tenants": ["zoo"]})

    go_on(filling(events))

    assert [(event.user_id, event.tenant_id) for event in stored(events)] == [(id_of(8), "zoo")]


def test_nothing_that_the_sink_wants(make_events, filling):
    """That is said, and nothing is read."""
    with pytest.raises(Refused, match=r"the sink wants none of what a backfill says: user\.created, account\.linked"):
        go_on(filling(make_events(crm={"events": ["session.*"]})))


def test_what_it_was_told_when_it_happened(make_events, filling):
    """A live event that the sink has, or that waits for it, is not said again."""
    events = make_events()
    data = {"method": "emailpassword", "recipe_user_id": id_of(3)}
    events.emit_sync("user.created", user_id=id_of(3), tenant_id="public", data=data)

    tally = go_on(filling(events))

    assert tally.had == {"user.created": 1}
    assert whose(events) == sorted(map(id_of, range(7)))


def test_what_it_was_told_by_an_id_that_was_mapped_since(make_events, filling, core):
    """The live event names the core's own id, the list the mapped one."""
    events = make_events()
    data = {"method": "emailpassword", "recipe_user_id": id_of(3)}
    events.emit_sync("user.created", user_id=id_of(3), tenant_id="public", data=data)
    core._state.internal_ids["customer-4711"] = id_of(3)
    core._state.mappings[id_of(3)] = type("Mapping", (), {"external_id": "customer-4711", "info": None})()

    tally = go_on(filling(events))

    assert tally.had == {"user.created": 1}
    assert "customer-4711" not in whose(events)


def test_hooks_apply(make_events, filling):
    """They enrich and filter history as well; where it comes from is said whatever else of the context is left out."""

    class Plugin:
        @hookimpl
        def enrich_event(self, event):
            return {"region": "eu"}

        @hookimpl
        def filter_event(self, event):
            return event.user_id != id_of(3)

    events = make_events(plugins=[Plugin()], capture={"context": ["ip"]})

    tally = go_on(filling(events))

    assert tally.kept_back == {"user.created": 1}
    assert id_of(3) not in whose(events)
    assert {(event.context.origin, event.context.region) for event in stored(events)} == {("backfill", "eu")}


# Once ------------------------------------------------------------------------------------------------------------------


def test_a_second_run_sends_nothing_more(make_events, filling):
    """It is over; and to begin again makes the same events."""
    events = make_events()
    go_on(filling(events))

    second = go_on(filling(events), Range(until=time.time()))
    again = go_on(filling(events), again=True)

    assert (second.stored, second.users) == ({}, 0)
    assert again.had == {"user.created": 7}
    assert len(stored(events)) == 7


def test_a_second_run_goes_on_where_the_first_ended(make_events, filling):
    """Who joined since is sent."""
    events = make_events()
    go_on(filling(events), Range(until=joined(4)))

    tally = go_on(filling(events), Range(until=joined(6)))

    assert tally.stored == {"user.created": 2}
    assert whose(events) == sorted(map(id_of, range(6)))


def test_what_was_sent_is_known_when_the_events_are_gone(make_events, filling):
    """Later runs, also of a part, send nobody once more who was sent before everything was pruned."""
    events = make_events()
    go_on(filling(events), Range(until=joined(4)))
    anyio.run(events.dispatcher().run_until_empty)
    while any(events.outbox.prune(Retention(0.0, 0.0, 0.0, 0.0))):
        pass

    part = go_on(filling(events), Range(since=joined(2), until=joined(5)))
    whole = go_on(filling(events), Range(until=joined(7)))

    assert (part.stored, whole.stored) == ({"user.created": 1}, {"user.created": 2})
    assert whose(events) == sorted(map(id_of, (4, 5, 6)))


@pytest.mark.parametrize(
    ("before", "asked", "rest", "covered"),
    [
        ((None, 10.0), (None, 20.0), (10.0, 20.0), (None, 20.0)),
        ((None, 10.0), (5.0, 20.0), (10.0, 20.0), (None, 20.0)),
        ((None, 10.0), (15.0, 20.0), (15.0, 20.0), (None, 10.0)),
        ((5.0, 10.0), (None, 20.0), (None, 20.0), (None, 20.0)),
        ((5.0, 10.0), (2.0, 4.0), (2.0, 4.0), (5.0, 10.0)),
    ],
    ids=["goes on", "overlaps", "leaves a gap", "holds it", "is before it"],
)
def test_what_remains_of_a_range(before, asked, rest, covered):
    """Of what is asked for, what no earlier one has been through; and what the sink has after it."""
    finished = Position.beginning(between(before)).model_copy(update={"finished": True})

    position = next_position(finished, between(asked), given=True)

    assert (position.range, position.covered) == (between(rest), between(covered))


def between(times: tuple[float | None, float]) -> Range:
    return Range(since=times[0], until=times[1])


def test_goes_on_as_it_was_begun(make_events, filling, core):
    """One that was interrupted is not continued with other options."""
    events = make_events()
    core.fail_next("/users")
    with pytest.raises(CoreUnavailable):
        go_on(filling(events), Range(until=4e9, include=("roles",)))

    before = filling(events).saved.position

    assert before is not None
    with pytest.raises(ValueError, match="was interrupted, and goes on as it was begun"):
        next_position(before, Range(since=1.0, until=4e9), given=True)


def test_two_at_once(make_events, filling):
    """The one who comes too late stops, and nothing is there twice."""
    events = make_events()
    late = filling(events)
    go_on(filling(events))

    with pytest.raises(OutboxError, match="another backfill of 'crm' is running"):
        go_on(late)

    assert len(stored(events)) == 7


# Trouble ---------------------------------------------------------------------------------------------------------------


def test_waits_for_a_core_in_trouble(make_events, filling, core):
    """A core that answers 500 now and then is asked again, later each time."""
    events, waits = make_events(), []
    for _ in range(3):
        core.fail_next("/public/users")

    go_on(filling(events, patience=10.0, wait=waits.append))

    assert waits == [0.5, 1.0, 2.0]
    assert len(stored(events)) == 7


def test_ends_with_a_core_that_is_gone_and_goes_on_later(make_events, filling, core, monkeypatch):
    """What was stored stays, and the next run does the rest: complete, none twice."""
    monkeypatch.setattr("supertokens_events.backfill.filling._PAGE", 2)
    events = make_events()
    first = filling(events, progress=lambda position: position.users == 4 and core.fail_next("/public/users"))

    with pytest.raises(CoreUnavailable, match=r"the core at http://.* answered 500 to GET /public/users: Failure"):
        go_on(first)
    tally = go_on(filling(events))

    assert first.tally.stored == {"user.created": 4}
    assert tally.stored == {"user.created": 3}
    assert whose(events) == sorted(map(id_of, range(7)))


def test_an_outbox_that_is_full(make_events, filling, core):
    """Says so; with more room the next run does the rest."""
    for number in range(10, 700):
        join(core, number)
    small = make_events(outbox={"max_size": "200KB"})
    with pytest.raises(OutboxFull, match="is full"):
        go_on(filling(small))
    small.stop()
    events = make_events()

    go_on(filling(events))

    assert len(whose(events)) == len(set(whose(events))) == 697


def test_no_faster_than_asked(make_events, filling):
    """At two a second seven events take three and a half."""
    waits: list[float] = []

    go_on(filling(make_events(), rate=2.0, wait=waits.append, clock=lambda: 0.0))

    assert max(waits) == pytest.approx(3.5)


def test_a_dry_run_changes_nothing(make_events, filling):
    """It counts what would be sent."""
    events = make_events()
    trial = filling(events, dry_run=True)

    tally = go_on(trial)

    assert tally.stored == {"user.created": 7}
    assert (stored(events), filling(events).saved.position) == ([], None)


# The command -----------------------------------------------------------------------------------------------------------

CONFIGURATION = """
[core]
connection_uri = "{url}"

[outbox]
url = "sqlite:events.db"

[sinks.crm]
type = "file"
events = ["user.*"]
path = "crm.jsonl"

[sinks.off]
type = "file"
events = ["user.*"]
path = "off.jsonl"
enabled = false
"""


def run(*arguments: str) -> Result:
    """In this process, in the working directory."""
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def test_a_stored_sink_is_filled(core, tmp_path, monkeypatch) -> None:
    """A sink that was made through the API is filled like one of the configuration, and no other one is."""
    monkeypatch.chdir(tmp_path)
    Path("supertokens-events.toml").write_text(CONFIGURATION.format(url=core.url))
    with closing(Events.from_toml().outbox) as outbox:
        outbox.store_sink("new", "file", {"events": ["user.*"], "path": "new.jsonl"}, enabled=True)

    done = run("backfill", "new")

    assert (done.exit_code, done.stderr.count("Traceback")) == (0, 0)
    with closing(Events.from_toml().outbox) as outbox:
        assert {one.sink for one in outbox.deliveries(limit=100)} == {"new"}
        assert len(outbox.deliveries(limit=100)) == 7


def events_in(folder: Path) -> int:
    """How many there are, asked without a lock."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'events.db'}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM event").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0


class TestCommand:
    @pytest.fixture
    def folder(self, tmp_path: Path, core, monkeypatch) -> Path:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "supertokens-events.toml").write_text(CONFIGURATION.format(url=core.url))
        return tmp_path

    def started(self, folder: Path, *arguments: str) -> subprocess.Popen[str]:
        """Wait until some of it is done."""
        process = subprocess.Popen(
            [*PROGRAM, "backfill", "crm", *arguments], cwd=folder, stderr=subprocess.PIPE, text=True
        )
        before, deadline = events_in(folder), time.monotonic() + 30
        while events_in(folder) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return process

    def test_killed_three_times(self, folder, core):
        """Complete, none twice."""
        for number in range(10, 1000):
            join(core, number)

        for _ in range(3):
            with self.started(folder, "--rate", "400/s") as process:
                process.kill()
            assert process.returncode == -signal.SIGKILL
        done = run("backfill", "crm", "--json")

        assert json.loads(done.stdout)["stored"]["user.created"] < 997
        sent = [json.loads(line) for line in run("events", "--limit", "2000", "--json").stdout.splitlines()]
        assert len({event["user_id"] for event in sent}) == len(sent) == 997

    def test_interrupted(self, folder, core):
        """Says how to go on, with the exit code of an interrupted program."""
        for number in range(10, 1000):
            join(core, number)

        with self.started(folder, "--rate", "400/s") as process:
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)

        assert process.returncode == 130
        assert re.search(r"crm: interrupted; [\d,]+ events of this run are stored\. The same command goes on\.", said)

    @pytest.mark.parametrize(
        ("arguments", "code", "sentence"),
        [
            (["crn"], 2, "supertokens-events.toml: sinks.crn: there is no such sink, did you mean 'crm'?"),
            (["off"], 1, "sinks.off.enabled: the sink is turned off; nothing was sent"),
            (["crm", "--include", "rolls"], 2, "there is no 'rolls' to include, did you mean 'roles'?"),
            (["crm", "--rate", "0/s"], 2, "expected a rate such as '10/s'"),
            (["crm", "--since", "tomorrow"], 2, "expected a time ago such as '30d'"),
            (["crm", "--since", "2026-01-01", "--until", "2020-01-01"], 2, "nobody joined from 2026-01-01T00:00"),
            (["crm", "--patience", "-1"], 2, "expected a duration"),
        ],
    )
    def test_mistakes(self, folder, arguments, code, sentence):
        """Are sentences, with an exit code."""
        done = run("backfill", *arguments)

        assert sentence in done.stderr
        assert "Traceback" not in done.stderr
        assert done.exit_code == code

    def test_without_a_core(self, folder):
        """Says which key is missing."""
        text = (folder / "supertokens-events.toml").read_text()
        (folder / "supertokens-events.toml").write_text(re.sub(r"\[core\]\n.*\n", "", text))

        done = run("backfill", "crm")

        assert "supertokens-events.toml: core.connection_uri: is required to read the core's users" in done.stderr
        assert done.exit_code == 2

    def test_a_core_that_is_not_there(self, folder):
        """Says which, and that the same command goes on."""
        text = (folder / "supertokens-events.toml").read_text()
        (folder / "supertokens-events.toml").write_text(re.sub(r"http://\S+", 'http://127.0.0.1:9"', text))

        done = run("backfill", "crm", "--patience", "0s")

        assert "the core at http://127.0.0.1:9 cannot be reached" in done.stderr
        assert "Traceback" not in done.stderr
        assert done.exit_code == 1


def test_says_only_what_it_may(make_events, filling, core) -> None:
    """No event of a backfill is more than its type promises."""
    join(core, 8, recipe_id="thirdparty", third_party=("google", "g-8"))
    events = make_events()

    go_on(filling(events))

    for event in stored(events):
        model: Any = events.plugins.catalog.get(event.type)
        assert model.model_validate(event.data)
    assert sample_event().id not in {event.id for event in stored(events)}
