"""What was told is compared with the core: everything that happened without us is found, and nothing else."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner
from supertokens_python.recipe.multitenancy.interfaces import TenantConfigCreateOrUpdate

from apps.stored import counted
from behind import ROLES, TENANTS, Life
from core_double import CoreDouble
from core_double.users import change_account_info, delete_method
from crowd import crowd, id_of, join, linked
from flows.harness import playing
from flows.recipes import emailpassword, emailverification, linking, passwordless, sessions, userroles
from supertokens_events import Event, Events, hookimpl
from supertokens_events.cli import cli
from supertokens_events.config import CoreSettings
from supertokens_events.core_api import Core, CoreError
from supertokens_events.outbox import Retention
from supertokens_events.reconcile import follow
from supertokens_events.reconcile.mark import Book
from supertokens_events.reconcile.record import EventsLost
from supertokens_events.reconcile.run import Reconciling, Wanted

RECIPES = [emailpassword(), emailverification(), passwordless(), userroles(), linking(), sessions()]
ALL = Wanted(tenants=True, roles=True)
NOW = 10**7  # numbers of those who join from now on


@pytest.fixture
def reconciling():
    """Makes comparisons of events with a core that do not wait."""
    with ExitStack() as opened:

        def make(events: Events, core: CoreDouble, wanted: Wanted = ALL, **options) -> Reconciling:
            reader = opened.enter_context(Core(CoreSettings(connection_uri=core.url), patience=0.0))
            options = {"wait": lambda _seconds: None, **options}
            return Reconciling(events.outbox, events.plugins, reader, lambda: events.plan, wanted, **options)

        yield make


def test_finds_what_was_done_behind_our_back(core: CoreDouble, tmp_path: Path, reconciling) -> None:
    """After 1,000 random operations, 100 of them straight at the core: exactly those; said once, not twice."""
    with playing(core, tmp_path, RECIPES, "asyncio") as w, closing(Life(w, core, seed=8)) as life:
        reconciling(w.events, core).baseline()
        for tenant in TENANTS:
            settings = TenantConfigCreateOrUpdate(first_factors=["emailpassword", "otp-phone"])
            w.backend.multitenancy.create_or_update_tenant(tenant, settings)
        for role in ROLES:
            w.backend.userroles.create_new_role_or_add_permissions(role, [])
        life.live(1_000, behind=100)

        found = reconciling(w.events, core).run()
        fixed = reconciling(w.events, core).run(fix=True)
        again = reconciling(w.events, core).run(fix=True)

        assert Counter((one.event_type, one.user_id) for one in found.found) == life.missing
        assert life.missing.total() == 100
        assert fixed.by_type == found.by_type
        assert again.found == []
        said = [w.events.outbox.event(one.event_id) for one in fixed.found]
        assert all(event and b'"origin":"reconcile"' in event.body for event in said)


# A small world: a core with three users, and an outbox that has told of none ---------------------------------------------


@pytest.fixture
def old() -> Iterator[CoreDouble]:
    """Three users who joined long ago."""
    with crowd(3) as core:
        yield core


@pytest.fixture
def events(make_events) -> Events:
    return make_events()


def told(events: Events, event_type: str, user: str, tenant: str | None = "public", **data) -> None:
    events.emit_sync(event_type, user_id=user, tenant_id=tenant, data=data)


def tell_of(events: Events, number: int, **data) -> None:
    """As capture does when one signs up."""
    sample = {"method": "emailpassword", "recipe_user_id": id_of(number), "email": f"user{number}@example.com"}
    told(events, "user.created", id_of(number), **{**sample, **data})


def newcomer(core: CoreDouble, number: int, **fields) -> str:
    """Who joins now."""
    user = join(core, number, **fields)
    core._state.methods[user].time_joined = int(time.time() * 1000) + 1000
    return user


def found(report) -> list[tuple[str, str | None]]:
    return sorted((one.event_type, one.user_id) for one in report.found)


def change_email(core: CoreDouble, number: int, email: str) -> None:
    state = core._state
    change_account_info(state, state.methods[id_of(number)], email)


def follow_from_now_on(events: Events) -> None:
    """As a baseline of an empty core does."""
    Book.begun_anew(events.outbox)


def said_by(events: Events) -> list[Event]:
    """What comparisons have said."""
    bodies = [one.body for one in events.outbox.events(limit=1000) if one.correlation_id == "reconcile"]
    return [Event.from_bytes(body) for body in bodies if body]


class TestBeginning:
    def test_who_was_there_before(self, events, old, reconciling):
        """Whoever joined before the outbox began is taken as found, and from then on known."""
        tell_of(events, 7)
        join(old, 7)

        first = reconciling(events, old).run()
        change_email(old, 1, "ada@example.org")
        second = reconciling(events, old).run()

        assert (first.noted, first.found) == (3, [])
        assert (second.noted, found(second)) == (0, [("user.email.changed", id_of(1))])

    def test_who_came_after(self, events, old, reconciling):
        """Whoever joined since the first event, and was not told of, is found by the first comparison."""
        tell_of(events, 7)
        join(old, 7)
        user = newcomer(old, 8)

        assert found(reconciling(events, old).run()) == [("user.created", user)]

    def test_baseline(self, events, old, reconciling):
        """Takes everything as it is: nothing differs after it."""
        tell_of(events, 7)
        newcomer(old, 8)
        reconciling(events, old).run()

        users = reconciling(events, old).baseline()

        assert users == 4
        assert reconciling(events, old).run().found == []

    def test_an_empty_core(self, events, reconciling):
        """Is no trouble."""
        with crowd(0) as core:
            assert reconciling(events, core).run().found == []


class TestFinding:
    @pytest.fixture(autouse=True)
    def compared(self, events, old, reconciling):
        reconciling(events, old).baseline()

    def test_a_member_who_is_gone(self, events, old, reconciling):
        """One login method of several that went is said as that, the last one as the user."""
        linked(old, 1, primary=0)
        reconciling(events, old).run(fix=True)
        state = old._state
        delete_method(state, state.methods[id_of(1)])

        one = reconciling(events, old).run(fix=True)
        delete_method(state, state.methods[id_of(0)])
        all_of_it = reconciling(events, old).run(fix=True)

        extents = [event.data["extent"] for event in said_by(events) if event.type == "user.deleted"]
        assert found(one) == found(all_of_it) == [("user.deleted", id_of(0))]
        assert extents == ["login_method", "user"]

    def test_who_is_in_no_tenant(self, events, old, reconciling):
        """Is in no list, but is not gone."""
        old._state.methods[id_of(1)].tenant_ids.clear()

        assert found(reconciling(events, old).run()) == [("tenant.user.disassociated", id_of(1))]
        assert found(reconciling(events, old, Wanted()).run()) == []

    def test_a_mapped_id(self, events, old, reconciling):
        """Who got an id of the app's own is the same as before; said once."""
        state = old._state
        state.internal_ids["customer-4711"] = id_of(1)
        state.mappings[id_of(1)] = type("Mapping", (), {"external_id": "customer-4711", "info": None})()

        report = reconciling(events, old).run()
        reconciling(events, old).run(fix=True)

        assert found(report) == [("user.id_mapping.created", "customer-4711")]
        assert reconciling(events, old).run().found == []

    def test_a_mapped_id_that_was_told(self, events, old, reconciling):
        """Live events of the mapping and its end are followed."""
        state = old._state
        ids = {"supertokens_user_id": id_of(1), "external_user_id": "customer-4711"}
        state.internal_ids["customer-4711"] = id_of(1)
        state.mappings[id_of(1)] = type("Mapping", (), {"external_id": "customer-4711", "info": None})()
        told(events, "user.id_mapping.created", "customer-4711", None, **ids)
        mapped = reconciling(events, old).run()
        state.mappings.clear()
        state.internal_ids.clear()
        told(events, "user.id_mapping.deleted", "customer-4711", None, user_id_type="external")

        assert mapped.found == []
        assert reconciling(events, old).run().found == []

    def test_tenants_and_roles(self, events, old, reconciling):
        """Tenants, roles and who has them, when that is asked for."""
        join(old, 5, tenant_ids=["acme"])
        tell_of(events, 5)
        state = old._state
        state.methods[id_of(5)].tenant_ids[:] = ["public"]
        state.roles["admin"] = ["write"]
        state.user_roles["public", id_of(1)].append("admin")

        report = reconciling(events, old).run(fix=True)
        gone = state.roles.pop("admin")
        state.user_roles.clear()
        del state.tenants["acme"]
        after = reconciling(events, old).run(fix=True)

        assert gone == ["write"]
        assert found(report) == [("role.assigned", id_of(1)), ("role.created", None), ("tenant.created", None)]
        assert found(after) == [("role.deleted", None), ("tenant.deleted", None)]
        assert reconciling(events, old).run().found == []

    def test_an_event_on_its_way(self, events, old, reconciling):
        """What is in the core already and told a moment later is no difference."""
        newcomer(old, 8)

        report = reconciling(events, old, wait=lambda _seconds: tell_of(events, 8)).run(fix=True)

        assert report.found == []
        assert said_by(events) == []

    def test_waits_for_it_as_long_as_asked(self, events, old, reconciling):
        """And not at all when nothing differs."""
        waits: list[float] = []
        reconciling(events, old, wait=waits.append, grace=7.0).run()
        newcomer(old, 8)
        reconciling(events, old, wait=waits.append, grace=7.0).run()

        assert waits == [7.0]

    def test_what_nobody_is_told(self, make_events, old, reconciling):
        """A type that is not captured is not missing."""
        events = make_events(capture={"events": ["*", "!user.email.changed"]})
        change_email(old, 1, "ada@example.org")

        assert reconciling(events, old).run().found == []

    def test_a_mapping_that_nobody_is_told(self, make_events, old, reconciling):
        """Makes nobody new of who has it."""
        events = make_events(capture={"events": ["*", "!user.id_mapping.created"]})
        state = old._state
        state.internal_ids["customer-4711"] = id_of(1)
        state.mappings[id_of(1)] = type("Mapping", (), {"external_id": "customer-4711", "info": None})()

        assert reconciling(events, old).run().found == []

    def test_history_for_one_sink(self, events, old, reconciling):
        """What a backfill told one sink, nobody else was told."""
        user = newcomer(old, 8)
        event = Event(type="user.created", user_id=user, correlation_id="backfill:crm", data={"recipe_user_id": user})
        events.emitter.emit_sync([event])

        assert found(reconciling(events, old).run()) == [("user.created", user)]

    def test_a_core_that_fails(self, events, old, reconciling):
        """Is an error, and what was said stays said: the next comparison says the rest."""
        newcomer(old, 8)
        old.fail_next("/recipe/roles")
        with pytest.raises(CoreError, match="answered 500 to GET /recipe/roles"):
            reconciling(events, old).run(fix=True)

        assert reconciling(events, old).run(fix=True).found == []
        assert [event.type for event in said_by(events)] == ["user.created"]


class TestSaying:
    @pytest.fixture(autouse=True)
    def compared(self, events, old, reconciling):
        reconciling(events, old).baseline()

    def test_to_everyone_who_wants_it(self, events, old, reconciling):
        """Through the line to the sinks, with where it comes from, at the time when it was true."""
        user = newcomer(old, 8)

        reconciling(events, old).run(fix=True)

        (event,) = said_by(events)
        assert (event.type, event.user_id, event.context.origin) == ("user.created", user, "reconcile")
        assert event.timestamp.timestamp() * 1000 == old._state.methods[user].time_joined
        assert [delivery.sink for delivery in events.outbox.deliveries(event_id=event.id)] == ["audit"]

    def test_by_two_at_once(self, events, old, reconciling):
        """Both find the same, and make the same event."""
        newcomer(old, 8)
        other = reconciling(events, old)

        first = reconciling(events, old, wait=lambda _seconds: other.run(fix=True)).run(fix=True)

        assert first.found == []
        assert len(said_by(events)) == 1

    def test_again_when_it_happens_again(self, events, old, reconciling):
        """An address that changes to and fro is told each time."""
        for email in ("ada@example.org", "user1@example.com", "ada@example.org"):
            change_email(old, 1, email)
            reconciling(events, old).run(fix=True)

        assert [event.data["email"] for event in said_by(events)] == [
            "ada@example.org",
            "user1@example.com",
            "ada@example.org",
        ]

    def test_what_a_plugin_drops(self, make_events, old, reconciling):
        """Is not stored, and not tried again either."""

        class Nobody:
            asked = 0

            @hookimpl
            def filter_event(self, event):
                Nobody.asked += 1
                return False

        events = make_events(plugins=[Nobody()])
        newcomer(old, 8)

        report = reconciling(events, old).run(fix=True)

        assert [one.event_id for one in report.found] == [None]
        assert reconciling(events, old).run(fix=True).found == []
        assert Nobody.asked == 1


class TestTime:
    @pytest.fixture(autouse=True)
    def compared(self, events, old, reconciling):
        reconciling(events, old).baseline()

    def test_what_was_pruned_is_known(self, events, old, reconciling):
        """Housekeeping reads events before they go."""
        user = newcomer(old, 8)
        tell_of(events, 8)
        anyio.run(events.dispatcher().run_until_empty)
        keeper = events.dispatcher()._keeper
        keeper._keeping = keeper._keeping.__class__(Retention(0.0, 0.0, 0.0, 0.0), before=keeper._keeping.before)

        anyio.run(keeper.once)

        assert events.outbox.counts()[0] == 0
        assert reconciling(events, old).run().found == []
        assert user in old._state.users

    def test_what_went_before_it_was_read(self, events, old, reconciling):
        """That is said, and nothing is guessed; a new baseline mends it."""
        tell_of(events, 8)
        tell_of(events, 9)
        anyio.run(events.dispatcher().run_until_empty)
        while any(events.outbox.prune(Retention(0.0, 0.0, 0.0, 0.0))):
            pass

        with pytest.raises(EventsLost, match="2 events went from the outbox before they were read"):
            reconciling(events, old).run(fix=True)

        reconciling(events, old).baseline()
        assert reconciling(events, old).run().found == []

    def test_the_same_change_after_a_baseline(self, events, old, reconciling):
        """What differs in the same way as before is another difference, once everything was taken as found: it is said anew."""
        reconciling(events, old).run()
        for email in ("b@example.com", "a@example.com", "b@example.com"):
            change_email(old, 1, email)
            report = reconciling(events, old).run(fix=True)
            assert (report.fixed, reconciling(events, old).run(fix=True).found) == (1, [])
            reconciling(events, old).baseline()

        changes = [event for event in said_by(events) if event.type == "user.email.changed"]
        assert len({event.id for event in changes}) == 3

    def test_another_core(self, events, reconciling):
        """That very many are gone is not said unless that is asked for: the core may be another one, or was emptied."""
        with crowd(20) as right, crowd(0) as wrong:
            reconciling(events, right).run()
            kept = reconciling(events, wrong).run(fix=True)
            assert (kept.withheld, kept.fixed, len(kept.found), said_by(events)) == (20, 0, 20, [])
            assert reconciling(events, right).run(fix=True).found == []

            asked = reconciling(events, wrong).run(fix=True, many_gone=True)
        assert (asked.withheld, asked.fixed) == (0, 20)
        assert {event.type for event in said_by(events)} == {"user.deleted"}

    def test_who_was_erased(self, events, old, reconciling):
        """Is neither new nor different, and their deletion is still noticed."""
        events.outbox.erase(id_of(1))
        change_email(old, 1, "ada@example.org")

        still_there = reconciling(events, old).run()
        delete_method(old._state, old._state.methods[id_of(1)])
        gone = reconciling(events, old).run()

        assert still_there.found == []
        assert found(gone) == [("user.deleted", id_of(1))]

    def test_erased_before_it_was_read(self, events, old, reconciling):
        """An event without its payload still says whom it was about."""
        newcomer(old, 8)
        tell_of(events, 8)
        events.outbox.erase(id_of(8))

        assert reconciling(events, old).run().found == []

    def test_no_address_in_the_record(self, events, old, tmp_path):
        """What is kept of an address, nobody can read."""
        follow(events.outbox)
        rows = events.outbox.records.told_after("", 10)

        assert len(rows) == 3
        assert "example.com" not in json.dumps(rows)


class TestSchedule:
    def test_one_of_two_dispatchers(self, make_events, old):
        """At its time one dispatcher compares, says what is missing, and counts it; the other waits for its turn."""
        tables = {"core": {"connection_uri": old.url}, "reconcile": {"every": "1h", "fix": True}}
        one, other = make_events(**tables), make_events(**tables)
        one._schedule().once()
        newcomer(old, 8)
        tell_of(one, 7)
        join(old, 7)
        with one.outbox._file.transaction() as connection:
            connection.execute("UPDATE bookmark SET due_at = 0")  # an hour later
        compare = one._schedule()
        compare._wait = lambda _seconds: None
        report = compare.once()
        waiting = other._schedule().once()

        assert [found_.event_type for found_ in report.found] == ["user.created"]
        assert waiting is None
        one.emitter.stop()
        assert counted(one)["difference", "said"] == 1

    def test_beside_the_lanes(self, make_events, old, monkeypatch):
        """A dispatcher compares by itself, delivers what that says, and ends when it is asked to."""
        monkeypatch.setattr("supertokens_events.reconcile.schedule._FIRST", 0.0)
        monkeypatch.setattr("supertokens_events.reconcile.schedule._GRACE", 0.0)
        tables = {"core": {"connection_uri": old.url}, "reconcile": {"every": "1h", "fix": True}}
        events = make_events(**tables)
        follow_from_now_on(events)
        user = newcomer(old, 8)

        async def deliver() -> None:
            dispatcher = events.dispatcher()
            with anyio.fail_after(20):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(dispatcher.run)
                    while not any(delivery.state == "done" for delivery in events.outbox.deliveries()):
                        await anyio.sleep(0.02)
                        dispatcher.wake()
                    dispatcher.stop()

        anyio.run(deliver)

        assert [event.user_id for event in said_by(events)] == [user]

    def test_a_core_that_hangs(self, make_events, old, monkeypatch):
        """Holds up neither the end of a dispatcher nor, on a daemon thread, that of the process."""
        monkeypatch.setattr("supertokens_events.reconcile.schedule._FIRST", 0.0)
        events = make_events(core={"connection_uri": old.url}, reconcile={"every": "1h"})
        old.delay = 5.0

        async def deliver() -> None:
            dispatcher = events.dispatcher()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(dispatcher.run)
                while not (busy := [one for one in threading.enumerate() if one.name.endswith("-sink")]):  # noqa: ASYNC110 - nobody tells
                    await anyio.sleep(0.01)
                dispatcher.stop()
            assert all(one.daemon for one in busy)

        began = time.monotonic()
        anyio.run(deliver)

        assert time.monotonic() - began < 4.0

    def test_a_core_that_is_away(self, make_events, caplog):
        """Is logged as a sentence, and nothing else happens."""
        events = make_events(core={"connection_uri": "http://127.0.0.1:9"}, reconcile={"every": "1h"})
        schedule = events._schedule()
        schedule._wait = lambda _seconds: None

        assert schedule.once() is None
        assert "cannot be reached" in caplog.text


class TestCommand:
    @pytest.fixture
    def run(self, old, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "supertokens-events.toml").write_text(
            f'[core]\nconnection_uri = "{old.url}"\n[outbox]\nurl = "sqlite:///{tmp_path}/events.db"\n'
        )
        options = {"catch_exceptions": False}
        return lambda *arguments: CliRunner().invoke(cli, ["reconcile", *arguments], **options)

    def test_exit_codes(self, run, old):
        """0: as told, or said now; 1: something differs; 2: wrong usage."""
        run("--baseline")
        change_email(old, 1, "ada@example.org")

        codes = [run("--grace", "0s", *options).exit_code for options in ([], ["--fix"], [], ["--baseline", "--fix"])]

        assert codes == [1, 0, 0, 2]

    def test_json(self, run, old):
        """One object for each difference, and a summary."""
        run("--baseline")
        change_email(old, 1, "ada@example.org")

        lines = [json.loads(line) for line in run("--grace", "0s", "--json").stdout.splitlines()]

        assert [line["kind"] for line in lines] == ["difference", "summary"]
        assert lines[0]["event_type"] == "user.email.changed"
        assert lines[1]["differences"] == {"user.email.changed": 1}
        assert "ada@example.org" not in json.dumps(lines)

    def test_a_core_that_is_away(self, run, old):
        """Is a sentence."""
        old.stop()

        done = run("--patience", "0s")

        assert (done.exit_code, "cannot be reached" in done.stderr) == (1, True)
