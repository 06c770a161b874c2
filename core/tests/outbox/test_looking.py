"""What every store finds for a person who looks."""

import pytest

from outbox.stores import LEASE, dead, entry, keyed, settlement
from supertokens_events.outbox import DeliveryState, NewDelivery, Pulse, Wanted
from supertokens_events.outbox import looking as looking_module


@pytest.fixture(params=["few", "many"])
def amount(request, monkeypatch):
    """The same answers whether rows are few enough to be sorted or not."""
    if request.param == "many":
        monkeypatch.setattr(looking_module, "_FEW", 0)


@pytest.fixture
def full(outbox, store):
    """Twelve events a minute apart: of three types, two tenants, three users and six requests, to two sinks."""
    types = ["user.created", "session.created", "app.paid"]
    for number in range(12):
        sinks = [
            NewDelivery("crm", [DeliveryState.PENDING, DeliveryState.DEAD][number % 2], "why"),
            NewDelivery("audit", DeliveryState.SKIPPED),
        ]
        fields = {"tenant_id": f"t{number // 6}", "user_id": f"u{number % 3}", "correlation_id": f"cor_{number // 2}"}
        outbox.append([entry(*sinks, event_type=types[number % 3], **fields)])
        store.advance(60)
    return outbox


WANTED = [
    (Wanted(), range(1, 13)),
    (Wanted(types=("user.created",)), [1, 4, 7, 10]),
    (Wanted(types=("user.created", "app.paid")), [1, 3, 4, 6, 7, 9, 10, 12]),
    (Wanted(types=()), []),
    (Wanted(tenant_id="t1"), range(7, 13)),
    (Wanted(user_id="u2"), [3, 6, 9, 12]),
    (Wanted(user_id="u2", tenant_id="t0", types=("app.paid",)), [3, 6]),
    (Wanted(user_id="u2", types=("user.created",)), []),
    (Wanted(correlation_id="cor_2"), [5, 6]),
    (Wanted(correlation_id="cor_2", types=("app.paid",)), [6]),
    (Wanted(tenant_id="nobody"), []),
]


@pytest.mark.usefixtures("amount")
def test_events(full):
    """Events are found by type, tenant, user and request, alone and together: the latest, or the first after a cursor."""

    def found(wanted, **options):
        return [event.sequence for event in full.events(wanted=wanted, **options)]

    for wanted, sequences in WANTED:
        every = list(sequences)
        assert found(wanted) == every, wanted
        assert found(wanted, limit=2) == every[-2:], wanted
        assert found(wanted, limit=2, after=4) == [n for n in every if n > 4][:2], wanted


@pytest.mark.usefixtures("amount")
def test_deliveries(full):
    """So are deliveries, by their events, their sink and their state."""
    for wanted, sequences in WANTED:
        dead_ones = wanted._replace(sink="crm", state=DeliveryState.DEAD)
        even = [n for n in sequences if n % 2 == 0]
        assert [(one.sequence, one.sink) for one in full.deliveries(wanted=dead_ones)] == [(n, "crm") for n in even], (
            wanted
        )
        pending = full.deliveries(wanted=wanted._replace(state=DeliveryState.PENDING))
        assert [one.sequence for one in pending] == [n for n in sequences if n % 2], wanted
        assert len(full.deliveries(wanted=wanted._replace(sink="audit"))) == len(sequences), wanted
        assert full.deliveries(wanted=wanted._replace(sink="nobody")) == [], wanted


@pytest.mark.usefixtures("amount")
def test_pages(full):
    """A cursor misses no delivery and repeats none."""
    for wanted, sequences in WANTED:
        pages, after = [], (0, 0)
        while page := full.deliveries(wanted=wanted, after=after, limit=3):
            pages += [one.id for one in page]
            after = page[-1].cursor
        assert pages == [one.id for one in full.deliveries(wanted=wanted)], wanted
        assert len(pages) == 2 * len(sequences), wanted


def test_times(full):
    """A time is a range from its beginning until before its end."""
    moments = [event.stored_at for event in full.events()]
    wanted = Wanted(since=moments[3], until=moments[7])

    assert [event.sequence for event in full.events(wanted=wanted)] == [4, 5, 6, 7]
    assert {one.sequence for one in full.deliveries(wanted=wanted)} == {4, 5, 6, 7}
    assert [event.sequence for event in full.events(wanted=Wanted(until=moments[2], user_id="u0"))] == [1]
    assert full.events(wanted=Wanted(since=moments[-1] + 99)) == []


def test_growth(full):
    """How many were stored in a span is known; of an empty outbox too."""
    assert full.stored_within(5 * 60 + 30) == 5
    assert full.stored_within(86400) == 12


def test_no_growth(outbox):
    """Nothing was stored in an empty outbox."""
    assert outbox.stored_within(3600) == 0


def test_who_waits_for_whom(outbox, store):
    """A delivery says who has it and until when, and which event it waits for."""
    first = keyed("crm", "ada")
    outbox.append([first, keyed("crm", "ada")])
    (claim,) = outbox.claim("crm", 10, LEASE)

    one, two = outbox.deliveries()

    assert one.held_until == pytest.approx(store.now() + LEASE, abs=0.9)
    assert (one.behind, two.behind, two.held_until) == (None, first.event.id, None)
    outbox.settle([dead(claim)])
    assert [delivery.behind for delivery in outbox.deliveries()] == [None, None]
    assert outbox.deliveries()[0].held_until is None


def test_dispatchers(outbox, store):
    """A dispatcher that gives signs of life is known, with the sinks it leads, until it ends or has long given none."""
    first, second = Pulse("a", "host1", 11, "0.1.0", ("crm",)), Pulse("b", "host2", 12, "0.1.0")
    outbox.beat(first)
    store.advance(20)
    outbox.beat(second)
    store.advance(15)
    outbox.beat(second._replace(leads=("audit",)))

    one, two = outbox.dispatchers()

    assert (one.pulse, one.is_silent, two.is_silent) == (first, True, False)
    assert one.silent == pytest.approx(35, abs=0.9)
    assert (two.pulse.leads, two.silent) == (("audit",), pytest.approx(0, abs=0.9))
    assert two.seen_at - two.began_at == pytest.approx(15, abs=0.9)
    outbox.leave("b")
    assert [dispatching.pulse.id for dispatching in outbox.dispatchers()] == ["a"]
    store.advance(3600)
    assert outbox.dispatchers() == []


def test_the_latest_failure_and_success(outbox, store):
    """What failed last and when something was last delivered are told of each sink, after a replay too."""
    outbox.append([entry("crm"), entry("crm")])
    first, second = outbox.claim("crm", 2, LEASE)
    outbox.settle([settlement(first)])
    store.advance(10)
    outbox.settle([dead(second, "gone")])

    (crm,) = outbox.status()

    assert (crm.done, crm.dead, crm.pending, crm.last_reason) == (1, 1, 0, "gone")
    assert crm.last_failure - crm.last_success == pytest.approx(10, abs=0.9)
