"""What only the store on PostgreSQL has: versions, who may, many hosts at once, forks, and how they wake each other."""

import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

from outbox.postgres_server import (
    PATIENCE,
    end_connections,
    shared_server,
    wait_for,
)
from outbox.stores import LEASE, claimed, entry, keyed, later, sequences, settlement
from supertokens_events.outbox import (
    DeliveryState,
    OutboxError,
    OutboxFull,
    OutboxUnavailable,
)
from supertokens_events.outbox.postgres.listener import Notifier
from supertokens_events.outbox.postgres.outbox import PostgresOutbox

# That a process with threads forks is part of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

KINDS = ["postgres"]
SHORT = 0.3
CANARY = "c4nary-p4ssword"


@pytest.fixture
def role(store):
    """Make a role that can log in; dropped at the end with all that it has."""
    made = []

    def role(name, **how):
        store.server.execute(f"CREATE ROLE {name} LOGIN {how.get('options', '')}")
        made.append(name)
        return store.server.url(user=name, password=how.get("password"))

    yield role
    for name in made:
        store.server.execute(f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


class TestVersions:
    def test_fresh(self, store, outbox):
        """A fresh database gets the newest schema."""
        outbox.open()

        assert store.execute("SELECT value FROM meta WHERE key = 'schema_version'") == [(7,)]

    def test_from_the_first(self, store, outbox):
        """A store that version 1 has made is brought up to date; an open breaker stays open, its probes counted right."""
        outbox.open_breaker("crm", failing_for=1.0, probe_in=5.0, reason="503")
        outbox.close()
        store.execute(
            "ALTER TABLE breaker DROP COLUMN detail",
            "DROP TABLE disabled, hook_time, replay, dispatcher, sink, bookmark, told, told_grant",
            "DROP INDEX delivery_settled, delivery_failed",
            "ALTER TABLE delivery DROP COLUMN replayed_at",  # and the index with it
            "CREATE INDEX delivery_schedule ON delivery (sink)",
            "DELETE FROM meta WHERE key = 'sinks'",
            "UPDATE breaker SET probes = 0",
            "UPDATE meta SET value = 1 WHERE key = 'schema_version'",
        )

        breaker = store.connect().breakers()["crm"]

        assert (breaker.probes, breaker.reason, breaker.detail) == (1, "503", {})

    def test_newer(self, store):
        """A store that a newer version has made is refused, and the error says what to do."""
        store.execute("UPDATE meta SET value = 999 WHERE key = 'schema_version'")

        with pytest.raises(
            OutboxError, match=r"has schema version 999, .* knows \d+: upgrade supertokens-events"
        ) as raised:
            store.connect().append([entry()])
        assert not isinstance(raised.value, OutboxUnavailable)

    def test_somebody_elses(self, store, at):
        """A schema of another program is refused and left as it is."""
        store.server.execute("CREATE SCHEMA another CREATE TABLE event (what text)")

        with pytest.raises(OutboxError, match='"event" already exists'):
            at(store.server.url(), schema="another").open()

        tables = store.server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'another'")
        store.server.execute("DROP SCHEMA another CASCADE")
        assert tables == [("event",)]

    def test_beside_the_app(self, store, outbox):
        """Nothing is made outside of the schema, and its name may be any."""
        before = store.server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        odd = store.connect(schema='My "events"; DROP')

        assert odd.append([entry("crm")]) == [1]
        assert claimed(odd.claim("crm", 1, LEASE)) == [1]
        store.server.execute('DROP SCHEMA "My ""events""; DROP" CASCADE')
        assert store.server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == before

    def test_opened_at_once(self, store, in_child):
        """Four processes that open a fresh database at the same moment all succeed."""
        store.server.execute(f"DROP SCHEMA {store.schema} CASCADE")
        moment = time.monotonic() + 0.3

        def open_it():
            while time.monotonic() < moment:
                pass
            PostgresOutbox(store.server.url(), schema=store.schema).open()

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(lambda _: in_child(open_it), range(4))) == ["None"] * 4


class TestAccess:
    """Who may, and what is said to whoever may not."""

    def test_not_allowed(self, store, role, at):
        """A user who may not make the schema hears what to ask for; with a schema of its own it needs nothing more."""
        url = role("visitor")
        outbox = at(url, schema="of_visitor")

        with pytest.raises(OutboxUnavailable, match=r'have .* run: CREATE SCHEMA "of_visitor" AUTHORIZATION "visitor"'):
            outbox.append([entry()])
        store.server.execute("CREATE SCHEMA of_visitor AUTHORIZATION visitor")

        assert outbox.append([entry()]) == [1]

    def test_not_ours(self, store, role, at):
        """A store that belongs to another user is not touched."""
        with pytest.raises(OutboxUnavailable, match=r"cannot be used: .*permission|no schema"):
            at(role("stranger"), schema=store.schema).append([entry()])

    def test_no_such_database(self, store, at):
        """A database that is not there makes the outbox unavailable: it may be made."""
        with pytest.raises(OutboxUnavailable, match='database "nowhere" does not exist'):
            at(store.server.url("nowhere")).append([entry()])

    def test_no_server(self, tmp_path, at):
        """A server that is out of reach is told at once."""
        with pytest.raises(OutboxUnavailable, match="cannot be used: "):
            at(f"postgresql://somebody@/app?host={tmp_path}").append([entry()])

    def test_too_many(self, role, at):
        """A server that takes no more connections makes the outbox unavailable, and says what helps."""
        with pytest.raises(OutboxUnavailable, match=r"too many connections .*; raise the server's max_connections"):
            at(role("crowd", options="CONNECTION LIMIT 0")).append([entry()])

    def test_standby(self, store, role, at):
        """A server that may only be read makes the outbox unavailable, and says so."""
        url = role("reader")
        outbox = at(url, schema="of_reader")
        store.server.execute("CREATE SCHEMA of_reader AUTHORIZATION reader")
        outbox.append([entry()])
        store.server.execute("ALTER ROLE reader SET default_transaction_read_only = on")
        end_connections(store.server)

        with pytest.raises(OutboxUnavailable, match=r"read-only transaction; it looks like a standby"):
            outbox.append([entry()])

    def test_password(self, role, at, logged):
        """A wrong password is told with what to check, and repeated nowhere: not in the error, not where it came from, not
        in a text of the outbox, not in the log.
        """
        url = role("guarded", options="PASSWORD 'right'", password=CANARY)
        outbox = at(url)
        end = outbox.listen(lambda: None)

        with pytest.raises(
            OutboxUnavailable, match=r"password authentication failed.*; check the user and the password"
        ) as raised:
            outbox.append([entry()])
        end()

        told = "".join(traceback.format_exception(raised.value)) + repr(outbox) + repr(outbox.address) + outbox.name
        assert CANARY not in told + logged() + str(vars(outbox))

    @pytest.mark.parametrize(
        "url", [f"postgresql://u:{CANARY}@h/d?{CANARY}=1", f"postgresql://u:{CANARY}%zz@h/d", f"password={CANARY} x"]
    )
    def test_no_url(self, url):
        """What is no URL is refused with an example of one, and is not repeated."""
        with pytest.raises(ValueError, match=r"expected 'postgresql://") as raised:
            PostgresOutbox(url)
        assert CANARY not in "".join(traceback.format_exception(raised.value))


class TestTogether:
    """Many at once."""

    def test_one_of_a_key_at_a_time(self, store):
        """Four threads on each of two outboxes never hold two of one key, nor one delivery twice, and keep every key's order."""
        outboxes = [store.connect(), store.connect()]
        outboxes[0].append([keyed("crm", f"u{n % 7}", tenant_id=f"t{n % 3}") for n in range(140)])
        keys = {n + 1: f"u{n % 7}" for n in range(140)}
        held, order, lock = {}, defaultdict(list), threading.Lock()
        deadline = time.monotonic() + PATIENCE * 3

        def dispatch(outbox):
            while sum(map(len, order.values())) < len(keys) and time.monotonic() < deadline:
                claims = outbox.claim("crm", 3, LEASE)
                with lock:
                    for claim in claims:
                        key = keys[claim.delivery.sequence]
                        assert key not in held, f"two of {key}"
                        held[key] = claim.id
                        order[key].append(claim.delivery.sequence)
                with lock:
                    for claim in claims:
                        del held[keys[claim.delivery.sequence]]
                assert outbox.settle([settlement(claim) for claim in claims]) == len(claims)

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(dispatch, outboxes * 4))

        assert sorted(n for numbers in order.values() for n in numbers) == sorted(keys)
        assert all(numbers == sorted(numbers) for numbers in order.values())

    def test_two_processes(self, store, outbox, in_child):
        """Two processes that claim at once get every delivery once."""
        outbox.append([entry("crm", tenant_id=f"t{n % 5}") for n in range(200)])

        def take_all():
            taken = []
            while claims := outbox.claim("crm", 7, LEASE):
                taken += claimed(claims)
            return taken

        with ThreadPoolExecutor(1) as thread:
            ours = thread.submit(take_all)
            theirs = json.loads(in_child(take_all))

        assert sorted(ours.result() + theirs) == list(range(1, 201))

    def test_reader_misses_nothing(self, store, outbox):
        """Whoever reads on after the last sequence it saw sees every event, however many processes store."""
        writers = [store.connect() for _ in range(4)]
        seen = []

        def write(writer):
            for _ in range(25):
                writer.append([entry(), entry()])

        with ThreadPoolExecutor(4) as threads:
            writing = [threads.submit(write, writer) for writer in writers]
            while not all(future.done() for future in writing) or len(seen) < 200:
                seen += [event.sequence for event in outbox.events(after=seen[-1] if seen else 0)]
                [future.result() for future in writing if future.done()]

        assert seen == list(range(1, 201))

    def test_behind_a_key_that_waits(self, store, outbox):
        """Those behind a delivery that waits are marked once, and keep up neither a look nor a claim."""
        outbox.append([keyed("crm", "u1") for _ in range(30)] + [entry("crm")])
        first, other = outbox.claim("crm", 10, LEASE)
        outbox.settle([later(first, 300), settlement(other)])

        assert outbox.look("crm").due_in == pytest.approx(300, abs=5)
        assert store.execute("SELECT count(*) FROM delivery WHERE blocked") == [(29,)]
        store.advance(300)
        (first,) = outbox.claim("crm", 10, LEASE)
        outbox.settle([settlement(first)])
        assert store.execute("SELECT count(*) FROM delivery WHERE blocked") == [(28,)]
        assert claimed(outbox.claim("crm", 10, LEASE)) == [2]

    def test_closed_under_way(self, store, outbox):
        """Closing while others store costs none of their calls, and leaves no connection behind."""
        done = threading.Event()

        def write():
            stored = []
            while not done.is_set():
                stored += outbox.append([entry()])
            return stored

        with ThreadPoolExecutor(4) as threads:
            writing = [threads.submit(write) for _ in range(4)]
            for _ in range(20):
                outbox.close()
            done.set()
            stored = [number for future in writing for number in future.result()]

        assert sorted(stored) == sequences(outbox)


class TestFork:
    def test_parents_connection(self, outbox, in_child):
        """A child neither uses nor ends its parent's connections."""
        ours = outbox._run(lambda connection: connection.info.backend_pid)

        theirs = in_child(lambda: outbox._run(lambda connection: connection.info.backend_pid))

        assert int(theirs) != ours
        assert outbox._run(lambda connection: connection.info.backend_pid) == ours

    def test_without_hooks(self, outbox, in_child):
        """Where the hooks of a fork are not run, the next call finds out."""
        outbox.append([entry()])
        parent = outbox._process

        assert in_child(lambda: setattr(outbox, "_process", parent) or outbox.append([entry()])) == "[2]"

    def test_listening(self, store, outbox, in_child):
        """A child that ends what its parent began ends nothing of it."""
        heard = threading.Event()
        end = store.connect().listen(heard.set)
        wait_for(lambda: store.server.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"))

        assert in_child(lambda: end() or outbox.append([entry()])) == "[1]"
        assert heard.wait(PATIENCE) or outbox.append([entry()])
        heard.clear()
        outbox.append([entry()])
        assert heard.wait(PATIENCE)
        end()


class TestListening:
    def listening(self, store):
        query = f"SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN \"{store.schema}\"'"
        return wait_for(lambda: store.server.execute(query))[0][0]

    def test_others(self, store, outbox):
        """What another outbox has stored is heard of; what the same one has stored is not news."""
        heard = threading.Event()
        end = outbox.listen(heard.set)
        self.listening(store)

        outbox.append([entry()])
        assert not heard.wait(0.2)
        store.connect().append([entry()])
        assert heard.wait(PATIENCE)
        end()

    def test_after_its_end(self, store, outbox):
        """Nothing is heard once it has ended, and the connection is given back."""
        heard = threading.Event()
        end = outbox.listen(heard.set)
        pid = self.listening(store)
        end()
        store.connect().append([entry()])

        assert not heard.wait(0.2)
        wait_for(lambda: not store.server.execute(f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"))

    def test_connection_lost(self, store, outbox):
        """A lost connection is made again; what was missed meanwhile is taken for something."""
        heard = threading.Event()
        end = outbox.listen(heard.set)
        pid = self.listening(store)

        store.server.execute(f"SELECT pg_terminate_backend({pid}, 5000)")

        assert heard.wait(PATIENCE)
        heard.clear()
        store.connect().append([entry()])
        assert heard.wait(PATIENCE)
        end()

    def test_who_raises(self, store, outbox, logged):
        """What is told and raises is told again."""
        calls = []

        def stored():
            calls.append(1)
            raise ValueError(CANARY)

        end = outbox.listen(stored)
        self.listening(store)
        for n in range(2):
            store.connect().append([entry()])
            wait_for(lambda n=n: len(calls) > n)
        end()

        assert "ValueError" in logged()
        assert CANARY not in logged()

    def test_seldom(self):
        """Whatever is stored within a pause is told once, at its end; the first at once, the last always."""
        told = []
        notifier = Notifier(lambda: told.append(time.monotonic()))
        start = time.monotonic()
        while time.monotonic() < start + 0.3:
            notifier.poke()
            last = time.monotonic()
        wait_for(lambda: told[-1] > last)

        assert told[0] - start < 0.2
        assert 2 <= len(told) <= 8

    def test_exit(self, store):
        """A process that listens and stores ends when it is done, and says nothing."""
        code = (
            "import sys; from supertokens_events.outbox import Entry; from supertokens_events.testing import sample_event\n"
            "from supertokens_events.outbox.postgres.outbox import PostgresOutbox\n"
            "outbox = PostgresOutbox(sys.argv[1], schema=sys.argv[2]); outbox.listen(lambda: None); event = sample_event()\n"
            "print(outbox.append([Entry(event, event.to_bytes())]))"
        )
        command = [sys.executable, "-W", "error", "-c", code, store.server.url(), store.schema]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

        assert (done.returncode, done.stdout, done.stderr) == (0, "[1]\n", "")


class TestFull:
    def fill(self, outbox, count):
        return outbox.append([entry("crm", data={"large": os.urandom(500).hex()}) for _ in range(count)])

    def test_oldest_done_go(self, store):
        """A full outbox that may drop what every sink has drops the oldest of that, and counts it."""
        outbox = store.connect(max_size=300_000, when_full="drop_oldest_done")
        self.fill(outbox, 100)
        claims = outbox.claim("crm", 100, LEASE)
        kept = claims.pop()
        outbox.settle([settlement(claim) for claim in claims])

        for _ in range(3):
            self.fill(outbox, 30)

        left = sequences(outbox)
        assert left[0] == kept.delivery.sequence
        assert len(left) == 91
        assert [(line.reason, line.count) for line in outbox.ledger()] == [("dropped", 99)]
        assert outbox.settle([settlement(kept)]) == 1

    def test_nothing_to_drop(self, store):
        """What some sink still waits for is never dropped: the outbox is full."""
        outbox = store.connect(max_size=100_000, when_full="drop_oldest_done")
        self.fill(outbox, 30)

        with pytest.raises(OutboxFull, match="max_size is 100,000"):
            self.fill(outbox, 60)
        assert len(outbox.deliveries(state=DeliveryState.PENDING)) == 30

    def test_room_again(self, store):
        """An outbox that was full takes events again once there is less in it, though no file has shrunk."""
        first = store.connect(max_size=300_000)
        self.fill(first, 100)
        claims = first.claim("crm", 100, LEASE)
        with pytest.raises(OutboxFull):
            self.fill(first, 90)
        first.settle([settlement(claim) for claim in claims])
        size = first.counts()[1]
        store.execute("DELETE FROM attempt", "DELETE FROM delivery", "DELETE FROM event")
        wait_for(
            lambda: (
                store.execute(
                    "SELECT n_live_tup FROM pg_stat_user_tables WHERE relname = 'event' AND schemaname = current_schema()"
                )
                == [(0,)]
            )
        )

        assert self.fill(store.connect(max_size=300_000), 50)[-1] == 150
        assert first.counts()[1] >= size


def test_nothing_left_over():
    """Nobody but us is connected to the shared server between tests."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    wait_for(lambda: shared_server().execute(others) == [(0,)])
