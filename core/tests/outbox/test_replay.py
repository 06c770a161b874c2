"""What every store promises of a replay."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from outbox.stores import LEASE, claimed, dead, entry, keyed, later, settlement
from supertokens_events.outbox import DeliveryState, NewDelivery, Replayed, Selection
from supertokens_events.outbox.replaying import GRACE, HELD, LIVE, RESUMABLE

CRM = Selection("crm")


def kill(outbox, *sinks, **fields):
    """An event whose deliveries are dead; its id."""
    stored = entry(*sinks, **fields)
    outbox.append([stored])
    for sink in sinks:
        outbox.settle([dead(claim) for claim in outbox.claim(sink, 10, LEASE)])
    return stored.event.id


def finish(outbox, sink):
    """Deliver what is due for a sink; how many that were."""
    return outbox.settle([settlement(claim) for claim in outbox.claim(sink, 100, LEASE)])


def replay(outbox, selection, *, by="ada", asked="the same words", **options):
    """A whole replay; what came of it."""
    run = outbox.begin_replay(selection, asked=asked, by=by, **options)
    found = outbox.replay(run, by=by)
    outbox.end_replay(run)
    return found


def states(outbox, **asked):
    """The states of the deliveries that match."""
    return [str(delivery.state) for delivery in outbox.deliveries(**asked)]


def test_as_if_new(outbox, store):
    """What is replayed is due at once, under the same event id, with its whole schedule before it; its log goes on."""
    event_id = kill(outbox, "crm")
    store.advance(1000)

    assert replay(outbox, CRM) == Replayed(due=1)

    (claim,) = outbox.claim("crm", 10, LEASE)
    assert (claim.delivery.event_id, claim.used, claim.age, claim.delivery.attempt) == (event_id, 0, 0.0, 3)
    outbox.settle([settlement(claim)])
    (delivery,) = outbox.deliveries()
    assert [(a.number, a.outcome, a.reason) for a in delivery.attempts] == [
        (1, "rejected", "gone"),
        (2, "replayed", "by ada"),
        (3, "delivered", None),
    ]
    assert delivery.attempts[1].detail == {"by": "ada"}
    assert delivery.attempts[1].started_at == pytest.approx(store.now(), abs=0.9)


def test_an_earlier_holder(outbox):
    """Who settled a delivery before it was replayed, and does so once more, changes nothing."""
    outbox.append([entry("crm")])
    (claim,) = outbox.claim("crm", 1, LEASE)
    outbox.settle([dead(claim)])
    replay(outbox, CRM)

    assert outbox.settle([dead(claim)]) == 0
    assert states(outbox) == ["pending"]


def test_counted_first(outbox):
    """What a replay would come to is counted, and nothing changes."""
    kill(outbox, "crm")
    erased = kill(outbox, "crm", user_id="eve")
    outbox.append([entry("crm"), entry(NewDelivery("crm", DeliveryState.DEAD, f"{HELD}'x' raised KeyError"))])
    outbox.erase("eve")

    assert outbox.replayable(CRM) == Replayed(due=1, held=1, erased=1)
    assert outbox.replayable(Selection(event_ids=(erased,))) == Replayed(erased=1)
    assert states(outbox) == ["dead", "dead", "pending", "dead"]
    assert [len(delivery.attempts) for delivery in outbox.deliveries()] == [1, 1, 0, 0]


def test_range(outbox, store):
    """A range is of one sink, one state, some types, and a time from its beginning until before its end."""
    for event_type in ("user.created", "session.created", "user.created"):
        kill(outbox, "crm", "audit", event_type=event_type)
        store.advance(100)
    middle = outbox.events()[1].stored_at

    def found(**asked):
        return outbox.replayable(Selection("crm", **asked)).due

    assert found() == 3
    assert found(types=("user.created",)) == 2
    assert found(types=()) == 0
    assert found(since=middle) == 2
    assert found(until=middle) == 1
    assert found(since=middle, until=middle + 50, types=("session.created",)) == 1
    assert found(state=DeliveryState.DONE) == 0
    assert replay(outbox, Selection("crm", since=middle)) == Replayed(due=2)
    assert states(outbox, sink="crm") == ["dead", "pending", "pending"]
    assert states(outbox, sink="audit") == ["dead", "dead", "dead"]


def test_ids(outbox):
    """Of the events that are named: all their deliveries, or those of one sink; in another state than asked, they stay."""
    first, second = kill(outbox, "crm", "audit"), kill(outbox, "crm")
    outbox.append([waiting := entry("crm")])

    assert outbox.replayable(Selection(event_ids=(first, second, waiting.event.id, "evt_none"))) == Replayed(
        due=3, pending=1
    )
    assert replay(outbox, Selection("audit", event_ids=(first, second))) == Replayed(due=1)
    assert finish(outbox, "audit") == 1
    assert outbox.replayable(Selection(event_ids=(first,))) == Replayed(due=1, done=1)
    assert outbox.replayable(Selection(event_ids=(first,), state=DeliveryState.SKIPPED)) == Replayed(dead=1, done=1)


def test_in_steps(outbox):
    """A replay goes on after where it stopped, and says when there is no more."""
    for _ in range(5):
        kill(outbox, "crm")
    run = outbox.begin_replay(CRM, asked="crm", by="ada")

    found, after = [], 0
    while after is not None:
        step = outbox.replay(run, by="ada", after=after, limit=2)
        found.append(step.due)
        after = step.last

    assert found == [2, 2, 1]


@pytest.mark.parametrize("state", [DeliveryState.DONE, DeliveryState.SKIPPED])
def test_only_when_asked(outbox, store, state):
    """What is done or skipped is replayed when that is asked for, and only then."""
    outbox.append([entry(NewDelivery("crm", state))])
    store.advance(1)

    assert replay(outbox, CRM) == Replayed()
    assert replay(outbox, CRM._replace(state=state)) == Replayed(due=1)
    assert states(outbox) == ["pending"]


def test_to_another_sink(outbox):
    """To another sink goes what that one has not: no subscription is asked, and what it waits for or has is left alone."""
    for sinks in (("crm",), ("crm", "new"), ("crm",)):
        kill(outbox, *sinks, user_id="ada", tenant_id="t1")
    outbox.append([entry("new", "crm")])
    outbox.settle([dead(claim) for claim in outbox.claim("crm", 10, LEASE)])
    to_new = Selection("crm", to="new")

    assert outbox.replayable(to_new) == Replayed(due=3, pending=1)
    assert replay(outbox, to_new) == Replayed(due=3, pending=1)
    assert states(outbox, sink="new") == ["pending"] * 4
    assert states(outbox, sink="crm") == ["dead"] * 4
    first = outbox.deliveries(sink="new")[0]
    assert [(a.number, a.outcome, a.detail) for a in first.attempts] == [(1, "replayed", {"by": "ada", "from": "crm"})]


def test_what_another_sink_has(outbox, store):
    """What the other sink has goes to it again only when that is asked for."""
    kill(outbox, "crm")
    outbox.append([both := entry("crm", "new")])
    finish(outbox, "new")
    outbox.settle([dead(claim) for claim in outbox.claim("crm", 10, LEASE)])

    named = Selection(event_ids=(both.event.id,), to="new")

    assert outbox.replayable(Selection("crm", to="new")) == Replayed(due=1, done=1)
    assert outbox.replayable(named) == Replayed(done=1)
    assert outbox.replayable(named._replace(again=True)) == Replayed(due=1)


def test_an_event_that_went_nowhere(outbox):
    """An event that no sink wanted can be sent to one by its id; it waits there in its tenant's turn and its user's order."""
    outbox.append([stored := entry(user_id="ada", tenant_id="t1"), entry(keyed("new", "ada").deliveries[0])])

    found = replay(outbox, Selection(event_ids=(stored.event.id,), to="new", ordered=True))

    assert found == Replayed(due=1)
    assert claimed(outbox.claim("new", 10, LEASE)) == [1]
    assert finish(outbox, "new") == 0


@pytest.mark.parametrize("asked", [{}, {"to": "new"}])
def test_what_a_filter_held(outbox, asked):
    """What a failing filter has held back goes out only when that is said: by its range, by its id, to whatever sink."""
    outbox.append([held := entry(NewDelivery("crm", DeliveryState.DEAD, f"{HELD}'x' raised KeyError"))])

    for selection in (Selection("crm", **asked), Selection(event_ids=(held.event.id,), **asked)):
        assert outbox.replayable(selection) == Replayed(held=1)
        assert outbox.replayable(selection._replace(held=True)) == Replayed(due=1)
    assert replay(outbox, Selection("crm", **asked)) == Replayed(held=1)


def test_order_of_users(outbox, store):
    """A replayed delivery takes its place before the later ones of its user that still wait."""
    outbox.append([keyed("crm", "ada"), keyed("crm", "ada"), keyed("crm", "ada")])
    outbox.settle([dead(claim) for claim in outbox.claim("crm", 1, LEASE)])
    (second,) = outbox.claim("crm", 1, LEASE)
    outbox.settle([later(second, 50.0)])

    assert replay(outbox, CRM) == Replayed(due=1)

    store.advance(51)
    gone = []
    while claims := outbox.claim("crm", 10, LEASE):
        gone += claimed(claims)
        outbox.settle([settlement(claim) for claim in claims])
    assert gone == [1, 2, 3]


def test_behind_an_open_breaker(outbox, store):
    """The schedule of a replayed delivery begins with the replay: an outage that is older does not end it."""
    kill(outbox, "crm")
    outbox.open_breaker("crm", failing_for=0.0, probe_in=1.0, reason="503")
    store.advance(1000)
    replay(outbox, CRM)

    assert outbox.claim_overdue("crm", 10, LEASE, 500.0) == []
    store.advance(501)
    assert len(outbox.claim_overdue("crm", 10, LEASE, 500.0)) == 1


# Two at once, and interruptions


def test_interrupted(outbox, store):
    """The same words go on with a replay that was interrupted: what it has sent already is not sent again."""
    for _ in range(4):
        outbox.append([entry("crm")])
    finish(outbox, "crm")
    store.advance(1)
    done = Selection("crm", state=DeliveryState.DONE)
    run = outbox.begin_replay(done, asked="done ones", by="ada")
    assert outbox.replay(run, by="ada", limit=2).due == 2
    finish(outbox, "crm")
    store.advance(GRACE + 3600)

    again = outbox.begin_replay(done._replace(since=5.0), asked="done ones", by="bob")

    assert again == run._replace(resumed=True)
    assert outbox.replay(again, by="bob") == Replayed(due=2, replayed=2)
    outbox.end_replay(again)
    assert not outbox.begin_replay(done, asked="done ones", by="bob").resumed


def test_begun_anew(outbox, store):
    """An interrupted replay is begun anew when that is asked for, or when a day has passed; not while it is under way."""
    run = outbox.begin_replay(CRM, asked="crm", by="ada")

    assert outbox.begin_replay(CRM, asked="crm", by="bob", anew=True).resumed
    store.advance(LIVE + 1)
    anew = outbox.begin_replay(CRM, asked="crm", by="bob", anew=True)
    assert (anew.resumed, anew.by) == (False, "bob")
    assert anew.since > run.since
    store.advance(RESUMABLE + 1)
    assert not outbox.begin_replay(CRM, asked="crm", by="eve").resumed


def test_two_ranges_at_once(outbox, store):
    """While one replays to a sink, whatever another asks for there, nothing goes out twice; to other sinks it may."""
    for _ in range(2):
        outbox.append([entry("crm", "audit")])
    finish(outbox, "crm"), finish(outbox, "audit")
    store.advance(1)
    first = outbox.begin_replay(Selection("crm", state=DeliveryState.DONE), asked="all", by="ada")
    store.advance(1)
    outbox.replay(first, by="ada")
    finish(outbox, "crm")
    store.advance(GRACE - 5)
    wider = Selection("crm", state=DeliveryState.DONE, until=store.now() + 9)

    assert outbox.replayable(wider) == Replayed(replayed=2)
    assert replay(outbox, wider, asked="until now", by="bob") == Replayed(replayed=2)
    assert outbox.replayable(wider._replace(sink="audit")) == Replayed(due=2)


def test_a_moment_ago(outbox, store):
    """What was replayed and delivered within the last minute is not sent again unless that is said."""
    outbox.append([entry("crm")])
    finish(outbox, "crm")
    store.advance(1)
    done = Selection("crm", state=DeliveryState.DONE)
    replay(outbox, done)
    finish(outbox, "crm")
    store.advance(5)

    assert outbox.replayable(done) == Replayed(replayed=1)
    assert outbox.replayable(done._replace(again=True)) == Replayed(due=1)
    store.advance(GRACE)
    assert outbox.replayable(done) == Replayed(due=1)


def test_dead_once_more(outbox, store):
    """What was replayed and died again can be replayed again at once."""
    kill(outbox, "crm")
    replay(outbox, CRM)
    outbox.settle([dead(claim) for claim in outbox.claim("crm", 1, LEASE)])
    store.advance(1)

    assert replay(outbox, CRM) == Replayed(due=1)


def test_side_by_side(outbox, store):
    """Two who replay the same range at the same moment make each delivery due once."""
    outbox.append([entry(NewDelivery("crm", DeliveryState.DEAD, "gone")) for _ in range(300)])

    def operator(name):
        mine = store.connect()
        run = mine.begin_replay(CRM._replace(to="new"), asked="crm", by=name)
        due, after = 0, 0
        while after is not None:
            step = mine.replay(run, by=name, after=after, limit=20)
            due, after = due + step.due, step.last
        return due

    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(operator, ["ada", "bob"])) == 300
    assert [len(delivery.attempts) for delivery in outbox.deliveries(sink="new", limit=1000)] == [1] * 300


def test_types(outbox):
    """The types that are stored are known, in order."""
    assert outbox.event_types() == []

    outbox.append([entry(event_type=name) for name in ("user.created", "session.created", "user.created", "app.paid")])

    assert outbox.event_types() == ["app.paid", "session.created", "user.created"]


def test_disabled(outbox):
    """The sinks that are disabled are known by name."""
    outbox.append([entry("crm")])
    outbox.settle([dead(claim)._replace(disables=True) for claim in outbox.claim("crm", 1, LEASE)])

    assert {name: disabled.reason for name, disabled in outbox.disabled().items()} == {"crm": "gone"}
