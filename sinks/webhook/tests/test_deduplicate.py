"""Deduplicators: what every kind promises, and what each of them adds."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing
from types import SimpleNamespace

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outbox.postgres_server import shared_server
from supertokens_events.testing import FakeClock
from supertokens_events_webhook.receiver import (
    BeingHandled,
    InMemoryDeduplicator,
    SqlDeduplicator,
    SqliteDeduplicator,
)

WEEK = 7 * 86400


def sqlite_driver(paramstyle):
    return SimpleNamespace(paramstyle=paramstyle, IntegrityError=sqlite3.IntegrityError)


def by_sql(path, paramstyle, **options):
    deduplicator = SqlDeduplicator(lambda: sqlite3.connect(path, timeout=20), sqlite_driver(paramstyle), **options)
    deduplicator.create_table()
    return deduplicator


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite", "qmark", "named", "psycopg"])
def deduplicator(request, tmp_path, clock):
    """One of each kind."""
    match request.param:
        case "memory":
            yield InMemoryDeduplicator(now=clock)
        case "sqlite":
            with SqliteDeduplicator(tmp_path / "seen.db", now=clock) as made:
                yield made
        case "psycopg":
            yield request.getfixturevalue("on_postgres")
        case paramstyle:
            yield by_sql(tmp_path / "seen.db", paramstyle, now=clock)


@pytest.fixture
def on_postgres(clock):
    """On the server that the outbox's tests use."""
    server = shared_server()
    deduplicator = SqlDeduplicator(lambda: psycopg.connect(server.url()), psycopg, now=clock)
    deduplicator.create_table()
    yield deduplicator
    server.execute("DROP TABLE webhook_events_handled")


def handle(deduplicator, event_id="evt_1"):
    with deduplicator.once(event_id) as first:
        return first


# What all promise


def test_an_event_is_first_once(deduplicator):
    """The second time it is not; another event is."""
    assert [handle(deduplicator), handle(deduplicator), handle(deduplicator, "evt_2")] == [True, False, True]


def test_a_handler_that_raises_has_not_handled(deduplicator):
    """Its exception comes through, and the next attempt is first again."""
    with pytest.raises(ZeroDivisionError), deduplicator.once("evt_1"):
        raise ZeroDivisionError

    assert [handle(deduplicator), handle(deduplicator)] == [True, False]


def test_a_repeat_whose_handler_raises_stays_done(deduplicator):
    """What was handled is not forgotten because something fails at its repeat."""
    handle(deduplicator)
    with pytest.raises(ZeroDivisionError), deduplicator.once("evt_1"):
        raise ZeroDivisionError

    assert handle(deduplicator) is False


def test_an_event_that_is_being_handled_is_neither(deduplicator):
    """Whoever asks meanwhile is told so: it may fail yet, so the sender must not hear that all is well."""
    with deduplicator.once("evt_1") as first, pytest.raises(BeingHandled, match=r"'evt_1' is being handled"):
        handle(deduplicator)

    assert first is True
    assert handle(deduplicator) is False


def test_a_handler_that_died_loses_its_event(deduplicator, clock):
    """When its lease has ended the event is first again."""
    deduplicator.once("evt_1").__enter__()
    clock.advance(299)
    with pytest.raises(BeingHandled):
        handle(deduplicator)
    clock.advance(1)

    assert handle(deduplicator) is True


def test_a_handler_that_comes_back_takes_nothing_away(deduplicator, clock):
    """It has lost its lease, another works on the event: that it fails late does not free the event."""
    late = deduplicator.once("evt_1")
    late.__enter__()
    clock.advance(301)
    with deduplicator.once("evt_1") as first:
        late.__exit__(ZeroDivisionError, ZeroDivisionError(), None)

        assert first
        with pytest.raises(BeingHandled):
            handle(deduplicator)


def test_a_handler_that_ends_late_has_handled(deduplicator, clock):
    """It took longer than its lease, and it did it."""
    with deduplicator.once("evt_1"):
        clock.advance(301)

    assert handle(deduplicator) is False


def test_it_forgets_after_a_week(deduplicator, clock):
    """And not before."""
    handle(deduplicator)
    clock.advance(WEEK - 1)
    assert handle(deduplicator) is False
    clock.advance(1)

    assert handle(deduplicator) is True


def test_of_many_threads_one_is_first(deduplicator):
    """Eight threads ask for the same twenty events at once: each event is handled once."""
    handled, start = Counter(), threading.Barrier(8)

    def work():
        start.wait()
        for number in range(20):
            try:
                with deduplicator.once(f"evt_{number}") as first:
                    handled[number] += first
            except BeingHandled:
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert handled == dict.fromkeys(range(20), 1)


def test_it_works_in_async_functions(deduplicator):
    """`async with` says the same, and a handler that is cancelled gives its event back."""

    async def handle_async():
        async with deduplicator.once("evt_1") as first:
            return first

    async def cancelled():
        inside = asyncio.Event()

        async def hang():
            async with deduplicator.once("evt_1"):
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(hang())
        await inside.wait()
        task.cancel()
        await asyncio.wait([task])
        return [await handle_async(), await handle_async()]

    assert asyncio.run(cancelled()) == [True, False]


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["return", "raise", "die", "wait"])), max_size=30))
def test_whatever_happens_an_event_is_handled_again_until_it_was(steps):
    """For any order of handlers that return, raise or die, an event is first until one has returned, and then not."""
    clock = FakeClock()
    deduplicator, done, held = InMemoryDeduplicator(now=clock), set(), {}
    for event_id, what in steps:
        if what == "wait":
            clock.advance(200)
            continue
        once = deduplicator.once(event_id)
        try:
            first = once.__enter__()
        except BeingHandled:
            assert held[event_id] > clock()
            continue
        assert first == (event_id not in done)
        if what == "die":
            if first:
                held[event_id] = clock() + 300
            continue
        once.__exit__(ZeroDivisionError if what == "raise" else None, None, None)
        done |= {event_id} if what == "return" else set()


# In memory


def test_memory_is_bounded():
    """A million ids do not fill the memory: the oldest go."""
    deduplicator = InMemoryDeduplicator(max_events=100)
    for number in range(1000):
        handle(deduplicator, f"evt_{number}")

    assert len(deduplicator) == 100
    assert handle(deduplicator, "evt_999") is False
    assert handle(deduplicator, "evt_1") is True


# In a database


def test_a_file_outlives_its_process(tmp_path):
    """Another process, later, knows what was handled."""
    script = (
        "import sys\n"
        "from supertokens_events_webhook.receiver import SqliteDeduplicator\n"
        "with SqliteDeduplicator(sys.argv[1]) as deduplicator, deduplicator.once('evt_1') as first: print(first)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "seen.db")]

    said = [subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout for _ in range(2)]

    assert said == ["True\n", "False\n"]


def test_of_many_processes_one_is_first(tmp_path):
    """Four processes ask for the same hundred events at once: each event is handled once."""
    script = (
        "import sys\n"
        "from supertokens_events_webhook.receiver import BeingHandled, SqliteDeduplicator\n"
        "with SqliteDeduplicator(sys.argv[1]) as deduplicator:\n"
        "    print(flush=True); sys.stdin.readline()\n"
        "    for number in range(100):\n"
        "        try:\n"
        "            with deduplicator.once(f'evt_{number}') as first:\n"
        "                if first: print(number)\n"
        "        except BeingHandled: pass\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "seen.db")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for process in processes:
        process.stdout.readline()

    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].split() for process in processes]

    assert Counter(number for numbers in said for number in numbers) == {str(number): 1 for number in range(100)}


def test_many_processes_begin_at_once(tmp_path):
    """Six processes open thirty new files at the same moments: SQLite's "locked" reaches none of them."""
    script = (
        "import sys\n"
        "from supertokens_events_webhook.receiver import SqliteDeduplicator\n"
        "for line in sys.stdin:\n"
        "    with SqliteDeduplicator(sys.argv[1] + line.strip()): print(line.strip(), flush=True)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "seen-")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(6)]

    opened = []
    for number in range(30):
        for process in processes:
            process.stdin.write(f"{number}\n")
            process.stdin.flush()
        opened.append({process.stdout.readline().strip() for process in processes})
    errors = [process.communicate(timeout=60)[1] for process in processes]

    assert errors == [""] * 6
    assert opened == [{str(number)} for number in range(30)]


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path):
    """It is told by the driver's exception, and nothing stays open."""
    (tmp_path / "seen.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        SqliteDeduplicator(tmp_path / "seen.db")


def test_a_table_is_pruned(tmp_path, clock):
    """What has expired is deleted, now and then."""
    path = tmp_path / "seen.db"
    deduplicator = by_sql(path, "qmark", now=clock)
    for number in range(10):
        handle(deduplicator, f"evt_{number}")
    clock.advance(WEEK + 1)
    handle(deduplicator, "evt_10")

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM webhook_events_handled").fetchall() == [("evt_10",)]


@pytest.mark.parametrize(
    ("paramstyle", "written"),
    [
        ("qmark", ("DELETE FROM seen WHERE id = ? AND token = ?", ["a", "b"])),
        ("format", ("DELETE FROM seen WHERE id = %s AND token = %s", ["a", "b"])),
        ("numeric", ("DELETE FROM seen WHERE id = :1 AND token = :2", ["a", "b"])),
        ("named", ("DELETE FROM seen WHERE id = :id AND token = :token", {"id": "a", "token": "b"})),
        ("pyformat", ("DELETE FROM seen WHERE id = %(id)s AND token = %(token)s", {"id": "a", "token": "b"})),
    ],
)
def test_every_paramstyle_is_written(paramstyle, written):
    """All five of PEP 249, with the values in the shape that each wants."""
    deduplicator = SqlDeduplicator(sqlite3.connect, sqlite_driver(paramstyle), table="seen")

    statement = deduplicator._rendered(
        "DELETE FROM {table} WHERE id = {id} AND token = {token}", {"token": "b", "id": "a"}
    )

    assert statement == written


@pytest.mark.parametrize("table", ["", "a b", "a;--", "a.b.c", '"a"'])
def test_a_table_is_a_name(table):
    """It becomes part of statements, so it is a plain name, perhaps with a schema."""
    with pytest.raises(ValueError, match="is not the name of a table"):
        SqlDeduplicator(sqlite3.connect, sqlite3, table=table)


def test_an_unknown_paramstyle_is_refused():
    """The sentence names it and those there are."""
    with pytest.raises(ValueError, match="the paramstyle 'dollar' is none of PEP 249's: qmark, format"):
        SqlDeduplicator(sqlite3.connect, sqlite_driver("dollar"))


def test_a_database_that_is_away_is_an_error(tmp_path):
    """Nobody knows then whether an event is new: the driver's exception comes through, for the sender to try again."""
    deduplicator = SqlDeduplicator(lambda: sqlite3.connect(tmp_path / "no" / "seen.db"), sqlite3)

    with pytest.raises(sqlite3.OperationalError):
        handle(deduplicator)


@pytest.mark.parametrize("options", [{"remember": 0}, {"lease": 0}, {"max_events": 0}])
def test_limits_are_more_than_nothing(options):
    """A deduplicator that could remember nothing is refused."""
    with pytest.raises(ValueError, match=r"more than 0|at least 1"):
        InMemoryDeduplicator(**options)
