"""What every store promises: one suite for all of them."""

import json
import shutil
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from outbox.stores import LEASE, STORES, claimed, dead, disabling, entry, keyed, later, sequences, settlement
from supertokens_events.event import Event, with_sequence
from supertokens_events.hook_times import Tally, TimeKey
from supertokens_events.ledger import LedgerKey, Reason
from supertokens_events.outbox import (
    Breaker,
    DeliveryState,
    Disabled,
    Erased,
    LedgerCount,
    Look,
    NewDelivery,
    OutboxError,
    OutboxFull,
    Pruned,
    Retention,
)

# That a process with threads forks is part of what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def about(seconds):
    """A time, by a clock that may not stand still."""
    return pytest.approx(seconds, abs=0.9)


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

    def test_oldest_first(self, outbox, store):
        """Claims come oldest first, as many as are asked for."""
        for _ in range(3):
            outbox.append([entry("crm")])
            store.advance(1)

        assert [claim.delivery.sequence for claim in outbox.claim("crm", 2, LEASE)] == [1, 2]
        assert [claim.delivery.sequence for claim in outbox.claim("crm", 2, LEASE)] == [3]

    @pytest.mark.parametrize("state", [DeliveryState.SKIPPED, DeliveryState.DEAD])
    def test_stored_without_being_due(self, outbox, state):
        """A delivery may be stored as skipped or dead, with its reason: it is kept, and never claimed."""
        outbox.append([entry(NewDelivery("crm", state, "the sink is turned off"))])

        assert outbox.claim("crm", 10, LEASE) == []
        assert outbox.look("crm") == Look(None)
        (delivery,) = outbox.deliveries()
        assert (delivery.state, delivery.reason) == (state, "the sink is turned off")

    def test_stored_for_later(self, outbox, store):
        """A delivery may be stored with a wait: it is pending, and first due when that is over."""
        outbox.append([entry(NewDelivery("crm", wait=30), NewDelivery("audit", ordering_key="u1", wait=30))])

        assert outbox.claim("crm", 10, LEASE) == outbox.claim("audit", 10, LEASE) == []
        assert outbox.look("crm").due_in == pytest.approx(30, abs=0.9)
        store.advance(31)
        assert claimed(outbox.claim("crm", 10, LEASE)) == claimed(outbox.claim("audit", 10, LEASE)) == [1]

    def test_take(self, outbox, store):
        """Whoever has stored a delivery with a wait may take it before, by its event and sink, and settle it like any claim."""
        stored = entry(NewDelivery("crm", wait=30))
        outbox.append([stored])

        claim = outbox.take(stored.event.id, "crm", LEASE)

        assert (claim.used, claim.delivery.attempt, claim.delivery.event_id) == (0, 1, stored.event.id)
        assert claim.delivery.body == with_sequence(stored.body, 1)
        store.advance(31)
        assert outbox.claim("crm", 10, LEASE) == []
        assert outbox.settle([settlement(claim)]) == 1
        assert outbox.deliveries()[0].state == DeliveryState.DONE

    def test_take_what_is_not_there(self, outbox, store):
        """Only what is pending and was never claimed can be taken: once, before any dispatcher, of a known event and sink."""
        stored, over = entry(NewDelivery("crm", wait=30)), entry(NewDelivery("crm", DeliveryState.DEAD, "held"))
        outbox.append([stored, over])

        assert outbox.take(stored.event.id, "audit", LEASE) is None
        assert outbox.take(over.event.id, "crm", LEASE) is None
        assert outbox.take("evt_unknown", "crm", LEASE) is None
        store.advance(31)
        (claim,) = outbox.claim("crm", 10, LEASE)
        assert outbox.take(stored.event.id, "crm", LEASE) is None
        outbox.release([claim])
        assert outbox.take(stored.event.id, "crm", LEASE) is None
        store.advance(LEASE)
        assert claimed(outbox.claim("crm", 10, LEASE)) == [1]

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
        outbox.append([entry("crm")])

        with pytest.raises(OutboxError):
            outbox.append([entry("crm"), entry("crm", "crm"), entry("crm")])

        assert sequences(outbox) == [1]
        assert outbox.append([entry()]) == [2]

    def test_stored_already(self, outbox):
        """What is stored already keeps its sequence and its deliveries; what is new beside it leaves no gap."""
        known, twice = entry("crm"), entry("crm")
        outbox.append([known])
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 1, LEASE)])

        assert outbox.append([entry(), known, twice, twice, entry()]) == [2, 1, 3, 3, 4]

        assert outbox.append([known]) == [1]
        assert sequences(outbox) == [1, 2, 3, 4]
        assert [(d.sequence, d.state) for d in outbox.deliveries()] == [
            (1, DeliveryState.DONE),
            (3, DeliveryState.PENDING),
        ]
        assert outbox.append([entry()]) == [5]

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

    def test_done(self, outbox, store):
        """A delivery that is done is not due again; its attempt is kept with what the sink said."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)

        assert outbox.settle([settlement(claim, status=200)]) == 1

        (delivery,) = outbox.deliveries()
        assert (delivery.state, delivery.used) == (DeliveryState.DONE, 1)
        (attempt,) = delivery.attempts
        assert (attempt.number, attempt.outcome, attempt.reason) == (1, "delivered", None)
        assert (attempt.started_at, attempt.duration, attempt.detail) == (
            about(store.now() - 0.5),
            0.5,
            {"status": 200},
        )
        assert outbox.look("crm").due_in is None

    def test_later(self, outbox, store):
        """A delivery that is to be retried waits until its time, then comes with the next attempt."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)
        outbox.settle([later(claim, 5)])

        store.advance(4.9)
        assert outbox.claim("crm", 1, LEASE) == []
        store.advance(0.1)
        (again,) = outbox.claim("crm", 1, LEASE)

        assert (again.used, again.delivery.attempt) == (1, 2)
        assert again.delivery.body == claim.delivery.body

    def test_dead(self, outbox, store):
        """A dead letter is kept with its reason, and never due."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)
        outbox.settle([settlement(claim, DeliveryState.DEAD, outcome="rejected", reason="gone")])

        store.advance(10 * LEASE)
        assert outbox.claim("crm", 1, LEASE) == []
        (delivery,) = outbox.deliveries(state=DeliveryState.DEAD)
        assert (delivery.reason, delivery.attempts[0].reason) == ("gone", "gone")

    def test_uncounted(self, outbox, store):
        """Tries are numbered one by one, also those that use up no attempt."""
        outbox.append([entry("crm")])
        for used in (0, 0, 1):
            (claim,) = outbox.claim("crm", 1, LEASE)
            outbox.settle([later(claim, 0, used=used)])

        (claim,) = outbox.claim("crm", 1, LEASE)
        (delivery,) = outbox.deliveries()

        assert (claim.used, claim.delivery.attempt) == (1, 4)
        assert [attempt.number for attempt in delivery.attempts] == [1, 2, 3]

    def test_fencing(self, outbox, store):
        """What the holder of an ended lease writes changes nothing: the delivery is the next one's."""
        outbox.append([entry("crm")])
        (late,) = outbox.claim("crm", 1, LEASE)
        store.advance(LEASE)
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

    def test_some_still_held(self, outbox, store):
        """In one call those that are still held are settled, the others are not."""
        outbox.append([entry("crm"), entry("crm")])
        first, second = outbox.claim("crm", 2, LEASE)
        outbox.settle([settlement(first)])

        assert outbox.settle([settlement(first), settlement(second)]) == 1
        assert {delivery.state for delivery in outbox.deliveries()} == {DeliveryState.DONE}

    # Leases

    def test_lease(self, outbox, store):
        """A claim holds for its lease; a dispatcher that dies gives it back by itself, with no attempt used."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)

        store.advance(LEASE - 0.1)
        assert outbox.claim("crm", 1, LEASE) == []
        store.advance(0.1)
        (again,) = outbox.claim("crm", 1, LEASE)

        assert again.fence > claim.fence
        assert (again.used, again.delivery.attempt) == (0, 1)

    def test_erased(self, outbox, store):
        """An event whose payload was erased goes nowhere any more, and stands in no other's way."""
        outbox.append([entry("crm"), entry("crm")])
        store.drop_payload(1)

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

    def test_look(self, outbox):
        """A lane sees how long until its next pending delivery is due; of a claimed one that is until the lease's end."""
        assert outbox.look("crm") == Look(due_in=None, probe_in=None)
        outbox.append([entry("crm"), entry("audit")])
        assert outbox.look("crm") == Look(due_in=0.0, probe_in=None)

        (claim,) = outbox.claim("crm", 1, LEASE)
        assert outbox.look("crm").due_in == about(LEASE)
        assert outbox.look("audit").due_in == 0.0

        outbox.settle([later(claim, 5)])
        assert outbox.look("crm").due_in == about(5)

    # Ledger

    def test_ledger(self, outbox, store):
        """Counts add up under reason, subject and type, with the first and the last time."""
        filtered = LedgerKey(Reason.FILTERED, "gdpr", "user.created")
        outbox.record({filtered: 2, LedgerKey(Reason.LOST, "", "user.created"): 1})
        first = store.now()
        store.advance(60)
        outbox.record({filtered: 3})

        latest, lost = outbox.ledger()

        assert latest == LedgerCount("filtered", "gdpr", "user.created", 5, about(first), about(first + 60))
        assert lost == LedgerCount("lost", "", "user.created", 1, about(first), about(first))

    # Hooks

    def test_hook_times(self, outbox, store):
        """How long hooks took adds up over processes, by plugin and hook, what took longest first."""
        drop = {TimeKey("tests", "filter_event", 10): Tally(5, 0, 0.5, 0.2)}
        outbox.record_hook_times({TimeKey("geo", "enrich_event", 40): Tally(3, 1, 3.0, 1.5), **drop})
        store.connect().record_hook_times({TimeKey("geo", "enrich_event", 44): Tally(1, 0, 4.0, 4.0), **drop})

        geo, tests = outbox.hook_times()

        assert (geo.plugin, geo.hook, geo.calls, geo.failures, geo.total, geo.longest) == (
            *("geo", "enrich_event"),
            *(4, 1, 7.0, 4.0),
        )
        assert geo.last_at == about(store.now())
        assert (tests.calls, tests.failures, tests.total, tests.longest) == (10, 0, 1.0, 0.2)

    def test_hook_times_of_a_day(self, outbox, store):
        """What is older than a day is not told, and goes when something new comes."""
        outbox.record_hook_times({TimeKey("geo", "enrich_event", 40): Tally(3, 0, 3.0, 1.5)})
        store.advance(20 * 3600)
        outbox.record_hook_times({TimeKey("geo", "enrich_event", 40): Tally(1, 0, 1.0, 1.0)})

        assert [line.calls for line in outbox.hook_times()] == [4]
        store.advance(5 * 3600)
        assert [line.calls for line in outbox.hook_times()] == [1]
        store.advance(24 * 3600)
        assert outbox.hook_times() == []
        outbox.record_hook_times({TimeKey("geo", "enrich_event", 40): Tally(2, 0, 2.0, 1.0)})
        assert [line.calls for line in outbox.hook_times()] == [2]

    # Reading

    def test_event(self, outbox, store):
        """An event is found by its id, as it was stored."""
        stored = entry(user_id="u1", tenant_id="t1", correlation_id="c1")
        outbox.append([stored])

        event = outbox.event(stored.event.id)

        assert Event.from_bytes(event.body) == stored.event.model_copy(update={"sequence": 1})
        assert (event.sequence, event.type, event.stored_at) == (1, "user.created", about(store.now()))
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

    def test_deliveries_of(self, outbox, store):
        """Deliveries are read by event, sink, state, type and age, the latest of them in order."""
        first = entry("crm", "audit")
        outbox.append([first])
        store.advance(60)
        outbox.append([entry("crm", event_type="session.created")])
        outbox.settle([settlement(outbox.claim("audit", 1, LEASE)[0])])

        def read(**which):
            return [(delivery.sequence, delivery.sink) for delivery in outbox.deliveries(**which)]

        assert read() == [(1, "crm"), (1, "audit"), (2, "crm")]
        assert read(event_id=first.event.id) == [(1, "crm"), (1, "audit")]
        assert read(sink="crm") == [(1, "crm"), (2, "crm")]
        assert read(state=DeliveryState.DONE) == [(1, "audit")]
        assert read(event_type="session.created") == read(since=store.now() - 1) == [(2, "crm")]
        assert read(limit=1) == [(2, "crm")]

    def test_status(self, outbox, store):
        """How each sink stands, by name: what waits, since when, and what its last attempts came to."""
        stored_at = store.now()
        outbox.append([entry("crm", "audit") for _ in range(3)])
        first, second, _third = outbox.claim("crm", 3, LEASE)
        outbox.settle([settlement(first), settlement(second, DeliveryState.DEAD, outcome="rejected", reason="gone")])

        audit, crm = outbox.status()

        assert (audit.sink, audit.pending, audit.due, audit.oldest, audit.last_success) == (
            "audit",
            3,
            3,
            about(stored_at),
            None,
        )
        assert (crm.sink, crm.pending, crm.due, crm.done, crm.dead) == ("crm", 1, 0, 1, 1)
        assert (crm.last_success, crm.last_failure, crm.last_reason) == (
            about(stored_at - 0.5),
            about(stored_at - 0.5),
            "gone",
        )

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


class TestTurns:
    """Who is next: every tenant in turn, each key in order."""

    def test_tenants_in_turn(self, outbox, store):
        """A tenant with much to deliver does not keep the others waiting."""
        outbox.append([entry("crm", tenant_id="large") for _ in range(50)])
        store.advance(1)
        outbox.append([entry("crm", tenant_id=name) for name in ("a", "b", None)])

        claims = outbox.claim("crm", 12, LEASE)

        tenants = Counter(claim.delivery.tenant_id for claim in claims)
        assert tenants == {"large": 9, "a": 1, "b": 1, None: 1}
        assert [n for n in claimed(claims) if n <= 50] == list(range(1, 10))

    def test_more_tenants_than_room(self, outbox):
        """When more tenants wait than a claim can take, the next claim goes on with the others."""
        outbox.append([entry("crm", tenant_id=f"t{n}") for n in range(10) for _ in range(2)])

        rounds = [[claim.delivery.tenant_id for claim in outbox.claim("crm", 4, LEASE)] for _ in range(5)]

        assert Counter(tenant for tenants in rounds for tenant in tenants) == {f"t{n}": 2 for n in range(10)}
        assert len({tenant for tenants in rounds[:2] for tenant in tenants}) == 8

    def test_what_is_left(self, outbox):
        """A claim is filled with whatever is due, however it is spread over tenants."""
        outbox.append([entry("crm", tenant_id=f"t{n % 40}") for n in range(100)])

        assert len(outbox.claim("crm", 90, LEASE)) == 90
        assert len(outbox.claim("crm", 90, LEASE)) == 10

    def test_one_of_a_key(self, outbox):
        """Of one key only the first is taken; the next comes when it is done, and other keys do not wait."""
        outbox.append([keyed("crm", "u1"), keyed("crm", "u1"), keyed("crm", "u2"), keyed("audit", "u1"), entry("crm")])

        claims = outbox.claim("crm", 10, LEASE)

        assert sorted(claimed(claims)) == [1, 3, 5]
        assert outbox.claim("crm", 10, LEASE) == []
        assert claimed(outbox.claim("audit", 10, LEASE)) == [4]
        outbox.settle([settlement(claim) for claim in claims if claim.delivery.sequence == 1])
        assert claimed(outbox.claim("crm", 10, LEASE)) == [2]

    @pytest.mark.parametrize("finish", [settlement, dead])
    def test_next_of_a_key(self, outbox, finish):
        """Deliveries of a key go out in order of their sequences, also those that were stored while one was out, and after
        one that is given up.
        """
        outbox.append([keyed("crm", "u1"), keyed("crm", "u1")])
        (claim,) = outbox.claim("crm", 10, LEASE)
        outbox.append([keyed("crm", "u1")])

        seen = claimed([claim])
        while claims := [claim] if claim else []:
            outbox.settle([finish(claims[0])])
            claim = next(iter(outbox.claim("crm", 10, LEASE)), None)
            seen += claimed([claim] if claim else [])

        assert seen == [1, 2, 3]

    def test_waits_with_its_key(self, outbox, store):
        """While the first of a key waits for its next try, so do the others; a lane is not told that they are due."""
        outbox.append([keyed("crm", "u1"), keyed("crm", "u1")])
        outbox.settle([later(outbox.claim("crm", 10, LEASE)[0], 30)])

        assert outbox.claim("crm", 10, LEASE) == []
        assert outbox.look("crm").due_in == about(30)
        store.advance(30)
        assert claimed(outbox.claim("crm", 10, LEASE)) == [1]

    def test_key_of_the_dead(self, outbox, store):
        """A dispatcher that dies with the first of a key holds the key up until its lease ends, and no longer."""
        outbox.append([keyed("crm", "u1"), keyed("crm", "u1")])
        outbox.claim("crm", 10, LEASE)

        store.advance(LEASE)

        assert claimed(outbox.claim("crm", 10, LEASE)) == [1]

    def test_stored_without_being_due_keeps_nothing_up(self, outbox):
        """A dead or skipped delivery is not one to wait for."""
        outbox.append([entry(NewDelivery("crm", DeliveryState.DEAD, "held", "u1")), keyed("crm", "u1")])

        assert claimed(outbox.claim("crm", 10, LEASE)) == [2]

    def test_key_after_an_erasure(self, outbox):
        """What was erased keeps no later one of its key up."""
        outbox.append([keyed("crm", "k", user_id="u1"), keyed("crm", "k", user_id="u2", data={})])

        outbox.erase("u1")

        assert claimed(outbox.claim("crm", 10, LEASE)) == [2]

    def test_age(self, outbox, store):
        """A claim says how long ago its first try began, and nothing before there was one."""
        outbox.append([entry("crm")])
        (first,) = outbox.claim("crm", 1, LEASE)
        outbox.settle([later(first, 10)])
        store.advance(10)
        (second,) = outbox.claim("crm", 1, LEASE)
        outbox.settle([later(second, 20)])
        store.advance(20)
        (third,) = outbox.claim("crm", 1, LEASE)

        assert (first.age, second.age, third.age) == (0.0, about(10.5), about(30.5))


class TestLead:
    def test_one_dispatcher(self, outbox):
        """A dispatcher gets the lead of every lane, keeps it, and gets it again."""
        assert outbox.lead("crm")
        assert outbox.lead("crm")
        assert outbox.lead("audit")
        outbox.resign("crm")
        outbox.resign("crm")
        assert outbox.lead("crm")

    def test_after_the_first(self, outbox, store):
        """Once a dispatcher has resigned or closed, another has the lead."""
        second, third = store.connect(), store.connect()
        outbox.lead("crm")
        outbox.resign("crm")
        assert second.lead("crm")
        second.close()
        assert third.lead("crm")


class TestBreaker:
    """What a store keeps of a receiver that is away."""

    def test_opened(self, outbox):
        """An open breaker is there for everybody: when it opened, since when tries failed, when to probe, and why."""
        outbox.append([entry("crm")])
        assert outbox.look("crm").probe_in is None

        outbox.open_breaker("crm", failing_for=3.0, probe_in=5.0, reason="503")

        look = outbox.look("crm")
        assert (look.due_in, look.probe_in) == (0.0, about(5.0))
        assert outbox.look("audit") == Look(None)

    def test_status(self, outbox, store):
        """The status says that a breaker is open, and since when."""
        outbox.append([entry("crm", "audit")])
        outbox.open_breaker("crm", failing_for=3.0, probe_in=5.0, reason="503")
        opened = store.now()

        audit, crm = outbox.status()

        assert audit.breaker is None
        assert crm.breaker == Breaker(
            about(opened), about(opened - 3.0), about(opened + 5.0), 1, "503", {}, failing_for=about(3.0)
        )
        assert list(outbox.breakers()) == ["crm"]

    def test_opened_again(self, outbox, store):
        """A probe that fails moves the next one and the reason; since when it is open does not change."""
        outbox.append([entry("crm")])
        outbox.open_breaker("crm", failing_for=3.0, probe_in=5.0, reason="503")
        opened = store.now()
        store.advance(5)

        outbox.open_breaker("crm", failing_for=1.0, probe_in=10.0, reason="timeout", detail={"status": 504})

        crm = outbox.breakers()["crm"]
        assert crm == Breaker(
            *(about(opened), about(opened - 3.0), about(opened + 15.0), 2, "timeout"),
            detail={"status": 504},
            failing_for=about(8.0),
        )

    def test_detail(self, outbox):
        """What a probe brought back is kept until the next one, whatever is in it; an erasure takes it."""
        outbox.append([entry("crm", user_id="u1")])
        outbox.open_breaker("crm", failing_for=0.0, probe_in=5.0, reason="503\0", detail={"body": "u1 \0 \ud800"})
        assert outbox.breakers()["crm"].detail == {"body": "u1 \0 \ud800"}

        outbox.erase("nobody")
        assert outbox.breakers()["crm"].detail != {}
        outbox.erase("u1")
        assert outbox.breakers()["crm"].detail == {}
        outbox.open_breaker("crm", failing_for=0.0, probe_in=5.0, reason="503")
        assert outbox.breakers()["crm"].probes == 2

    def test_none_open(self, outbox):
        """A breaker that is closed is none."""
        outbox.open_breaker("crm", failing_for=0.0, probe_in=5.0, reason="503")
        outbox.close_breaker("crm")

        assert outbox.breakers() == {}

    def test_probe(self, outbox, store):
        """The probe goes to one dispatcher, once it is due; the next one is due a while after."""
        other = store.connect()
        assert not outbox.take_probe("crm", 10.0)
        outbox.open_breaker("crm", failing_for=0.0, probe_in=5.0, reason="503")

        assert not outbox.take_probe("crm", 10.0)
        store.advance(5)
        assert outbox.look("crm").probe_in == 0.0
        assert other.take_probe("crm", 10.0)
        assert not outbox.take_probe("crm", 10.0)
        assert outbox.look("crm").probe_in == about(10.0)
        store.advance(10)
        assert outbox.take_probe("crm", 10.0)

    def test_one_probe(self, outbox, store):
        """Of four dispatchers that ask at once one gets it."""
        outbox.open_breaker("crm", failing_for=0.0, probe_in=0.0, reason="503")
        dispatchers = [store.connect() for _ in range(4)]

        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(lambda dispatcher: dispatcher.take_probe("crm", 10.0), dispatchers))

        assert sorted(answers) == [False, False, False, True]

    def test_closed(self, outbox, store):
        """Closing it makes due at once what failed while the receiver was away, and nothing else."""
        outbox.append([entry("crm") for _ in range(5)] + [entry("audit")])
        early, away, held, _released, _ = outbox.claim("crm", 5, LEASE)
        (audit,) = outbox.claim("audit", 1, LEASE)
        outbox.settle([later(early, 300)])
        store.advance(10)
        outbox.settle([later(away, 300), later(audit, 300)])
        outbox.open_breaker("crm", failing_for=2.0, probe_in=5.0, reason="503")

        assert outbox.close_breaker("crm") == 1

        assert outbox.look("crm") == Look(0.0, None)
        assert claimed(outbox.claim("crm", 10, LEASE)) == [away.delivery.sequence]
        assert outbox.settle([settlement(held)]) == 1
        assert outbox.look("audit").due_in == about(300)
        assert outbox.close_breaker("crm") == 0

    def test_tried_before_it_opened(self, outbox):
        """The tries that opened it began before: `failing_for` tells since when they count."""
        outbox.append([entry("crm")])
        outbox.settle([later(outbox.claim("crm", 1, LEASE)[0], 300)])
        outbox.open_breaker("crm", failing_for=10.0, probe_in=5.0, reason="503")

        assert outbox.close_breaker("crm") == 1
        assert outbox.look("crm").due_in == 0.0

    def test_not_open(self, outbox):
        """Closing one that is not open makes nothing due."""
        outbox.append([entry("crm")])
        outbox.settle([later(outbox.claim("crm", 1, LEASE)[0], 300)])

        assert outbox.close_breaker("crm") == 0
        assert outbox.look("crm").due_in == about(300)

    def test_overdue(self, outbox, store):
        """What was first tried longer ago than the schedule lasts is overdue, due or not; what is held is not."""
        outbox.append([entry("crm") for _ in range(3)])
        tried, held, later_tried = outbox.claim("crm", 3, LEASE)
        outbox.settle([later(tried, 10_000)])
        store.advance(30)
        outbox.settle([later(later_tried, 10_000)])
        outbox.open_breaker("crm", failing_for=1.0, probe_in=5.0, reason="503")
        store.advance(20)

        claims = outbox.claim_overdue("crm", 10, LEASE, 40.0)

        assert claimed(claims) == [tried.delivery.sequence]
        assert (claims[0].used, claims[0].age) == (1, about(50.5))
        assert outbox.claim_overdue("crm", 10, LEASE, 40.0) == []
        assert outbox.settle([dead(claims[0]), settlement(held)]) == 2

    def test_overdue_without_a_try(self, outbox, store):
        """What was never tried is overdue when both it and the open breaker have been there that long."""
        outbox.append([entry("crm")])
        store.advance(50)
        outbox.open_breaker("crm", failing_for=1.0, probe_in=5.0, reason="503")
        store.advance(35)
        outbox.append([entry("crm")])

        assert outbox.claim_overdue("crm", 10, LEASE, 40.0) == []
        store.advance(10)
        (claim,) = outbox.claim_overdue("crm", 10, LEASE, 40.0)

        assert (claim.delivery.sequence, claim.age) == (1, 0.0)

    def test_overdue_behind_its_key(self, outbox, store):
        """One that waits for an earlier one of its key is overdue all the same."""
        outbox.append([keyed("crm", "u1"), keyed("crm", "u1")])
        outbox.open_breaker("crm", failing_for=1.0, probe_in=5.0, reason="503")
        store.advance(50)

        assert claimed(outbox.claim_overdue("crm", 1, LEASE, 40.0)) == [1]
        assert claimed(outbox.claim_overdue("crm", 10, LEASE, 40.0)) == [2]

    def test_overdue_released(self, outbox, store):
        """Being held for a while does not make the wait shorter or longer."""
        outbox.append([entry("crm"), entry("crm")])
        outbox.open_breaker("crm", failing_for=1.0, probe_in=5.0, reason="503")
        store.advance(20)
        released, _lost = outbox.claim("crm", 2, 10.0)
        outbox.release([released])
        store.advance(25)

        assert claimed(outbox.claim_overdue("crm", 10, LEASE, 40.0)) == [1, 2]

    def test_nothing_overdue_while_closed(self, outbox, store):
        """Without an open breaker nothing untried is overdue, however old."""
        outbox.append([entry("crm")])
        store.advance(100)

        assert outbox.claim_overdue("crm", 10, LEASE, 40.0) == []


class TestDisabled:
    """What a store keeps of a sink whose place wants no more events."""

    def test_nothing_goes_out(self, outbox, store):
        """A sink is disabled with the outcome that says so: nobody gets anything to deliver, and nothing that waits is lost."""
        outbox.append([entry("crm", "audit") for _ in range(3)])

        outbox.settle([disabling(outbox.claim("crm", 1, LEASE)[0])])

        for other in (outbox, store.connect()):
            assert other.claim("crm", 10, LEASE) == []
            assert other.look("crm") == Look(None, None, disabled=True)
        assert [delivery.state for delivery in outbox.deliveries(sink="crm")] == ["dead", "pending", "pending"]
        assert len(outbox.claim("audit", 10, LEASE)) == 3

    def test_still_there_after_a_restart(self, outbox, store):
        """It stays disabled when everybody has closed and opened the store again."""
        outbox.append([entry("crm"), entry("crm")])
        outbox.settle([disabling(outbox.claim("crm", 1, LEASE)[0])])
        outbox.close()
        store.advance(LEASE + 1)

        assert store.connect().claim("crm", 10, LEASE) == []

    def test_status(self, outbox, store):
        """The status says since when and why, also when no delivery is left; the first reason stays."""
        outbox.append([entry("crm"), entry("crm"), entry("audit")])
        first, second = outbox.claim("crm", 2, LEASE)
        outbox.settle([disabling(first, "410 Gone"), disabling(second, "410 again")])
        now = store.now()

        audit, crm = outbox.status()
        assert (audit.disabled, crm.disabled) == (None, Disabled(about(now), "410 Gone"))
        store.advance(100)
        outbox.prune(Retention(events=1.0, deliveries=1.0, dead=1.0, attempts=1.0))
        assert next(one for one in outbox.status() if one.sink == "crm").disabled == Disabled(about(now), "410 Gone")

    def test_enabled(self, outbox):
        """Enabling says what is over and lets go out what waited; nothing else is changed by it."""
        outbox.append([entry("crm") for _ in range(3)])
        outbox.settle([disabling(outbox.claim("crm", 1, LEASE)[0], "410 Gone")])

        assert outbox.enable("crm").reason == "410 Gone"

        assert outbox.enable("crm") is None
        assert claimed(outbox.claim("crm", 10, LEASE)) == [2, 3]
        assert outbox.status()[0].disabled is None

    def test_schedule_stands_still(self, outbox, store):
        """The time that a sink was disabled is none of its schedule: what was tried before has as much left as it had."""
        outbox.append([entry("crm"), entry("crm")])
        tried, last = outbox.claim("crm", 2, LEASE)
        outbox.settle([later(tried, 5)])
        store.advance(20)
        outbox.settle([disabling(last)])
        store.advance(100_000)
        outbox.enable("crm")

        outbox.open_breaker("crm", failing_for=1.0, probe_in=5.0, reason="503")
        assert outbox.claim_overdue("crm", 10, LEASE, 1000.0) == []
        (claim,) = outbox.claim("crm", 10, LEASE)
        assert claim.age == about(20.5)

    def test_nothing_is_overdue(self, outbox, store):
        """What waits for a disabled sink is not given up, however long."""
        outbox.append([entry("crm"), entry("crm")])
        tried, last = outbox.claim("crm", 2, LEASE)
        outbox.open_breaker("crm", failing_for=1.0, probe_in=5.0, reason="503")
        outbox.settle([later(tried, 5), disabling(last)])
        store.advance(100_000)

        assert outbox.claim_overdue("crm", 10, LEASE, 1000.0) == []

    def test_late(self, outbox, store):
        """An outcome whose claim another holds by now disables nothing."""
        outbox.append([entry("crm")])
        (late,) = outbox.claim("crm", 1, LEASE)
        store.advance(LEASE + 1)
        (claim,) = outbox.claim("crm", 1, LEASE)

        assert outbox.settle([disabling(late)]) == 0
        assert outbox.look("crm").disabled is False
        assert outbox.settle([settlement(claim)]) == 1
        assert outbox.settle([disabling(late)]) == 0
        assert outbox.look("crm").disabled is False

    def test_new_events_wait(self, outbox):
        """What is stored for a disabled sink waits with the rest."""
        outbox.append([entry("crm")])
        outbox.settle([disabling(outbox.claim("crm", 1, LEASE)[0])])

        outbox.append([keyed("crm", "u1"), entry("crm")])

        assert outbox.claim("crm", 10, LEASE) == []
        outbox.enable("crm")
        assert sorted(claimed(outbox.claim("crm", 10, LEASE))) == [2, 3]


class TestRoom:
    """What goes, and what stays, when it gets old or the store gets full."""

    def prune(self, outbox, **retention):
        """Until nothing more goes; what went in all."""
        went = [outbox.prune(Retention(**retention))]
        while any(went[-1]):
            went.append(outbox.prune(Retention(**retention)))
        return Pruned(*map(sum, zip(*went, strict=True)))

    def test_kept(self, outbox, store):
        """Without a retention everything stays."""
        outbox.append([entry("crm")])
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 1, LEASE)])
        store.advance(10_000_000)

        assert outbox.prune(Retention()) == Pruned()
        assert outbox.counts()[0] == 1

    def test_done(self, outbox, store):
        """Done and skipped deliveries go after their time with their attempts, and then events that have none."""
        outbox.append([entry("crm", NewDelivery("audit", DeliveryState.SKIPPED)), entry()])
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 1, LEASE)])
        store.advance(100)
        outbox.append([entry(NewDelivery("audit", DeliveryState.SKIPPED))])

        assert self.prune(outbox, events=200.0, deliveries=50.0) == Pruned(deliveries=2, attempts=1)
        assert [delivery.sequence for delivery in outbox.deliveries()] == [3]
        assert self.prune(outbox, events=50.0, deliveries=50.0) == Pruned(events=2)
        assert sequences(outbox) == [3]
        assert outbox.append([entry()]) == [4]

    def test_pending_stays(self, outbox, store):
        """A pending delivery stays with its attempts and its event, however old."""
        outbox.append([entry("crm")])
        outbox.settle([later(claim, 0) for claim in outbox.claim("crm", 1, LEASE)])
        store.advance(1000)

        assert self.prune(outbox, events=1.0, deliveries=1.0, dead=1.0, attempts=1.0) == Pruned()
        (claim,) = outbox.claim("crm", 1, LEASE)
        assert (claim.used, claim.delivery.attempt) == (1, 2)

    def test_event_of_a_delivery_that_stays(self, outbox, store):
        """An event stays while a delivery of it does."""
        outbox.append([entry("crm")])
        outbox.settle([dead(claim) for claim in outbox.claim("crm", 1, LEASE)])
        store.advance(1000)

        assert self.prune(outbox, events=1.0, deliveries=1.0) == Pruned()
        assert len(outbox.deliveries(state=DeliveryState.DEAD)) == 1

    def test_dead(self, outbox, store):
        """A dead letter that goes is counted in the ledger, by sink and type."""
        outbox.append([entry("crm"), entry("crm")])
        outbox.settle([dead(claim) for claim in outbox.claim("crm", 2, LEASE)])
        store.advance(1000)

        assert self.prune(outbox, dead=500.0) == Pruned(deliveries=2, attempts=2)

        (count,) = outbox.ledger()
        assert (count.reason, count.subject, count.event_type, count.count) == ("pruned", "crm", "user.created", 2)

    def test_attempts(self, outbox, store):
        """Attempts may go before their delivery."""
        outbox.append([entry("crm")])
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 1, LEASE)])
        store.advance(1000)

        assert self.prune(outbox, attempts=500.0) == Pruned(attempts=1)
        (delivery,) = outbox.deliveries()
        assert (delivery.state, delivery.used, delivery.attempts) == (DeliveryState.DONE, 1, ())

    def test_ledger(self, outbox, store):
        """A line of the ledger goes when it was not counted for long enough."""
        old, busy = LedgerKey(Reason.LOST, "", "a.b"), LedgerKey(Reason.LATE, "", "a.b")
        outbox.record({old: 1, busy: 1})
        store.advance(100)
        outbox.record({busy: 1})

        assert self.prune(outbox, ledger=50.0) == Pruned(ledger=1)
        assert [count.reason for count in outbox.ledger()] == ["late"]

    def test_limit(self, outbox, store):
        """One call takes no more than it is allowed to."""
        outbox.append([entry("crm") for _ in range(5)])
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 5, LEASE)])
        store.advance(100)
        retention = Retention(events=1.0, deliveries=1.0)

        went = [outbox.prune(retention, 2)]
        while any(went[-1]):
            went.append(outbox.prune(retention, 2))

        assert max(map(max, went)) <= 2
        assert list(map(sum, zip(*went, strict=True))) == [5, 5, 5, 0]

    def test_full(self, store):
        """A full outbox refuses events, says its limit, stores nothing of them, and goes on with all else."""
        store.connect().append([entry("crm")])
        full = store.connect(max_size=1000, when_full="refuse")

        with pytest.raises(OutboxFull, match=r"1,000|1000"):
            full.append([entry("crm"), entry("crm")])

        assert sequences(full) == [1]
        assert full.settle([settlement(claim) for claim in full.claim("crm", 5, LEASE)]) == 1
        full.record({LedgerKey(Reason.REFUSED, "", "user.created"): 2})
        assert full.ledger()[0].count == 2

    def test_room(self, store):
        """An outbox with room takes events."""
        roomy = store.connect(max_size=1 << 40, when_full="refuse")

        assert roomy.append([entry("crm")]) == [1]


class TestPrunable:
    """What would go is what goes."""

    @pytest.fixture
    def aged(self, outbox, store):
        """Events of every kind: done, dead, skipped, waiting, tried and waiting, delivered to one of two, for nobody."""
        skipped = NewDelivery("crm", DeliveryState.SKIPPED)
        outbox.append([entry("crm"), entry("crm"), entry(skipped), entry("crm", "audit"), entry("crm"), entry()])
        done, died, half, tried = outbox.claim("crm", 4, LEASE)
        outbox.settle([settlement(done), dead(died), settlement(half), later(tried, 10_000)])
        outbox.record({LedgerKey(Reason.LOST, "", "user.created"): 1})
        store.advance(1000)
        outbox.append([entry("crm")])
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 9, LEASE)])
        return outbox

    @pytest.mark.parametrize(
        "retention",
        [
            Retention(),
            Retention(0.0, 0.0, 0.0, 0.0, 500.0),
            Retention(*[500.0] * 5),
            Retention(events=500.0),
            Retention(deliveries=500.0),
            Retention(dead=500.0, events=0.0),
            Retention(attempts=500.0),
            Retention(attempts=500.0, deliveries=0.0),
            Retention(deliveries=500.0, events=10_000.0),
            Retention(ledger=500.0),
        ],
        ids=str,
    )
    def test_the_same(self, aged, store, retention):
        """As many rows of each table as are then deleted, whatever is kept how long; and until then nothing is."""
        store.advance(1)
        before = aged.status(), aged.counts()[0]

        would_go = aged.prunable(retention)

        assert (aged.status(), aged.counts()[0]) == before
        assert would_go == aged.prune(retention)
        assert not any(aged.prune(retention))


@pytest.mark.parametrize("sequence", [2**15 - 2, 2**31 - 2], ids=["16 bits", "32 bits"])
def test_erase_far_on(store, sequence):
    """However many events there were: an erasure finds those on both sides of where a number gets wider."""
    outbox = store.connect()
    outbox.append([entry()])
    store.go_on_after(sequence)
    outbox.append([entry(user_id="u1"), entry(user_id="u2"), entry(user_id="u1"), entry(user_id="u1")])

    assert outbox.erase("u1") == Erased(events=3)
    assert [event.body is None for event in outbox.events()] == [False, True, False, True, True]


class TestErasure:
    """What is left of a person."""

    def test_erase(self, outbox):
        """Every payload that names a user goes, as the event's user or anywhere in it; skeletons stay, and other events."""
        entries = [
            entry("crm", user_id="u1"),
            entry("crm", user_id=None, data={"users": [{"id": "u1"}]}),
            entry("crm", user_id="u10", data={}),
            entry("crm", user_id="x", data={"note": "about u1"}),
        ]
        outbox.append(entries)

        assert outbox.erase("u1") == Erased(events=2, deliveries=2)

        bodies = [event.body is None for event in outbox.events()]
        assert bodies == [True, True, False, False]
        assert outbox.event(entries[0].event.id).user_id == "u1"
        assert [(d.sequence, d.reason) for d in outbox.deliveries(state=DeliveryState.DEAD)] == [
            (1, "erased"),
            (2, "erased"),
        ]
        assert sorted(claimed(outbox.claim("crm", 10, LEASE))) == [3, 4]
        assert outbox.erase("u1") == Erased()

    @pytest.mark.parametrize("user_id", ['a"b\\c', "Zoë 🜁", "a\tb\x01", "100%_"])
    def test_any_id(self, outbox, user_id):
        """An id is found however JSON writes it, and stands for nothing but itself."""
        outbox.append([entry(user_id="x", data={"id": user_id}), entry(user_id="x", data={"id": "1000"})])

        assert outbox.erase(user_id) == Erased(events=1)

    def test_erase_what_was_tried(self, outbox):
        """The details of attempts go too; what was delivered stays delivered, what is out cannot be settled any more."""
        outbox.append([entry("crm", "audit", user_id="u1")])
        outbox.settle([settlement(claim, answer="hello u1") for claim in outbox.claim("crm", 1, LEASE)])
        (out,) = outbox.claim("audit", 1, LEASE)

        assert outbox.erase("u1") == Erased(events=1, deliveries=1, attempts=1)

        crm, audit = outbox.deliveries()
        assert (crm.state, audit.state, audit.reason) == (DeliveryState.DONE, DeliveryState.DEAD, "erased")
        assert (crm.attempts[0].outcome, crm.attempts[0].detail) == ("delivered", {})
        assert outbox.settle([settlement(out)]) == 0

    def test_deleted_users(self, outbox):
        """Once a user is deleted, what was stored about them until then goes, as soon as nothing of it is to go out."""
        outbox.append(
            [
                entry("crm", user_id="u1"),
                entry(user_id="u1"),
                entry(user_id="u2"),
                entry("crm", event_type="user.deleted", user_id="u1"),
                entry(user_id="u1"),
            ]
        )

        assert outbox.erase_deleted() == Erased(events=1)
        assert outbox.erase_deleted() == Erased()
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 10, LEASE)])
        assert outbox.erase_deleted() == Erased(events=2)

        assert [event.sequence for event in outbox.events() if event.body is None] == [1, 2, 4]
        assert outbox.erase_deleted() == Erased()

    def test_deleted_user_of_whom_something_waits(self, outbox):
        """What waits is erased once it went out, though what says that the user was deleted went out long before."""
        outbox.append([entry("slow", user_id="u1"), entry("crm", event_type="user.deleted", user_id="u1")])
        outbox.settle([settlement(claim) for claim in outbox.claim("crm", 10, LEASE)])

        assert outbox.erase_deleted() == Erased()
        outbox.settle([settlement(claim) for claim in outbox.claim("slow", 10, LEASE)])
        assert outbox.erase_deleted() == Erased(events=2)

    def test_some_deleted_users(self, outbox):
        """As many users as are asked for; those whose events still have to go out do not keep the others waiting."""
        outbox.append([entry("crm", event_type="user.deleted", user_id=f"u{n}") for n in range(3)])
        outbox.append([entry(event_type="user.deleted", user_id=f"v{n}") for n in range(3)])

        assert outbox.erase_deleted(2) == Erased(events=2)
        assert outbox.erase_deleted(2) == Erased(events=1)
        assert [event.user_id for event in outbox.events() if event.body is not None] == ["u0", "u1", "u2"]


class TestStatus:
    def test_blocked(self, outbox):
        """The status tells how many deliveries wait for an earlier one of their key."""
        outbox.append([keyed("crm", "u1"), keyed("crm", "u1"), keyed("crm", "u1"), keyed("crm", "u2"), entry("crm")])

        (status,) = outbox.status()
        assert (status.pending, status.blocked) == (5, 2)
        outbox.settle([settlement(c) for c in outbox.claim("crm", 10, LEASE) if c.delivery.sequence == 1])
        (status,) = outbox.status()
        assert (status.pending, status.blocked) == (4, 1)

    def test_latest(self, outbox, store):
        """Of several tries the last success and the last failure are told, also once their attempts are gone."""
        outbox.append([entry("crm") for _ in range(3)])
        for finish in (settlement, dead, settlement):
            store.advance(10)
            outbox.settle([finish(claim) for claim in outbox.claim("crm", 1, LEASE)])
        now = store.now()
        store.advance(100)
        outbox.prune(Retention(attempts=1.0))

        (status,) = outbox.status()

        assert (status.last_success, status.last_failure) == (about(now - 0.5), about(now - 10.5))
        assert (status.last_reason, status.oldest) == ("gone", None)

    def test_oldest(self, outbox, store):
        """The oldest is the oldest that still has to go out, whatever is due first."""
        first = store.now()
        outbox.append([entry("crm")])
        store.advance(10)
        outbox.append([entry("crm")])
        outbox.settle([later(outbox.claim("crm", 1, LEASE)[0], 300)])

        (status,) = outbox.status()

        assert (status.pending, status.due, status.oldest) == (2, 1, about(first))


class TestListen:
    def test_can_be_ended(self, outbox):
        """Listening can be ended, twice too, and what comes meanwhile is stored as ever."""
        end = outbox.listen(lambda: None)
        assert outbox.append([entry()]) == [1]
        end()
        end()


class AnyOrder(RuleBasedStateMachine):
    """What dispatchers may do to a store, and beside it the short description of what must come of it."""

    kind = "sqlite"

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = STORES[self.kind](self.folder)
        self.outbox = self.store.connect()
        self.now = 0.0
        self.due, self.holder, self.tries, self.claims = {}, {}, Counter(), []
        self.keys = {}

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)

    def blocked(self, number):
        """Whether an earlier one of its key is pending."""
        key = self.keys[number]
        return key is not None and any(self.keys[other] == key for other in self.due if other < number)

    @rule(
        keys=st.lists(st.sampled_from([None, "u1", "u2"]), min_size=1, max_size=3), tenant=st.sampled_from(["t1", "t2"])
    )
    def append(self, keys, tenant):
        for number, key in zip(
            self.outbox.append([keyed("crm", key, tenant_id=tenant) for key in keys]), keys, strict=True
        ):
            self.due[number] = self.now
            self.keys[number] = key

    @rule(limit=st.integers(1, 4))
    def claim(self, limit):
        due = [number for number, due_at in self.due.items() if due_at <= self.now and not self.blocked(number)]

        claims = self.outbox.claim("crm", limit, LEASE)

        assert len(claims) == min(limit, len(due))
        for claim in claims:
            number = claim.delivery.sequence
            assert number in due
            assert claim.delivery.attempt == self.tries[number] + 1
            self.due[number] = self.now + LEASE
            self.holder[number] = claim
        self.claims += claims

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), done=st.booleans(), wait=st.sampled_from([0, 5, 300]))
    def settle(self, data, done, wait):
        claim = data.draw(st.sampled_from(self.claims))
        outcome = settlement(claim) if done else later(claim, wait)

        held = self.outbox.settle([outcome])

        number = claim.delivery.sequence
        assert held == (number in self.due and self.holder[number] is claim)
        if held:
            self.tries[number] += 1
            self.holder[number] = claim if not done else None
            self.due[number] = self.now + wait
            if done:
                del self.due[number]
            self.claims.remove(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data):
        claim = data.draw(st.sampled_from(self.claims))

        self.outbox.release([claim])

        if claim.delivery.sequence in self.due and self.holder[claim.delivery.sequence] is claim:
            self.due[claim.delivery.sequence] = self.now
            self.claims.remove(claim)

    @rule(seconds=st.sampled_from([1.0, LEASE, 300.0]))
    def wait(self, seconds):
        self.store.advance(seconds)
        self.now += seconds

    @invariant()
    def look(self):
        """A lane is told of what it can have, and of nothing sooner."""
        due = [due_at for number, due_at in self.due.items() if not self.blocked(number)]
        seen = self.outbox.look("crm").due_in
        assert seen == (about(max(0.0, min(due) - self.now)) if due else None)


@pytest.mark.parametrize("kind", STORES)
def test_any_order(kind):
    """Claims, outcomes, releases and ended leases in any order: one holder at a time, each key in order, nothing lost."""
    limits = settings(max_examples=25, stateful_step_count=25, suppress_health_check=list(HealthCheck))

    run_state_machine_as_test(type(kind, (AnyOrder,), {"kind": kind}), settings=limits)
