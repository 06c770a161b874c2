"""What may go wrong between us and PostgreSQL: its errors, lost connections, restarts, and another server in its place."""

import signal
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from outbox.postgres_server import PATIENCE, PostgresServer, end_connections, locked, wait_for
from outbox.stores import LEASE, claimed, entry, later, sequences, settlement
from supertokens_events.ledger import Reason
from supertokens_events.outbox import OutboxError, OutboxUnavailable
from supertokens_events.outbox.postgres import append as postgres_append
from supertokens_events.outbox.postgres import schema as postgres_schema

# That a process with threads forks is part of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

KINDS = ["postgres"]
SHORT = 0.3
CANARY = "c4nary-p4ssword"


@pytest.fixture(scope="module")
def victim():
    """A server for those tests that stop it. They leave it running."""
    server = PostgresServer()
    yield server
    server.remove()


class TestTrouble:
    """What goes wrong on the server."""

    @pytest.mark.parametrize(
        ("state", "kind"),
        [
            *((state, OutboxUnavailable) for state in ("53100", "53200", "57014", "40P01", "58030", "57P03")),
            *((state, OutboxError) for state in ("XX001", "22000", "23514")),
        ],
    )
    def test_by_its_code(self, store, outbox, state, kind):
        """What may pass makes the outbox unavailable, such as a full disk; what does not is an error. Nothing is stored."""
        store.execute(
            "CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'in trouble' USING ERRCODE = '{state}', DETAIL = 'somebody@example.com'; END $$",
            "CREATE TRIGGER trouble BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION trouble()",
        )

        with pytest.raises(kind, match="cannot be used: in trouble") as raised:
            outbox.append([entry()])
        assert type(raised.value) is kind
        assert "somebody" not in "".join(traceback.format_exception(raised.value))

        store.execute("DROP TRIGGER trouble ON event")
        assert outbox.append([entry()]) == [1]

    def test_locked(self, store):
        """A lock that somebody else holds makes the outbox unavailable, told within the patience; afterwards it goes on."""
        outbox = store.connect(busy_timeout=SHORT)
        outbox.open()

        with locked(store.server, store.schema, "event"):
            start = time.monotonic()
            with pytest.raises(OutboxUnavailable, match="timeout"):
                outbox.append([entry()])
            assert SHORT <= time.monotonic() - start < SHORT + 3

        assert outbox.append([entry()]) == [1]

    def test_all_busy(self, store):
        """When every connection is busy for longer than the patience the outbox is unavailable, and then usable again."""
        outbox = store.connect(busy_timeout=SHORT, connections=1)

        with outbox._connections().one():
            start = time.monotonic()
            with pytest.raises(OutboxUnavailable, match=r"its 1 connections were all busy for 0\.3 s"):
                outbox.append([entry()])
            assert SHORT <= time.monotonic() - start < SHORT + 3

        assert outbox.append([entry()]) == [1]

    def test_no_more_connections_than_allowed(self, store):
        """Sixteen threads share the connections that there are."""
        outbox = store.connect(connections=3)
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(lambda _: outbox.append([entry()]), range(48)))

        ours = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        assert (
            1
            <= outbox._run(lambda connection: connection.execute(ours + " AND query LIKE '%counter%'").fetchone())[0]
            <= 3
        )

    @pytest.mark.parametrize("field", ["user_id", "tenant_id", "correlation_id"])
    def test_text_that_cannot_be_stored(self, outbox, field):
        """A text that PostgreSQL cannot hold is an OutboxError, which callers know, and costs nothing else."""
        with pytest.raises(OutboxError, match="cannot hold a value") as raised:
            outbox.append([entry(), entry(**{field: "somebody\0"})])
        assert not isinstance(raised.value, OutboxUnavailable)
        assert "somebody" not in str(raised.value)

        assert outbox.append([entry()]) == [1]

    def test_what_a_receiver_said(self, outbox):
        """An outcome is written down whatever the receiver has said."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)

        assert outbox.settle([later(claim, 0)._replace(reason="a\0b", detail={"said": "\0 \ud800"})]) == 1

        (delivery,) = outbox.deliveries()
        assert (delivery.reason, delivery.attempts[0].detail) == ("a\ufffdb", {"said": "\0 \ud800"})

    def test_error_without_values(self, outbox):
        """An error of the store never repeats what was to be stored, nor does what it came from."""
        stored = entry("crm", "crm", user_id="somebody@example.com")

        with pytest.raises(OutboxError, match="duplicate key") as raised:
            outbox.append([stored])

        told = "".join(traceback.format_exception(raised.value))
        assert "somebody" not in told
        assert stored.event.id not in told


class TestLostConnections:
    def test_between_calls(self, store, outbox):
        """Connections that were ended while nobody used them are noticed before anything is sent."""
        outbox.append([entry("crm")])
        assert end_connections(store.server) > 0

        assert outbox.append([entry("crm")]) == [2]
        assert claimed(outbox.claim("crm", 5, LEASE)) == [1, 2]

    @pytest.mark.parametrize("call", ["append", "claim", "settle"])
    def test_in_the_middle(self, store, outbox, call):
        """A connection that is lost in the middle of a call makes the outbox unavailable; the call, made again, is done once."""
        outbox.append([entry("crm")])
        claims = outbox.claim("crm", 1, LEASE) if call == "settle" else []
        new = entry("crm")
        calls = {
            "append": lambda: outbox.append([new]),
            "claim": lambda: len(outbox.claim("crm", 5, LEASE)),
            "settle": lambda: outbox.settle([settlement(claim) for claim in claims]),
        }

        with ThreadPoolExecutor(1) as thread, locked(store.server, store.schema, "delivery"):
            doomed = thread.submit(calls[call])
            waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%delivery%'"
            wait_for(lambda: store.server.execute(waiting))
            wait_for(
                lambda: end_connections(store.server, "%delivery d%") or end_connections(store.server, "%counter%")
            )
            with pytest.raises(OutboxUnavailable):
                doomed.result(PATIENCE)

        assert calls[call]() == {"append": [2], "claim": 1, "settle": 1}[call]
        assert sequences(outbox) == ([1, 2] if call == "append" else [1])

    def test_answer_lost(self, outbox, monkeypatch):
        """An append whose commit took place though the connection was lost is not stored twice, and not lost."""
        whole = postgres_append.append

        def append_without_an_answer(connection, entries):
            whole(connection, entries)
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        batch = [entry("crm"), entry("crm")]
        monkeypatch.setattr(postgres_append, "append", append_without_an_answer)
        with pytest.raises(OutboxUnavailable):
            outbox.append(batch)
        monkeypatch.undo()

        assert outbox.append(batch) == [1, 2]
        assert outbox.append([entry(), batch[1], entry(), batch[0]]) == [3, 2, 4, 1]
        assert sequences(outbox) == [1, 2, 3, 4]
        assert len(outbox.deliveries()) == 2

    def test_restart(self, victim, at):
        """A server that restarts makes the outbox unavailable meanwhile; what was stored is there, leases hold."""
        outbox = at(victim.url(), schema="restarted")
        outbox.append([entry("crm"), entry("crm")])
        (held,) = outbox.claim("crm", 1, LEASE)

        victim.stop()
        for call in (lambda: outbox.append([entry()]), lambda: outbox.claim("crm", 1, LEASE), outbox.status):
            with pytest.raises(OutboxUnavailable):
                call()
        victim.start()

        assert outbox.append([entry()]) == [3]
        assert claimed(outbox.claim("crm", 5, LEASE)) == [2]
        assert outbox.settle([settlement(held)]) == 1

    def test_crash(self, victim, at):
        """A server that crashed under way goes on with what it had committed."""
        outbox = at(victim.url(), schema="crashed")
        with ThreadPoolExecutor(1) as thread:
            stored = []
            writer = thread.submit(lambda: [stored.extend(outbox.append([entry()])) for _ in range(100_000)])
            wait_for(lambda: len(stored) > 20)
            victim.stop(signal.SIGQUIT)
            with pytest.raises(OutboxUnavailable):
                writer.result(PATIENCE)
        victim.start()

        assert sequences(outbox)[: len(stored)] == stored
        assert outbox.append([entry()])[0] in (len(stored) + 1, len(stored) + 2)

    def test_frozen(self, victim, at):
        """A server that hangs keeps a call no longer than the patience and a little; what it did in the end is not done twice."""
        outbox = at(victim.url(), schema="frozen", busy_timeout=SHORT)
        outbox.append([entry()])
        batch = [entry(), entry()]

        go_on = victim.freeze()
        start = time.monotonic()
        try:
            with pytest.raises(OutboxUnavailable, match=r"does not answer|timeout expired"):
                outbox.append(batch)
            waited = time.monotonic() - start
        finally:
            go_on()

        assert waited < SHORT + 4
        deadline = time.monotonic() + PATIENCE
        while True:  # the first try may still be under way
            try:
                assert outbox.append(batch) == [2, 3]
            except OutboxUnavailable:
                assert time.monotonic() < deadline
            else:
                break
        assert sequences(outbox) == [1, 2, 3]


class TestAnotherInItsPlace:
    """What a failover may bring: a server without the last events, or with nothing at all."""

    def damage(self, outbox):
        return [(count.reason, count.count) for count in outbox.ledger() if count.reason == Reason.OUTBOX_DAMAGED]

    def test_empty(self, victim, at, logged):
        """An empty server is made a store, loudly; sequences go on, so that no reader misses anything."""
        outbox = at(victim.url(), schema="replaced")
        outbox.append([entry("crm") for _ in range(5)])
        claims = outbox.claim("crm", 5, LEASE)

        victim.replace()

        assert outbox.settle([settlement(claim) for claim in claims]) == 0
        assert outbox.append([entry("crm")]) == [6]
        assert self.damage(outbox) == [("outbox_damaged", 1)]
        assert logged().count("The outbox has lost events") == 1
        assert claimed(outbox.claim("crm", 5, LEASE)) == [6]

    def test_dropped(self, store, outbox, logged):
        """Tables that vanish under open connections are made anew, loudly."""
        outbox.append([entry("crm"), entry("crm")])

        store.server.execute(f"DROP SCHEMA {store.schema} CASCADE")

        assert outbox.append([entry("crm")]) == [3]
        assert self.damage(outbox) == [("outbox_damaged", 1)]
        assert logged().count("The outbox has lost events") == 1

    def test_behind_a_pool(self, store, outbox):
        """A connection that has lost its settings, as behind a pool, is an error; nothing is made elsewhere."""
        outbox.append([entry()])
        with outbox._connections().one() as connection:
            connection.execute("RESET ALL")

        with pytest.raises(OutboxUnavailable, match="does not keep its settings, as behind a pool in transaction"):
            outbox.append([entry()])

        assert store.server.execute("SELECT to_regclass('public.meta')") == [(None,)]
        assert self.damage(store.connect()) == []

    def test_database_dropped(self, store, at, logged):
        """A database that is dropped makes the outbox unavailable until there is one of that name."""
        store.server.execute("CREATE DATABASE passing")
        outbox = at(store.server.url("passing"))
        outbox.append([entry(), entry()])

        store.server.execute("DROP DATABASE passing WITH (FORCE)")
        with pytest.raises(OutboxUnavailable, match='"passing" does not exist; create that database'):
            outbox.append([entry()])
        store.server.execute("CREATE DATABASE passing")

        assert outbox.append([entry()]) == [3]
        assert "The outbox has lost events" in logged()
        outbox.close()
        store.server.execute("DROP DATABASE passing WITH (FORCE)")

    def test_behind(self, store, outbox, logged):
        """A server that lacks the last events gives their sequences to no others."""
        outbox.append([entry() for _ in range(5)])
        store.execute("DELETE FROM event WHERE sequence > 3", "UPDATE meta SET value = 3 WHERE key = 'sequence'")
        end_connections(store.server)

        assert outbox.append([entry()]) == [6]
        assert self.damage(outbox) == [("outbox_damaged", 1)]

    def test_opened_meanwhile(self, outbox, monkeypatch):
        """A connection that is opened while another one stores finds nothing amiss."""
        facts = postgres_schema._facts

        def then_store(connection):
            found = facts(connection)
            outbox._process.schema.saw(found["sequence"] + 10)
            return found

        outbox.append([entry()])
        monkeypatch.setattr(postgres_schema, "_facts", then_store)
        with outbox._connections().one(), outbox._connections().one():
            pass

        assert self.damage(outbox) == []

    def test_nothing_to_tell(self, store, outbox, logged):
        """Other connections, outboxes, processes and restarts of ours are no damage."""
        outbox.append([entry()])
        store.connect().append([entry()])
        end_connections(store.server)
        outbox.append([entry()])

        assert self.damage(outbox) == []
        assert "lost" not in logged()
