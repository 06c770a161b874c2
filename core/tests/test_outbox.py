"""The outbox: one suite of what every store promises, and what only the SQLite file has to stand."""

import json
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from supertokens_events.event import Event, with_sequence
from supertokens_events.ledger import LedgerKey, Reason
from supertokens_events.outbox import (
    DeliveryState,
    Entry,
    LedgerCount,
    NewDelivery,
    OutboxError,
    OutboxUnavailable,
    Settlement,
    SqliteOutbox,
    open_outbox,
)
from supertokens_events.testing import FakeClock, sample_event

# That a process with threads forks is part of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

LEASE = 60.0
PATIENCE = 5.0


class SqliteStore:
    """How the contract's tests come to a store: a file of its own, any number of outboxes on it."""

    def __init__(self, folder, clock):
        self.path = folder / "events.db"
        self.clock = clock
        self.opened = []

    def connect(self):
        outbox = SqliteOutbox(self.path, clock=self.clock)
        self.opened.append(outbox)
        return outbox

    def close(self):
        for outbox in self.opened:
            outbox.close()


STORES = {"sqlite": SqliteStore}


@pytest.fixture(params=STORES)
def store(request, tmp_path, clock):
    store = STORES[request.param](tmp_path, clock)
    yield store
    store.close()


@pytest.fixture
def outbox(store):
    return store.connect()


def entry(*sinks, **fields):
    """An event, due for each of ``sinks``: names, or whole deliveries."""
    event = sample_event(**fields)
    deliveries = [NewDelivery(sink) if isinstance(sink, str) else sink for sink in sinks]
    return Entry(event, event.to_bytes(), deliveries)


def settlement(claim, state=DeliveryState.DONE, *, outcome="delivered", used=None, due_at=0.0, reason=None, **detail):
    used = claim.used + 1 if used is None else used
    return Settlement(claim, state, outcome, used, due_at, started_at=1.0, duration=0.5, reason=reason, detail=detail)


def later(claim, due_at, **changes):
    return settlement(claim, DeliveryState.PENDING, outcome="retry", due_at=due_at, reason="503", **changes)


def sequences(outbox):
    return [event.sequence for event in outbox.events(after=0, limit=100_000)]


class TestContract:
    """What every store promises."""

    # Append and claim

    def test_claim(self, outbox):
        """A stored event is claimed for each of its sinks, with its bytes and its place in the outbox."""
        stored = entry("crm", "audit", tenant_id="t1", user_id="u1")

        assert outbox.append([stored]) == [1]
        (claim,) = outbox.claim("crm", 10, LEASE)

        assert claim.used == 0
        delivery = claim.delivery
        assert (delivery.sink, delivery.event_id, delivery.event_type) == ("crm", stored.event.id, "user.created")
        assert (delivery.sequence, delivery.tenant_id, delivery.user_id, delivery.attempt) == (1, "t1", "u1", 1)
        assert delivery.body == with_sequence(stored.body, 1)
        assert delivery.event.sequence == 1
        assert [claim.delivery.sink for claim in outbox.claim("audit", 10, LEASE)] == ["audit"]

    def test_one_holder(self, outbox, store):
        """What one dispatcher has claimed no other gets."""
        outbox.append([entry("crm")])

        assert len(outbox.claim("crm", 10, LEASE)) == 1
        assert store.connect().claim("crm", 10, LEASE) == []

    def test_oldest_first(self, outbox, clock):
        """Claims come oldest first, as many as are asked for."""
        for _ in range(3):
            outbox.append([entry("crm")])
            clock.advance(1)

        assert [claim.delivery.sequence for claim in outbox.claim("crm", 2, LEASE)] == [1, 2]
        assert [claim.delivery.sequence for claim in outbox.claim("crm", 2, LEASE)] == [3]

    @pytest.mark.parametrize("state", [DeliveryState.SKIPPED, DeliveryState.DEAD])
    def test_stored_without_being_due(self, outbox, state):
        """A delivery may be stored as skipped or dead, with its reason: it is kept, and never claimed."""
        outbox.append([entry(NewDelivery("crm", state, "the sink is turned off"))])

        assert outbox.claim("crm", 10, LEASE) == []
        assert outbox.next_due("crm") is None
        (delivery,) = outbox.deliveries()
        assert (delivery.state, delivery.reason) == (state, "the sink is turned off")

    def test_nobody_wants_it(self, outbox):
        """An event without deliveries is stored all the same."""
        assert outbox.append([entry()]) == [1]
        assert outbox.deliveries() == []
        assert outbox.counts()[0] == 1

    def test_empty(self, outbox):
        """Appending nothing takes no sequence."""
        assert outbox.append([]) == []
        assert outbox.append([entry()]) == [1]

    def test_all_or_nothing(self, outbox):
        """One entry that cannot be stored keeps the whole call out, and leaves no gap behind."""
        known = entry("crm")
        outbox.append([known])

        with pytest.raises(OutboxError):
            outbox.append([entry("crm"), known, entry("crm")])

        assert sequences(outbox) == [1]
        assert outbox.append([entry()]) == [2]

    def test_one_delivery_a_sink(self, outbox):
        """An event has at most one delivery to a sink."""
        with pytest.raises(OutboxError):
            outbox.append([entry("crm", "crm")])

        assert outbox.counts()[0] == 0

    def test_any_bytes(self, outbox):
        """A body is kept byte for byte, whatever text is in it."""
        stored = entry("crm", data={"name": "Zoë \0 \ud800 🜁"}, user_id="ü\ud800")

        outbox.append([stored])

        assert outbox.event(stored.event.id).body == with_sequence(stored.body, 1)
        assert outbox.events(user_id="ü?")[0].id == stored.event.id

    # Sequences

    def test_no_gaps(self, outbox, store):
        """Sequences increase by one over calls, batches and outboxes on the same store."""
        other = store.connect()
        given = outbox.append([entry(), entry()]) + other.append([entry()]) + outbox.append([entry()] * 1)

        assert given == [1, 2, 3, 4]
        assert sequences(outbox) == given

    def test_threads(self, outbox):
        """Eight threads that append at once get every sequence once."""
        with ThreadPoolExecutor(8) as threads:
            calls = list(threads.map(lambda _: outbox.append([entry("crm"), entry("crm")]), range(80)))

        assert sorted(number for call in calls for number in call) == list(range(1, 161))
        assert all(second == first + 1 for first, second in calls)

    def test_threads_that_claim(self, outbox, store):
        """Four dispatchers that claim at once never share a delivery."""
        outbox.append([entry("crm") for _ in range(60)])
        dispatchers = [store.connect() for _ in range(4)]

        def take(dispatcher):
            taken = []
            while claims := dispatcher.claim("crm", 3, LEASE):
                taken += [claim.id for claim in claims]
            return taken

        with ThreadPoolExecutor(4) as threads:
            taken = [number for part in threads.map(take, dispatchers) for number in part]

        assert len(taken) == len(set(taken)) == 60

    # Settling

    def test_done(self, outbox):
        """A delivery that is done is not due again; its attempt is kept with what the sink said."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)

        assert outbox.settle([settlement(claim, status=200)]) == 1

        (delivery,) = outbox.deliveries()
        assert (delivery.state, delivery.used) == (DeliveryState.DONE, 1)
        (attempt,) = delivery.attempts
        assert (attempt.number, attempt.outcome, attempt.reason) == (1, "delivered", None)
        assert (attempt.started_at, attempt.duration, attempt.detail) == (1.0, 0.5, {"status": 200})
        assert outbox.next_due("crm") is None

    def test_later(self, outbox, clock):
        """A delivery that is to be retried waits until its time, then comes with the next attempt."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)
        outbox.settle([later(claim, clock() + 5)])

        clock.advance(4.9)
        assert outbox.claim("crm", 1, LEASE) == []
        clock.advance(0.1)
        (again,) = outbox.claim("crm", 1, LEASE)

        assert (again.used, again.delivery.attempt) == (1, 2)
        assert again.delivery.body == claim.delivery.body

    def test_dead(self, outbox, clock):
        """A dead letter is kept with its reason, and never due."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)
        outbox.settle([settlement(claim, DeliveryState.DEAD, outcome="rejected", reason="gone")])

        clock.advance(10 * LEASE)
        assert outbox.claim("crm", 1, LEASE) == []
        (delivery,) = outbox.deliveries(state=DeliveryState.DEAD)
        assert (delivery.reason, delivery.attempts[0].reason) == ("gone", "gone")

    def test_uncounted(self, outbox, clock):
        """Tries are numbered one by one, also those that use up no attempt."""
        outbox.append([entry("crm")])
        for used in (0, 0, 1):
            (claim,) = outbox.claim("crm", 1, LEASE)
            outbox.settle([later(claim, clock(), used=used)])

        (claim,) = outbox.claim("crm", 1, LEASE)
        (delivery,) = outbox.deliveries()

        assert (claim.used, claim.delivery.attempt) == (1, 4)
        assert [attempt.number for attempt in delivery.attempts] == [1, 2, 3]

    def test_fencing(self, outbox, clock):
        """What the holder of an ended lease writes changes nothing: the delivery is the next one's."""
        outbox.append([entry("crm")])
        (late,) = outbox.claim("crm", 1, LEASE)
        clock.advance(LEASE)
        (held,) = outbox.claim("crm", 1, LEASE)

        assert outbox.settle([settlement(late, DeliveryState.DEAD, outcome="rejected", reason="late")]) == 0
        outbox.release([late])

        assert outbox.claim("crm", 1, LEASE) == []
        assert outbox.settle([settlement(held)]) == 1
        (delivery,) = outbox.deliveries()
        assert (delivery.state, len(delivery.attempts)) == (DeliveryState.DONE, 1)

    def test_settled_once(self, outbox):
        """An outcome that is written twice counts once."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)

        assert outbox.settle([settlement(claim), settlement(claim)]) == 1
        assert outbox.settle([settlement(claim)]) == 0

    def test_some_still_held(self, outbox, clock):
        """In one call those that are still held are settled, the others are not."""
        outbox.append([entry("crm"), entry("crm")])
        first, second = outbox.claim("crm", 2, LEASE)
        outbox.settle([settlement(first)])

        assert outbox.settle([settlement(first), settlement(second)]) == 1
        assert {delivery.state for delivery in outbox.deliveries()} == {DeliveryState.DONE}

    # Leases

    def test_lease(self, outbox, clock):
        """A claim holds for its lease; a dispatcher that dies gives it back by itself, with no attempt used."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)

        clock.advance(LEASE - 0.1)
        assert outbox.claim("crm", 1, LEASE) == []
        clock.advance(0.1)
        (again,) = outbox.claim("crm", 1, LEASE)

        assert again.fence > claim.fence
        assert (again.used, again.delivery.attempt) == (0, 1)

    def test_erased(self, outbox):
        """An event whose payload was erased goes nowhere any more, and stands in no other's way."""
        outbox.append([entry("crm"), entry("crm")])
        with sqlite3.connect(outbox.path) as connection:
            connection.execute("UPDATE event SET payload = NULL WHERE sequence = 1")
        connection.close()

        (claim,) = outbox.claim("crm", 10, LEASE)

        assert claim.delivery.sequence == 2
        assert [(d.state, d.reason) for d in outbox.deliveries(state=DeliveryState.DEAD)] == [("dead", "erased")]

    def test_release(self, outbox):
        """What is released is due at once, and no attempt is used."""
        outbox.append([entry("crm")])
        outbox.release(outbox.claim("crm", 1, LEASE))

        (again,) = outbox.claim("crm", 1, LEASE)

        assert (again.used, again.delivery.attempt) == (0, 1)
        (delivery,) = outbox.deliveries()
        assert delivery.attempts == ()

    def test_release_of_what_is_done(self, outbox):
        """Releasing what was settled does not make it due again."""
        outbox.append([entry("crm")])
        claims = outbox.claim("crm", 1, LEASE)
        outbox.settle([settlement(claims[0])])

        outbox.release(claims)

        assert outbox.claim("crm", 1, LEASE) == []

    def test_next_due(self, outbox, clock):
        """The next due time is the earliest of a sink's pending deliveries; of a claimed one it is the lease's end."""
        assert outbox.next_due("crm") is None
        outbox.append([entry("crm"), entry("audit")])
        assert outbox.next_due("crm") == clock()

        (claim,) = outbox.claim("crm", 1, LEASE)
        assert outbox.next_due("crm") == clock() + LEASE
        assert outbox.next_due("audit") == clock()

        outbox.settle([later(claim, clock() + 5)])
        assert outbox.next_due("crm") == clock() + 5

    # Ledger

    def test_ledger(self, outbox, clock):
        """Counts add up under reason, subject and type, with the first and the last time."""
        filtered = LedgerKey(Reason.FILTERED, "gdpr", "user.created")
        outbox.record({filtered: 2, LedgerKey(Reason.LOST, "", "user.created"): 1})
        first = clock()
        clock.advance(60)
        outbox.record({filtered: 3})

        latest, lost = outbox.ledger()

        assert latest == LedgerCount("filtered", "gdpr", "user.created", 5, first, first + 60)
        assert lost == LedgerCount("lost", "", "user.created", 1, first, first)

    # Reading

    def test_event(self, outbox, clock):
        """An event is found by its id, as it was stored."""
        stored = entry(user_id="u1", tenant_id="t1", correlation_id="c1")
        outbox.append([stored])

        event = outbox.event(stored.event.id)

        assert Event.from_bytes(event.body) == stored.event.model_copy(update={"sequence": 1})
        assert (event.sequence, event.type, event.stored_at) == (1, "user.created", clock())
        assert (event.user_id, event.tenant_id, event.correlation_id) == ("u1", "t1", "c1")
        assert event.timestamp == json.loads(event.body)["timestamp"]
        assert outbox.event("evt_none") is None

    def test_events(self, outbox):
        """Events are read in order: the latest, or those after a sequence, from the very first on."""
        outbox.append([entry() for _ in range(5)])

        def read(**which):
            return [event.sequence for event in outbox.events(**which)]

        assert read() == [1, 2, 3, 4, 5]
        assert read(limit=2) == [4, 5]
        assert read(after=0, limit=2) == [1, 2]
        assert read(after=3) == [4, 5]
        assert read(after=5) == []

    def test_events_of(self, outbox):
        """Events are read by type and by user."""
        outbox.append([entry(user_id="u1"), entry(event_type="session.created", user_id="u1"), entry(user_id="u2")])

        assert [event.sequence for event in outbox.events(event_type="session.created")] == [2]
        assert [event.sequence for event in outbox.events(user_id="u1")] == [1, 2]
        assert [event.sequence for event in outbox.events(user_id="u1", after=1)] == [2]

    def test_deliveries_of(self, outbox, clock):
        """Deliveries are read by event, sink, state, type and age, the latest of them in order."""
        first = entry("crm", "audit")
        outbox.append([first])
        clock.advance(60)
        outbox.append([entry("crm", event_type="session.created")])
        outbox.settle([settlement(outbox.claim("audit", 1, LEASE)[0])])

        def read(**which):
            return [(delivery.sequence, delivery.sink) for delivery in outbox.deliveries(**which)]

        assert read() == [(1, "crm"), (1, "audit"), (2, "crm")]
        assert read(event_id=first.event.id) == [(1, "crm"), (1, "audit")]
        assert read(sink="crm") == [(1, "crm"), (2, "crm")]
        assert read(state=DeliveryState.DONE) == [(1, "audit")]
        assert read(event_type="session.created") == read(since=clock()) == [(2, "crm")]
        assert read(limit=1) == [(2, "crm")]

    def test_status(self, outbox, clock):
        """How each sink stands, by name: what waits, since when, and what its last attempts came to."""
        stored_at = clock()
        outbox.append([entry("crm", "audit") for _ in range(3)])
        first, second, _third = outbox.claim("crm", 3, LEASE)
        outbox.settle([settlement(first), settlement(second, DeliveryState.DEAD, outcome="rejected", reason="gone")])

        audit, crm = outbox.status()

        assert (audit.sink, audit.pending, audit.due, audit.oldest, audit.last_success) == (
            "audit",
            3,
            3,
            stored_at,
            None,
        )
        assert (crm.sink, crm.pending, crm.due, crm.done, crm.dead) == ("crm", 1, 0, 1, 1)
        assert (crm.last_success, crm.last_failure, crm.last_reason) == (1.0, 1.0, "gone")

    def test_counts(self, outbox):
        """How many events there are, and that they take space."""
        outbox.append([entry(), entry()])

        events, size = outbox.counts()

        assert events == 2
        assert size > 0

    # Life

    def test_closed_is_not_the_end(self, outbox):
        """A closed outbox opens again with the next call, and closing twice is no harm."""
        outbox.append([entry("crm")])
        outbox.close()
        outbox.close()

        assert outbox.append([entry("crm")]) == [2]

    def test_another_process(self, outbox, in_child):
        """Two processes that append at once get every sequence once, without gaps."""

        def append_many():
            return [number for _ in range(30) for number in outbox.append([entry("crm")])]

        with ThreadPoolExecutor(1) as thread:
            ours = thread.submit(append_many)
            theirs = json.loads(in_child(append_many))

        assert sorted(ours.result() + theirs) == sequences(outbox) == list(range(1, 61))

    def test_child_goes_on_alone(self, outbox, in_child):
        """A forked child stores what it is given, while its parent does too and after its parent has closed."""
        outbox.append([entry("crm")])

        first = in_child(lambda: outbox.append([entry("crm")]))
        outbox.append([entry("crm")])
        second = in_child(lambda: outbox.close() or outbox.append([entry("crm")]))

        assert (first, second) == ("[2]", "[4]")
        assert sequences(outbox) == [1, 2, 3, 4]

    def test_fork_in_the_middle(self, outbox, in_child):
        """A fork while another thread writes leaves neither side with a lock that nobody holds."""
        done = threading.Event()

        def write():
            while not done.is_set():
                outbox.append([entry("crm")])

        with ThreadPoolExecutor(1) as thread:
            writer = thread.submit(write)
            children = [in_child(lambda: outbox.append([entry("crm")])) for _ in range(5)]
            done.set()
            writer.result()

        assert all(json.loads(child) for child in children), children
        numbers = sequences(outbox)
        assert numbers == list(range(1, len(numbers) + 1))


class AnyOrder(RuleBasedStateMachine):
    """What dispatchers may do to a store, and beside it the short description of what must come of it."""

    kind = "sqlite"

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.store = STORES[self.kind](self.folder, self.clock)
        self.outbox = self.store.connect()
        self.due, self.holder, self.tries, self.claims = {}, {}, Counter(), []

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)

    @rule(count=st.integers(1, 3))
    def append(self, count):
        for number in self.outbox.append([entry("crm") for _ in range(count)]):
            self.due[number] = self.clock()

    @rule(limit=st.integers(1, 4))
    def claim(self, limit):
        claims = self.outbox.claim("crm", limit, LEASE)

        due = [number for number, due_at in self.due.items() if due_at <= self.clock()]
        assert len(claims) == min(limit, len(due))
        for claim in claims:
            number = claim.delivery.sequence
            assert number in due
            assert claim.delivery.attempt == self.tries[number] + 1
            self.due[number] = self.clock() + LEASE
            self.holder[number] = claim
        self.claims += claims

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), done=st.booleans(), wait=st.sampled_from([0, 5, 300]))
    def settle(self, data, done, wait):
        claim = data.draw(st.sampled_from(self.claims))
        outcome = settlement(claim) if done else later(claim, self.clock() + wait)

        held = self.outbox.settle([outcome])

        number = claim.delivery.sequence
        assert held == (number in self.due and self.holder[number] is claim)
        if held:
            self.tries[number] += 1
            self.holder[number] = claim if not done else None
            self.due[number] = self.clock() + wait
            if done:
                del self.due[number]
            self.claims.remove(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data):
        claim = data.draw(st.sampled_from(self.claims))

        self.outbox.release([claim])

        if claim.delivery.sequence in self.due and self.holder[claim.delivery.sequence] is claim:
            self.due[claim.delivery.sequence] = self.clock()
            self.claims.remove(claim)

    @rule(seconds=st.sampled_from([1.0, LEASE, 300.0]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @invariant()
    def next_due(self):
        assert self.outbox.next_due("crm") == min(self.due.values(), default=None)


@pytest.mark.parametrize("kind", STORES)
def test_any_order(kind):
    """Claims, outcomes, releases and ended leases in any order: one holder at a time, nothing lost, nothing twice."""
    limits = settings(max_examples=25, stateful_step_count=25, suppress_health_check=list(HealthCheck))

    run_state_machine_as_test(type(kind, (AnyOrder,), {"kind": kind}), settings=limits)


class TestSqlite:
    """What a file on a disk has to stand."""

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "events.db"

    @pytest.fixture
    def make(self, path):
        """Outboxes on one file, with a short patience for locks."""
        made = []

        def make(**options):
            made.append(SqliteOutbox(path, **({"busy_timeout": 0.1} | options)))
            return made[-1]

        yield make
        for outbox in made:
            outbox.close()

    def test_private(self, make, path):
        """The file, its WAL and its index are for their owner only, whatever the umask."""
        before = os.umask(0)
        try:
            make().append([entry()])
        finally:
            os.umask(before)

        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == {"events.db": 0o600, "events.db-wal": 0o600, "events.db-shm": 0o600}

    @pytest.mark.parametrize(("durability", "synchronous"), [("normal", 1), ("full", 2)])
    def test_durability(self, make, durability, synchronous):
        """The file is in WAL mode; 'full' syncs with every commit."""
        outbox = make(durability=durability)
        with outbox._connected() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            assert connection.execute("PRAGMA synchronous").fetchone()[0] == synchronous

    # Versions

    def test_fresh(self, make, path):
        """A fresh file gets the newest schema."""
        make().open()

        with sqlite3.connect(path) as connection:
            (version,) = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        connection.close()
        newest = max(
            int(file.name[:4]) for file in Path(sys.modules[SqliteOutbox.__module__].__file__).parent.glob("sql/*.sql")
        )
        assert version == newest

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
        with outbox._connected() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")

        with pytest.raises(OutboxUnavailable, match="full"):
            outbox.append([entry(data={"large": "x" * 100_000})])
        assert sequences(outbox) == [1]
        with outbox._connected() as connection:
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

    @pytest.mark.parametrize("damage", ["the header", "the middle"])
    def test_damaged(self, make, path, damage):
        """A damaged file is not a matter of waiting: the error is final, and names the file."""
        outbox = make()
        outbox.append([entry("crm", data={"large": "x" * 1000}) for _ in range(50)])
        outbox.close()
        with path.open("r+b") as file:
            file.seek(0 if damage == "the header" else 4096)
            file.write(b"\xde\xad" * 20_000)

        with pytest.raises(OutboxError, match=r"events\.db cannot be used: ") as raised:
            outbox.append([entry("crm")])
        assert not isinstance(raised.value, OutboxUnavailable)

    def test_error_without_values(self, make):
        """An error of the store never repeats what was to be stored."""
        stored = entry(user_id="somebody@example.com")
        outbox = make()
        outbox.append([stored])

        with pytest.raises(OutboxError) as raised:
            outbox.append([stored])

        assert "somebody" not in str(raised.value)
        assert stored.event.id not in str(raised.value)

    def test_text_that_cannot_be_stored(self, make):
        """A value that SQLite cannot hold is an OutboxError, which callers know, and nothing else."""
        outbox = make()
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)

        with pytest.raises(OutboxError, match="cannot hold a value: UnicodeEncodeError"):
            outbox.settle([later(claim, 1.0)._replace(reason="\ud800")])
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

    def test_lazy(self, tmp_path):
        """Naming an outbox touches nothing."""
        open_outbox("sqlite:events.db", folder=tmp_path)

        assert list(tmp_path.iterdir()) == []
