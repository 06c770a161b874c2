"""What the SQLite file has to stand, beside the contract."""

import ctypes
import math
import os
import resource
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cached_property
from importlib import resources
from pathlib import Path

import pytest

from outbox.stores import LEASE, claimed, entry, keyed, later, sequences, settlement
from supertokens_events.outbox import (
    DeliveryState,
    NewDelivery,
    OutboxError,
    OutboxFull,
    OutboxUnavailable,
    Retention,
    SqliteOutbox,
    open_outbox,
)
from supertokens_events.outbox.mounts import file_system_of, is_network
from supertokens_events.outbox.sqlite.lock import FileLock
from supertokens_events.testing import FakeClock

# That a process with threads forks is part of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

PATIENCE = 5.0
MIGRATIONS = sorted(
    file.name
    for file in resources.files("supertokens_events.outbox.sql.sqlite").iterdir()
    if file.name.endswith(".sql")
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.db"


@pytest.fixture
def make(path):
    """Outboxes on one file, with a short patience for locks."""
    made = []

    def make(**options):
        made.append(SqliteOutbox(path, **({"busy_timeout": 0.1} | options)))
        return made[-1]

    yield make
    for outbox in made:
        outbox.close()


class Child:
    """A process that was forked off to run ``function(child)``, and then waits to be told to end."""

    def __init__(self, function, fork=os.fork):
        told, self._tell = os.pipe()
        self._said, say = os.pipe()
        self.pid = fork()
        if self.pid == 0:
            os.close(self._tell)
            self._told = told
            try:
                answer = str(function(self))
            except BaseException as error:
                answer = repr(error)
            os.write(say, answer.encode() + b"\n")
            self.wait()
            os._exit(0)
        os.close(told)
        os.close(say)

    @cached_property
    def answer(self):
        """What the function returned, as text; an exception's text if it raised."""
        with os.fdopen(self._said, encoding="utf-8") as pipe:
            return pipe.readline().rstrip("\n")

    def wait(self):
        """In the child: until the parent says so, or is gone."""
        os.read(self._told, 1)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.reap()

    def end(self):
        os.write(self._tell, b".")
        self.reap()

    def reap(self):
        os.close(self._tell)
        os.waitpid(self.pid, 0)


def query(path, statement, *values):
    """Rows from the file, past the outbox."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def aside(path, suffix=""):
    """The files that were set aside."""
    found = path.parent.glob(f"{path.name}.damaged-*Z*{suffix}")
    return sorted(file for file in found if suffix or not file.name.endswith(("-wal", "-shm")))


class TestSqlite:
    """What a file on a disk has to stand."""

    def test_private(self, make, path):
        """The file and all that lies beside it are for their owner only, whatever the umask."""
        before = os.umask(0)
        try:
            outbox = make()
            outbox.append([entry()])
            outbox.lead("crm")
        finally:
            os.umask(before)

        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert set(modes) == {"events.db", "events.db-wal", "events.db-shm", "events.db-lock", "events.db-lead-crm"}
        assert set(modes.values()) == {0o600}

    @pytest.mark.parametrize(("durability", "synchronous"), [("normal", 1), ("full", 2)])
    def test_durability(self, make, durability, synchronous):
        """The file is in WAL mode; 'full' syncs with every commit."""
        outbox = make(durability=durability)
        with outbox._file.connected() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            assert connection.execute("PRAGMA synchronous").fetchone()[0] == synchronous

    # Versions

    def test_fresh(self, make, path):
        """A fresh file gets the newest schema."""
        make().open()

        with sqlite3.connect(path) as connection:
            (version,) = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        connection.close()
        assert version == int(MIGRATIONS[-1][:4])

    def test_newer(self, make, path):
        """A file that a newer version has made is refused, and the error says what to do."""
        make().open()
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE meta SET value = 999 WHERE key = 'schema_version'")
        connection.close()

        with pytest.raises(
            OutboxError, match=r"events.db has schema version 999, .* knows \d+: upgrade supertokens-events"
        ) as raised:
            make().append([entry()])
        assert not isinstance(raised.value, OutboxUnavailable)

    def test_somebody_elses(self, make, path):
        """A database of another program is refused and left as it is."""
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE event (what TEXT)")
        connection.close()

        with pytest.raises(OutboxError, match="event already exists"):
            make().open()

        with sqlite3.connect(path) as connection:
            assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["event"]
        connection.close()

    def test_opened_at_once(self, tmp_path, in_child):
        """Four processes that open a fresh file at the same moment all succeed, each time."""
        moments = [time.monotonic() + 0.3 + 0.03 * n for n in range(15)]

        def open_all():
            for n, moment in enumerate(moments):
                while time.monotonic() < moment:
                    pass
                SqliteOutbox(tmp_path / f"{n}.db").open()

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda _: in_child(open_all), range(4)))

        assert answers == ["None"] * 4

    def test_opened_while_another_does(self, path):
        """SQLite waits for no lock while it changes a new file to WAL; the outbox does."""
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.05, other.close).start()
        outbox = SqliteOutbox(path, busy_timeout=PATIENCE)

        assert outbox.append([entry()]) == [1]
        outbox.close()

    # Trouble

    def test_locked(self, make, path):
        """A file that another program has locked is unavailable for now, told within the patience; afterwards it goes on."""
        outbox = make()
        outbox.append([entry()])
        locker = sqlite3.connect(path, isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")

        start = time.monotonic()
        with pytest.raises(OutboxUnavailable, match=r"events.db cannot be used: database is locked"):
            outbox.append([entry()])
        waited = time.monotonic() - start
        assert outbox.counts()[0] == 1  # reading goes on meanwhile
        locker.execute("COMMIT")
        locker.close()

        assert 0.1 <= waited < 1
        assert outbox.append([entry()]) == [2]

    def test_locked_from_the_start(self, make, path):
        """A file that is locked before it was ever opened is unavailable for now, and opens afterwards."""
        outbox = make()
        outbox.open()
        outbox.close()
        locker = sqlite3.connect(path, isolation_level=None)
        locker.execute("PRAGMA locking_mode=EXCLUSIVE")
        locker.execute("BEGIN EXCLUSIVE")

        with pytest.raises(OutboxUnavailable, match="locked"):
            outbox.append([entry()])
        locker.close()

        assert outbox.append([entry()]) == [1]

    def test_missing_folder(self, tmp_path):
        """A folder that is not there makes the outbox unavailable: it may be mounted later."""
        outbox = SqliteOutbox(tmp_path / "none" / "events.db")

        with pytest.raises(OutboxUnavailable, match=r"none/events.db cannot be written: No such file or directory"):
            outbox.append([entry()])
        (tmp_path / "none").mkdir()

        assert outbox.append([entry()]) == [1]
        outbox.close()

    def test_unwritable_folder(self, in_child):
        """A folder that may not be written makes the outbox unavailable, and says so."""
        folder = Path(tempfile.mkdtemp())
        folder.chmod(0o555)

        def append():
            os.chdir(folder)
            if os.geteuid() == 0:
                os.setuid(65534)
            SqliteOutbox("events.db").append([entry()])

        answer = in_child(append)
        folder.chmod(0o755)
        folder.rmdir()

        assert "OutboxUnavailable" in answer
        assert "the outbox events.db cannot be written: Permission denied" in answer

    def test_full_disk(self, make):
        """A full disk makes the outbox unavailable, keeps what is stored, and ends when there is room again."""
        outbox = make()
        outbox.append([entry()])
        with outbox._file.connected() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")

        with pytest.raises(OutboxUnavailable, match="full"):
            outbox.append([entry(data={"large": "x" * 100_000})])
        assert sequences(outbox) == [1]
        with outbox._file.connected() as connection:
            connection.execute("PRAGMA max_page_count=1000000")

        assert outbox.append([entry(data={"large": "x" * 100_000})]) == [2]

    def test_file_too_large(self, make, in_child):
        """A file that the system lets grow no further makes the outbox unavailable, and loses nothing that was stored."""
        make().append([entry()])

        def append():
            outbox = make()
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            stored = 0
            try:
                for _ in range(100):
                    stored = outbox.append([entry(data={"large": "x" * 10_000})])[-1]
            except OutboxUnavailable:
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                return f"{outbox.append([entry()])[-1] - stored} after {stored}"

        answer = in_child(append)

        step, _, stored = answer.partition(" after ")
        assert step == "1"
        assert sequences(make()) == list(range(1, int(stored) + 2))

    def test_error_without_values(self, make):
        """An error of the store never repeats what was to be stored."""
        stored = entry("crm", "crm", user_id="somebody@example.com")

        with pytest.raises(OutboxError) as raised:
            make().append([stored])

        assert "somebody" not in str(raised.value)
        assert stored.event.id not in str(raised.value)

    def test_text_that_cannot_be_stored(self, make):
        """A value that SQLite cannot hold is an OutboxError, which callers know, and nothing else."""
        outbox = make()
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)

        with pytest.raises(OutboxError, match="cannot hold a value: UnicodeEncodeError"):
            outbox.settle([later(claim, 1)._replace(reason="\ud800")])
        assert outbox.settle([settlement(claim)]) == 1

    # Processes

    def test_second_outbox_keeps_the_locks(self, make, path):
        """Opening the same file twice in one process gives up no lock of the first: no other process sees it as unused."""
        make().append([entry()])
        make().append([entry()])

        code = (
            "import sqlite3, sys\nconnection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
            "try: print(connection.execute('PRAGMA journal_mode=DELETE').fetchone()[0])\n"
            "except sqlite3.OperationalError as error: print(error)"
        )
        answer = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout

        assert answer.strip() == "database is locked"

    def test_child_outlives_its_parent(self, make, path):
        """What a forked child commits after its parent has closed the file is there for everybody who opens it."""
        outbox = make()
        outbox.append([entry()])
        told, tell = os.pipe()
        answered, answer = os.pipe()
        pid = os.fork()
        if pid == 0:
            outbox.append([entry()])
            os.write(answer, b".")
            os.read(told, 1)
            outbox.append([entry()])
            os._exit(0)
        os.read(answered, 1)
        outbox.close()
        os.write(tell, b".")
        os.waitpid(pid, 0)

        assert sequences(make()) == [1, 2, 3]


class TestMigration:
    """A file that version 1 has made."""

    @pytest.fixture
    def old(self, path):
        """One with a delivery that waits, one that is claimed, one that is to be tried again, a dead and a done one."""
        script = resources.files("supertokens_events.outbox.sql.sqlite").joinpath("0001_initial.sql").read_text()
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
            connection.execute("INSERT INTO meta VALUES ('schema_version', 1)")
            connection.execute("UPDATE meta SET value = 5 WHERE key = 'sequence'")
            for n in range(1, 6):
                connection.execute(
                    "INSERT INTO event VALUES (?, ?, 'user.created', '2026-01-01T00:00:00.000000Z', ?, 'u1', NULL, ?, '{}')",
                    (n, f"evt_{n}", "t1" if n == 1 else None, 1000.0 + n),
                )
            connection.executemany(
                "INSERT INTO delivery (id, sequence, sink, state, due_at, fence, used, reason) "
                "VALUES (?, ?, 'crm', ?, ?, ?, ?, ?)",
                [
                    (1, 1, "pending", 1001.0, 0, 0, None),
                    (2, 2, "pending", 1060.0, 1, 0, None),
                    (3, 3, "pending", 1200.0, 2, 2, "503"),
                    (4, 4, "dead", 1004.0, 1, 1, "gone"),
                    (5, 5, "done", 1005.0, 1, 1, None),
                ],
            )
            connection.executemany(
                "INSERT INTO attempt VALUES (?, ?, ?, 0.5, ?, ?, '{}')",
                [
                    (3, 1, 1010.0, "retry", "500"),
                    (3, 2, 1020.0, "retry", "503"),
                    (4, 1, 1011.0, "rejected", "gone"),
                    (5, 1, 1012.0, "delivered", None),
                ],
            )
            connection.commit()
        return FakeClock(1030.0)

    def test_goes_on(self, make, old):
        """What waits is delivered, each at its time; what is claimed stays so until its lease ends."""
        outbox = make(clock=old)

        assert claimed(outbox.claim("crm", 10, LEASE)) == [1]
        old.advance(30)
        assert claimed(outbox.claim("crm", 10, 1000.0)) == [2]
        old.advance(140)
        (third,) = (claim for claim in outbox.claim("crm", 10, LEASE) if claim.delivery.sequence == 3)
        assert (third.used, third.delivery.attempt, third.age) == (2, 3, 190.0)
        assert outbox.append([entry()]) == [6]

    def test_tells_the_same(self, make, old):
        """The status is what it was."""
        (status,) = make(clock=old).status()

        assert (status.pending, status.due, status.done, status.dead, status.oldest) == (3, 1, 1, 1, 1001.0)
        assert (status.last_success, status.last_failure, status.last_reason) == (1012.0, 1020.0, "503")

    def test_knows_who_is_held(self, make, old):
        """Closing a breaker frees what waits for another try, and nothing that a dispatcher of version 1 may still hold."""
        outbox = make(clock=old)
        outbox.open_breaker("crm", failing_for=100.0, probe_in=1.0, reason="503")

        assert outbox.close_breaker("crm") == 1
        assert sorted(claimed(outbox.claim("crm", 10, LEASE))) == [1, 3]

    def test_knows_tenants(self, make, old, path):
        """Each delivery has the tenant of its event."""
        make(clock=old).open()

        assert query(path, "SELECT tenant, since FROM delivery ORDER BY id LIMIT 2") == [("t1", 1001.0), ("", 1002.0)]


class TestCost:
    """What a claim costs does not grow with what waits, nor with what may not go."""

    @staticmethod
    def steps(outbox, call):
        """How many of SQLite's steps a call takes, in hundreds."""
        count = 0

        def step():
            nonlocal count
            count += 1

        with outbox._file.connected() as connection:
            connection.set_progress_handler(step, 100)
        call()
        with outbox._file.connected() as connection:
            connection.set_progress_handler(None, 0)
        return count

    @pytest.mark.parametrize("tenants", [1, 5, 1000])
    def test_backlog(self, make, tenants):
        """A backlog ten times as large costs a claim, and a look, not even half as much again."""
        outbox = make(clock=FakeClock())
        costs = []
        for total in (1000, 10_000):
            waiting = total - 1000 * len(costs)
            outbox.append([entry("crm", tenant_id=f"t{n % tenants}") for n in range(waiting)])
            looked = self.steps(outbox, lambda: outbox.look("crm"))
            costs.append((self.steps(outbox, lambda: outbox.release(outbox.claim("crm", 20, LEASE))), looked))

        assert costs[1][0] <= costs[0][0] * 1.5
        assert max(costs[0][1], costs[1][1]) <= 1

    def test_one_blocked_key(self, make):
        """Thousands that wait for the first of their key cost a claim nothing."""
        outbox = make(clock=FakeClock())
        outbox.append([keyed("crm", "u1") for _ in range(3000)])
        (first,) = outbox.claim("crm", 10, LEASE)
        outbox.append([entry("crm")])

        assert self.steps(outbox, lambda: outbox.claim("crm", 10, LEASE)) <= 10
        assert outbox.settle([settlement(first)]) == 1
        assert claimed(outbox.claim("crm", 10, LEASE)) == [2]

    def test_met_once(self, make, path):
        """What has become blocked since it was due is met by one claim, and by no other."""
        outbox = make(clock=FakeClock())
        outbox.append([keyed("crm", f"u{n}") for n in range(2000)])
        outbox.append([keyed("crm", f"u{n}") for n in range(2000)])
        query(path, "UPDATE delivery SET state = 'done' WHERE sequence <= 2000")
        query(
            path, "UPDATE delivery SET state = 'pending', due_at = 9e12 WHERE sequence <= 2000"
        )  # replayed, for later

        first = self.steps(outbox, lambda: outbox.claim("crm", 10, LEASE))

        assert self.steps(outbox, lambda: outbox.claim("crm", 10, LEASE)) * 20 < first
        query(path, "UPDATE delivery SET state = 'done' WHERE sequence <= 2000")
        assert sorted(claimed(outbox.claim("crm", 5000, LEASE))) == list(range(2001, 4001))

    @pytest.mark.parametrize("gone", ["UPDATE delivery SET state = 'skipped'", "DELETE FROM delivery"])
    def test_never_stuck(self, make, path, gone):
        """However the first of a key goes, even by hand, the next one is due."""
        outbox = make(clock=FakeClock())
        outbox.append([keyed("crm", "u1"), keyed("crm", "u1")])
        outbox.claim("crm", 10, LEASE)

        query(path, f"{gone} WHERE sequence = 1")

        assert claimed(outbox.claim("crm", 10, LEASE)) == [2]

    def test_replayed(self, make, path):
        """One that is due again goes before later ones of its key; one that is out already is not called back."""
        outbox = make(clock=FakeClock())
        outbox.append([keyed("crm", "u1") for _ in range(4)])
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 1, LEASE)])
        (second,) = outbox.claim("crm", 1, LEASE)
        query(path, "UPDATE delivery SET state = 'pending', due_at = since WHERE sequence = 1")

        (first,) = outbox.claim("crm", 10, LEASE)
        outbox.settle([later(second, 0)])
        assert outbox.claim("crm", 10, LEASE) == []
        outbox.settle([settlement(first)])
        order = []
        while claims := outbox.claim("crm", 10, LEASE):
            order += claimed(claims)
            outbox.settle([settlement(claim) for claim in claims])

        assert (first.delivery.sequence, order) == (1, [2, 3, 4])

    @pytest.mark.parametrize(
        "call",
        [
            lambda outbox: outbox.look("crm"),
            lambda outbox: outbox.claim("crm", 10, LEASE),
            lambda outbox: outbox.claim_overdue("crm", 10, LEASE, 10.0),
            lambda outbox: outbox.close_breaker("crm"),
            lambda outbox: outbox.erase_deleted(),
        ],
        ids=["look", "claim", "claim_overdue", "close_breaker", "erase_deleted"],
    )
    def test_by_index(self, make, call):
        """What is called all the time reads no table from end to end, and sorts nothing."""
        outbox = make(clock=FakeClock())
        outbox.append([keyed("crm", None, tenant_id=f"t{n % 3}") for n in range(30)] + [keyed("crm", "u1")])
        outbox.open_breaker("crm", failing_for=1000.0, probe_in=1.0, reason="503")
        said = []
        with outbox._file.connected() as connection:
            connection.set_trace_callback(said.append)
        call(outbox)
        with outbox._file.connected() as connection:
            connection.set_trace_callback(None)
            plans = [
                (statement, row["detail"])
                for statement in said
                if statement.lstrip().startswith(("SELECT", "UPDATE", "WITH"))
                for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
            ]

        tables = ("SCAN delivery", "SCAN event", "SCAN attempt", "USE TEMP B-TREE")
        wrong = [plan for plan in plans if plan[1].startswith(tables) and "event_deleted" not in plan[1]]
        assert plans
        assert wrong == []

    def test_one_query_for_one_tenant(self, make):
        """With one tenant a claim asks once who is due."""
        outbox = make(clock=FakeClock())
        outbox.append([entry("crm") for _ in range(5)])
        said = []
        with outbox._file.connected() as connection:
            connection.set_trace_callback(said.append)
        outbox.claim("crm", 3, LEASE)

        assert sum("ORDER BY due_at" in statement for statement in said) == 1


class TestLock:
    """The lock between processes."""

    def test_another_process_has_it(self, make, path):
        """A call waits for another process, and no longer than its patience; reading goes on meanwhile."""
        outbox = make()
        outbox.append([entry()])
        code = (
            "import fcntl, sys\nfile = open(sys.argv[1], 'a')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
            "print(flush=True)\nsys.stdin.read()"
        )
        command = [sys.executable, "-c", code, path.with_name("events.db-lock")]
        other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        other.stdout.readline()

        start = time.monotonic()
        with pytest.raises(
            OutboxUnavailable, match=r"events.db cannot be used: another process has had it locked for 0.1 s"
        ):
            outbox.append([entry()])
        waited = time.monotonic() - start
        assert outbox.counts()[0] == 1
        other.communicate()

        assert 0.1 <= waited < 1
        assert outbox.append([entry()]) == [2]

    def test_given_up(self, path):
        """Who has given up waiting does not get the lock later, nor keeps it from others."""
        lock, other = FileLock(path), FileLock(path)
        assert lock.acquire(0)
        assert not other.acquire(0.02)
        lock.release()

        assert lock.acquire(PATIENCE)
        lock.release()
        assert other.acquire(PATIENCE)
        lock.close()
        other.close()

    def test_as_soon_as_it_is_free(self, path):
        """Who waits has it once it is free."""
        lock, other = FileLock(path), FileLock(path)
        lock.acquire(0)
        timer = threading.Timer(0.05, lock.release)
        timer.start()

        assert other.acquire(PATIENCE)
        assert not lock.acquire(0)
        other.close()
        lock.close()

    @pytest.mark.parametrize("fork", [os.fork, ctypes.PyDLL(None).fork], ids=["python", "c"])
    def test_child_keeps_nothing(self, make, fork):
        """A child, also of a server that forks past Python, holds neither lock nor lead of its parent once it has used the
        outbox, and releases neither.
        """
        outbox = make()
        outbox.append([entry()])
        assert outbox.lead("crm")

        child = Child(lambda _child: (outbox.append([entry()]), outbox.lead("crm")), fork)
        assert child.answer == "([2], False)"
        other = make()
        assert not other.lead("crm")
        outbox.close()
        assert other.lead("crm")
        assert other.append([entry()]) == [3]
        child.end()

    def test_killed(self, make, path):
        """A process that is killed in the middle of a write gives the lock back, and its write is gone."""

        def die(_child):
            with make()._file.transaction() as connection:
                connection.execute("UPDATE meta SET value = 100 WHERE key = 'sequence'")
                os.kill(os.getpid(), signal.SIGKILL)

        outbox = make(busy_timeout=PATIENCE)
        outbox.append([entry()])
        child = Child(die)
        assert child.answer == ""
        child.reap()

        assert outbox.append([entry()]) == [2]

    def test_without_flock(self, make, monkeypatch):
        """Where the system has no flock, SQLite's own locks do."""
        monkeypatch.setattr("supertokens_events.outbox.sqlite.lock.fcntl", None)
        outbox = make()

        assert outbox.append([entry()]) == [1]
        assert outbox.lead("crm")
        outbox.resign("crm")

    def test_fair(self, make, path, in_child):
        """Four processes that write all the time wait for each other, none of them for long."""

        def write():
            outbox = SqliteOutbox(path)
            outbox.open()
            deadline, worst, stored = time.monotonic() + 1.5, 0.0, 0
            while (start := time.monotonic()) < deadline:
                stored += len(outbox.append([entry("crm") for _ in range(5)]))
                worst = max(worst, time.monotonic() - start)
            return f"{worst} {stored}"

        make().open()
        with ThreadPoolExecutor(4) as threads:
            answers = [answer.split() for answer in threads.map(lambda _: in_child(write), range(4))]

        stored = [int(answer[1]) for answer in answers]
        assert max(float(answer[0]) for answer in answers) < 1.0  # without the lock: seconds
        assert min(stored) * 4 > max(stored)
        assert query(path, "SELECT count(*), max(sequence) FROM event") == [(sum(stored), sum(stored))]


class TestLead:
    """One dispatcher per lane."""

    def test_one_at_a_time(self, make):
        """Another outbox gets the lead of a sink only once it was given up; other sinks are not concerned."""
        first, second = make(), make()

        assert first.lead("crm")
        assert not second.lead("crm")
        assert second.lead("audit")
        first.resign("crm")
        assert second.lead("crm")
        assert not first.lead("crm")
        second.close()
        assert first.lead("crm")
        assert first.lead("audit")

    def test_killed(self, make):
        """A process that is killed leads nothing any more."""
        child = Child(lambda _child: make().lead("crm"))
        assert child.answer == "True"
        outbox = make()
        assert not outbox.lead("crm")

        child.kill()

        assert outbox.lead("crm")

    def test_killed_with_a_child(self, make, tmp_path):
        """Nor does it go on leading through a child that outlives it."""
        grandchild = tmp_path / "grandchild"
        os.mkfifo(grandchild)

        def lead(_child):
            outbox = make()
            led = outbox.lead("crm")
            if os.fork() == 0:
                grandchild.write_bytes(b".")  # it is there, and waits
                grandchild.read_bytes()
                os._exit(0)
            grandchild.read_bytes()
            return led

        child = Child(lead)
        assert child.answer == "True"
        child.kill()

        assert make().lead("crm")
        grandchild.write_bytes(b".")

    def test_missing_folder(self, tmp_path):
        """Where no file can be made, there is no lead for now."""
        outbox = SqliteOutbox(tmp_path / "none" / "events.db")

        with pytest.raises(OutboxUnavailable, match="cannot be led: No such file or directory"):
            outbox.lead("crm")


class TestDamage:
    """What is broken is set aside, never deleted, and everything goes on."""

    @pytest.fixture
    def filled(self, make, path):
        """A file with events in it, that nobody has open."""
        outbox = make()
        outbox.append([entry("crm", data={"large": "x" * 1000}) for _ in range(50)])
        outbox.close()
        return path

    @staticmethod
    def damage(path, offset=4096):
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(b"\xde\xad" * 20_000)

    @pytest.mark.parametrize("offset", [0, 4096], ids=["the header", "the middle"])
    def test_at_the_start(self, make, filled, offset, logged):
        """A damaged file is set aside as it is, a new one begun, an error logged once and counted in the ledger."""
        self.damage(filled, offset)
        content = filled.read_bytes()
        outbox = make()

        assert outbox.append([entry("crm")]) == [1]

        (file,) = aside(filled)
        assert file.read_bytes() == content
        (count,) = outbox.ledger()
        assert (count.reason, count.subject, count.count) == ("outbox_damaged", file.name, 1)
        assert logged().count("The outbox is damaged: its file is set aside") == 1
        assert file.name in logged()

    def test_no_database(self, make, path):
        """So is a file that never was a database."""
        path.write_text("something else, long enough to be looked at" * 100)

        assert make().append([entry()]) == [1]

        (file,) = aside(path)
        assert file.read_text().startswith("something else")

    def test_meanwhile(self, make, filled):
        """A file that gets damaged while it is open is set aside; the call that met it may be tried again."""
        outbox = make()
        assert len(outbox.events(limit=100)) == 50
        outbox.close()
        outbox._file._checked = True  # as if the damage came after the start
        self.damage(filled, 3 * 4096)

        def use():
            for _ in range(50):
                outbox.settle([settlement(claim) for claim in outbox.claim("crm", 10, LEASE)])
                outbox.events(limit=100)

        with pytest.raises(OutboxUnavailable, match=r"events\.db was damaged and is begun anew"):
            use()

        assert outbox.append([entry()]) == [1]
        assert len(aside(filled)) == 1
        assert outbox.ledger()[0].reason == "outbox_damaged"

    def test_found_by_a_query(self, make, filled):
        """Damage that only a query meets is no different."""
        outbox = make()
        outbox._file._checked = True
        self.damage(filled, 25 * 4096)  # behind the pages that opening reads

        with pytest.raises(OutboxUnavailable, match="begun anew"):
            outbox.events(limit=1000)

        assert outbox.events() == []
        assert len(aside(filled)) == 1

    def test_once(self, make, filled):
        """Of four processes that find it damaged at once, one sets it aside."""
        self.damage(filled)
        children = [Child(lambda _child: make(busy_timeout=PATIENCE).append([entry()])) for _ in range(4)]

        assert sorted(child.answer for child in children) == ["[1]", "[2]", "[3]", "[4]"]
        assert len(aside(filled)) == 1
        assert [count.count for count in make().ledger()] == [1]
        for child in children:
            child.end()

    def test_others_follow(self, make, filled):
        """A process that has the file open goes on with the new one, and gives no sequence again that it has given."""
        ours = make()
        assert ours.append([entry()]) == [51]
        ours._file._replace(ours._file._here(), sqlite3.DatabaseError("as if damaged"))
        other = make()

        assert other.append([entry()]) == [1]
        assert ours.append([entry()]) == [52]
        assert other.append([entry()]) == [53]
        assert sequences(other) == [1, 52, 53]

    def test_set_aside_twice(self, make, path):
        """Files that are set aside in the same second keep their own names."""
        for _ in range(2):
            path.write_bytes(b"nothing that SQLite knows" * 1000)
            outbox = make()
            outbox.open()
            outbox.close()

        assert len(aside(path)) == 2

    def test_what_belongs_to_it(self, make, filled):
        """Its WAL goes with it."""
        outbox = make()
        outbox.append([entry(data={"large": "y" * 1000})])
        wal = filled.with_name("events.db-wal").read_bytes()

        outbox._file._replace(outbox._file._here(), sqlite3.DatabaseError("as if damaged"))

        (file,) = aside(filled, "-wal")
        assert file.read_bytes() == wal
        assert b"yyyy" in wal

    def test_empty(self, make, path):
        """An empty file is a new one."""
        path.touch()

        assert make().append([entry()]) == [1]
        assert aside(path) == []

    def test_large(self, make, filled, monkeypatch):
        """A file that cannot be looked over in a moment is not known to be bad."""
        monkeypatch.setattr("supertokens_events.outbox.sqlite.file._CHECK", -1.0)
        monkeypatch.setattr("supertokens_events.outbox.sqlite.file._CHECK_STEPS", 1)

        assert make().append([entry()]) == [51]
        assert aside(filled) == []

    def test_deleted(self, make, path):
        """A file that is deleted under a running process is begun anew, for it and for others, with nothing of the old."""
        ours, other = make(), make()
        ours.append([entry(), entry()])
        other.append([entry()])
        path.unlink()

        assert ours.append([entry()]) == [3]
        assert other.append([entry()]) == [4]
        ours.close()
        other.close()
        assert sequences(make()) == [3, 4]

    def test_given_only_when_committed(self, make, path):
        """A sequence whose append failed is given to the next: no gap."""
        outbox = make()
        outbox.append([entry()])
        surrogate = entry(data={"email": "x"})._replace(body=b"{}", deliveries=[NewDelivery("\ud800")])

        with pytest.raises(OutboxError):
            outbox.append([surrogate])

        assert outbox.append([entry()]) == [2]

    def test_everything_deleted(self, make, path):
        """So is one that is deleted with all that belongs to it; its lock, too, is one lock for all again."""
        ours, other = make(), make(busy_timeout=0.1)
        ours.append([entry()])
        other.append([entry()])
        for file in path.parent.glob("events.db*"):
            file.unlink()

        assert other.append([entry()]) == [3]
        with ours._file.transaction(), pytest.raises(OutboxUnavailable, match="another process has had it locked"):
            other.append([entry()])
        assert ours.append([entry()]) == [4]

    @pytest.mark.parametrize("away", ["deleted", "moved", "replaced"])
    def test_told(self, make, path, tmp_path, away, logged):
        """Each process that had it in use says so once, as an error and in the ledger of the file that is there now."""
        other = SqliteOutbox(tmp_path / "other.db")
        other.open()
        other.close()
        ours, theirs = make(), make()
        ours.append([entry()])
        theirs.append([entry()])
        {
            "deleted": path.unlink,
            "moved": lambda: path.rename(tmp_path / "moved.db"),
            "replaced": lambda: other.path.rename(path),
        }[away]()

        for outbox in (ours, theirs, ours, theirs):
            outbox.append([entry()])

        assert logged().count("The outbox's file was moved, deleted or replaced while it was in use.") == 2
        assert [(count.reason, count.count) for count in ours.ledger()] == [("outbox_moved", 2)]
        assert sequences(ours) == [2, 3, 4, 5]

    def test_told_when_it_can_be_used_again(self, make, tmp_path, logged):
        """A whole folder that is gone is told once, however often the outbox is tried, and counted when it is back."""
        folder = tmp_path / "var"
        folder.mkdir()
        outbox = SqliteOutbox(folder / "events.db")
        outbox.append([entry()])
        shutil.rmtree(folder)

        for _ in range(3):
            with pytest.raises(OutboxUnavailable, match="cannot be written: No such file"):
                outbox.append([entry()])
        folder.mkdir()
        assert outbox.append([entry()]) == [2]

        assert logged().count("moved, deleted or replaced") == 1
        assert [count.reason for count in outbox.ledger()] == ["outbox_moved"]
        outbox.close()

    def test_deleted_meanwhile(self, make, path):
        """What is committed to a file that goes at that moment is not said to be stored; tried again, it is in the next file,
        which only its owner may read.
        """
        outbox = make(clock=lambda: path.unlink(missing_ok=True) or 1_000.0)
        with pytest.raises(OutboxUnavailable, match="was moved or deleted while it was in use"):
            outbox.append([entry()])
        outbox._clock = outbox._file._clock = lambda: 1_000.0

        assert outbox.append([entry()]) == [1]
        assert sequences(outbox) == [1]
        assert path.stat().st_mode & 0o777 == 0o600

    def test_closed_before(self, make, path, logged):
        """A file that goes while nobody has it open is nobody's loss to tell."""
        outbox = make()
        outbox.append([entry()])
        outbox.close()
        path.unlink()

        assert outbox.append([entry()]) == [2]
        assert outbox.ledger() == []
        assert logged() == ""

    def test_left_wal(self, make, path):
        """The WAL that a moved file has left behind is kept beside the new one; under its old name it makes that file whole."""
        ours = make()
        ours.append([entry(), entry()])
        path.rename(path.with_name("moved.db"))

        assert ours.append([entry()]) == [3]

        (wal,) = path.parent.glob("events.db.moved-*-wal")
        wal.rename(path.with_name("moved.db-wal"))
        moved = SqliteOutbox(path.with_name("moved.db"))
        assert sequences(moved) == [1, 2]
        moved.close()

    def test_replaced(self, make, path, tmp_path):
        """A file that another is put in place of, such as a backup, is left for that one, without the old one's WAL."""
        backup = tmp_path / "backup.db"
        elsewhere = SqliteOutbox(backup)
        elsewhere.append([entry() for _ in range(7)])
        elsewhere.close()
        ours = make()
        ours.append([entry() for _ in range(3)])
        backup.rename(path)

        assert ours.append([entry()]) == [8]
        assert ours.look("crm").due_in is None
        ours.close()
        assert sequences(make()) == list(range(1, 9))

    def test_look_follows(self, make, path):
        """Looking notices too."""
        outbox = make()
        outbox.append([entry("crm")])
        path.rename(path.with_name("moved.db"))

        assert outbox.look("crm").due_in is None
        assert outbox.counts()[0] == 0


class TestFull:
    """A limit on the file's size."""

    @staticmethod
    def fill(outbox, sinks=("crm",)):
        """Until it is full; how many events it took."""
        stored = 0
        try:
            while stored < 2000:
                stored = outbox.append([entry(*sinks, data={"large": "x" * 5000}) for _ in range(10)])[-1]
        except OutboxFull as error:
            return stored, str(error)
        pytest.fail("it never was full")

    def test_refuse(self, make, path):
        """A full outbox refuses, naming the sizes; once something is pruned it takes events again."""
        clock = FakeClock()
        outbox = make(max_size=1_000_000, clock=clock)

        stored, error = self.fill(outbox)

        assert 50 < stored < 200
        assert "bytes are in use" in error
        assert "max_size is 1,000,000" in error
        assert outbox.counts()[1] < 3_000_000
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 1000, LEASE)])
        clock.advance(100)
        outbox.prune(Retention(events=1.0, deliveries=1.0))
        assert outbox.append([entry()]) == [stored + 1]

    def test_drop(self, make, path):
        """Or the oldest that every sink has make room, counted by type; what waits or is dead stays."""
        outbox = make(max_size=1_000_000, when_full="drop_oldest_done", clock=FakeClock())
        outbox.append([entry(NewDelivery("crm", DeliveryState.DEAD, "gone")), entry("audit"), entry()])
        for _ in range(50):
            outbox.append([entry("crm", data={"large": "x" * 5000}) for _ in range(10)])
            outbox.settle([settlement(claim) for claim in outbox.claim("crm", 10, LEASE)])

        kept = sequences(outbox)
        (count,) = outbox.ledger()
        assert outbox.counts()[1] < 6_000_000
        assert (count.reason, count.event_type) == ("dropped", "user.created")
        assert count.count == 503 - len(kept)
        assert kept[:2] == [1, 2]
        assert kept[-1] == 503
        assert len(outbox.claim("audit", 10, LEASE)) == 1

    def test_nothing_to_drop(self, make):
        """When everything waits, a full outbox refuses; what is delivered then makes room at once."""
        outbox = make(max_size=1_000_000, when_full="drop_oldest_done", clock=FakeClock())
        stored, _ = self.fill(outbox)
        before = sequences(outbox)

        with pytest.raises(OutboxFull):
            outbox.append([entry(data={"large": "x" * 50_000})])
        assert sequences(outbox) == before == list(range(1, stored + 1))
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 1000, LEASE)])

        assert outbox.append([entry(data={"large": "x" * 50_000})]) == [stored + 1]

    def test_more_than_there_will_ever_be(self, make):
        """Events that are larger than the whole outbox are refused, and nothing is dropped for them."""
        outbox = make(max_size=1_000_000, when_full="drop_oldest_done")
        outbox.append([entry()])

        with pytest.raises(OutboxFull):
            outbox.append([entry(data={"large": "x" * 2_000_000})])

        assert sequences(outbox) == [1]
        assert outbox.ledger() == []


class TestForgotten:
    @pytest.mark.parametrize("deleted", [True, False], ids=["deleted user", "by id"])
    def test_bytes(self, make, path, deleted):
        """What was erased is in no file any more, not even in its unused parts."""
        outbox = make()
        outbox.append([entry(user_id="u1", data={"secret": "find-me-" * 1000}), entry(user_id="u2")])
        outbox.append([entry("crm", user_id="u1", event_type="user.deleted")])
        outbox.settle([settlement(claim, answer="find-me-too") for claim in outbox.claim("crm", 1, LEASE)])

        erased = outbox.erase_deleted() if deleted else outbox.erase("u1")

        assert erased.events == 2
        assert outbox.scrub(math.inf) == []
        left = [file.name for file in path.parent.iterdir() if b"find-me" in file.read_bytes()]
        assert left == []
        outbox.close()
        assert b"find-me" not in path.read_bytes()


class TestMounts:
    """SQLite's locks do not hold over a network."""

    MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /srv/nfs rw,relatime shared:15 - nfs4 host:/export rw,vers=4.2
31 22 0:27 / /srv/nfs/local rw - tmpfs tmpfs rw
32 22 0:28 / /mnt/two\\040words rw - fuse.sshfs me@host:/ rw
33 22 0:29 / /srv/over rw shared:7 master:2 - xfs /dev/vdb rw
34 22 0:30 / /srv/over rw - cifs //host/share rw
35 22 0:31 / /srv/nfsx rw - overlay overlay rw
not a line of it
"""

    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/var/lib/events.db", "ext4"),
            ("/srv/nfs/events.db", "nfs4"),
            ("/srv/nfs/local/events.db", "tmpfs"),
            ("/mnt/two words/events.db", "fuse.sshfs"),
            ("/srv/over/events.db", "cifs"),
            ("/srv/nfsx/events.db", "overlay"),
        ],
    )
    def test_of(self, path, kind):
        """The nearest mount counts, the latest if there are several in one place."""
        assert file_system_of(Path(path), self.MOUNTS) == kind

    def test_nothing_known(self):
        """A text that says nothing about a path tells nothing."""
        assert file_system_of(Path("/var/lib/events.db"), "") is None

    @pytest.mark.parametrize(
        ("kind", "network"),
        [
            *(
                (kind, True)
                for kind in ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "fuse.glusterfs", "lustre", "afs")
            ),
            *(
                (kind, False)
                for kind in ("ext4", "xfs", "btrfs", "zfs", "apfs", "overlay", "tmpfs", "9p", "fuse.x", "new")
            ),
        ],
    )
    def test_kinds(self, kind, network):
        """Those of a network are known by name; what is not known is allowed."""
        assert is_network(kind) == network

    def test_refused(self, path, tmp_path, monkeypatch):
        """An outbox on a network file system is refused before anything is made, with what to do instead."""
        mounts = tmp_path / "mountinfo"
        mounts.write_text(f"1 0 0:1 / {path.parent} rw - nfs4 host:/ rw\n")
        monkeypatch.setattr("supertokens_events.outbox.mounts._MOUNTS", mounts)

        with pytest.raises(OutboxError, match=r"network file system \(nfs4\).*: put it on a local disk") as raised:
            SqliteOutbox(path).append([entry()])
        assert not isinstance(raised.value, OutboxUnavailable)
        assert not path.exists()


class TestUrl:
    def test_beside_the_configuration(self, tmp_path):
        """'sqlite:name' is a file beside the configuration."""
        assert open_outbox("sqlite:events.db", folder=tmp_path).path == tmp_path / "events.db"
        assert open_outbox("sqlite:data/my%20events.db", folder=tmp_path).path == tmp_path / "data/my events.db"

    def test_from_the_root(self, tmp_path):
        """'sqlite:///path' is that path."""
        assert open_outbox("sqlite:///var/lib/app/events.db", folder=tmp_path).path == Path("/var/lib/app/events.db")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "events.db",
            "sqlite:",
            "sqlite:///",
            "sqlite://host/events.db",
            "sqlite:a%00b",
            "mysql://u:p4ss@h/db",
            "mysql://u:p4ss℀@h/db",
            "http://[::1",
        ],
    )
    def test_anything_else(self, url, tmp_path):
        """Any other URL is refused with an example of a good one, and is not repeated: it may hold a password."""
        with pytest.raises(ValueError, match=r"expected 'sqlite:events\.db'") as raised:
            open_outbox(url, folder=tmp_path)
        assert "p4ss" not in str(raised.value)

    @pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
    def test_postgres(self, scheme, tmp_path):
        """'postgresql://…' is a database server; it shows no password."""
        pytest.importorskip("psycopg")

        outbox = open_outbox(f"{scheme}://me:p4ss@localhost/events", folder=tmp_path, max_size=1, when_full="refuse")

        assert type(outbox).__name__ == "PostgresOutbox"
        assert "p4ss" not in repr(outbox)

    def test_without_the_extra(self, tmp_path, monkeypatch):
        """Without the driver the error says what to install, and repeats no password."""
        monkeypatch.delitem(sys.modules, "supertokens_events.outbox.postgres", raising=False)
        for name in [name for name in sys.modules if name.startswith("supertokens_events.outbox.postgres")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "psycopg", None)

        with pytest.raises(ValueError, match=r"pip install 'supertokens-events\[postgres\]'") as raised:
            open_outbox("postgresql://me:p4ss@localhost/events", folder=tmp_path)
        assert "p4ss" not in str(raised.value)

    def test_lazy(self, tmp_path):
        """Naming an outbox touches nothing."""
        open_outbox("sqlite:events.db", folder=tmp_path)

        assert list(tmp_path.iterdir()) == []
