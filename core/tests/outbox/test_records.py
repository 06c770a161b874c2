"""What every store promises of the records beside the events."""

from __future__ import annotations

import pytest

from outbox.stores import dead, entry, settlement
from supertokens_events.outbox import Change, DeliveryState, Grant, NewDelivery, Retention, Told

ADA = Told("login-1", "ada", {"email": "f1", "verified": []})
BOB = Told("login-2", "bob", {"email": None}, own_id="inner-2")


@pytest.fixture
def records(outbox):
    return outbox.records


class TestBookmarks:
    def test_nothing_at_first(self, records):
        """Nobody has kept anything."""
        assert records.bookmark("crm") is None

    def test_kept_for_others(self, store, records):
        """What one keeps, another connection finds."""
        assert records.keep("crm", "1", None)

        assert store.connect().records.bookmark("crm") == "1"

    def test_moves_from_what_it_was(self, records):
        """Whoever says what it was may move it; under another name nothing changes."""
        records.keep("crm", "1", None)
        records.keep("audit", "1", None)

        assert records.keep("crm", "2", "1")
        assert (records.bookmark("crm"), records.bookmark("audit")) == ("2", "1")

    @pytest.mark.parametrize("was", [None, "0"])
    def test_refuses_who_comes_too_late(self, records, was):
        """Another has gone on meanwhile: nothing changes, the record neither."""
        records.keep("crm", "1", None)

        assert not records.keep("crm", "2", was, Change([ADA]))
        assert records.bookmark("crm") == "1"
        assert records.told(["ada"]) == []


class TestTurns:
    def test_one_takes_it(self, store, records):
        """Two ask, one may."""
        assert records.take_turn("compare", 60.0)
        assert not store.connect().records.take_turn("compare", 60.0)

    def test_comes_again(self, store, records):
        """Once the time is over, the next one may."""
        records.take_turn("compare", 60.0)
        store.advance(61.0)

        assert records.take_turn("compare", 60.0)

    def test_a_shorter_wait_holds_at_once(self, records):
        """Who waited for a year until the configuration was changed does not wait for that year."""
        records.take_turn("compare", 365 * 86400.0)

        assert records.take_turn("compare", 60.0)

    def test_is_no_bookmark(self, records):
        """A turn under a name is not a value under it, and is in the way of none."""
        records.take_turn("compare", 60.0)

        assert records.bookmark("compare") is None
        assert records.keep("compare", "1", None)


class TestTold:
    @pytest.fixture(autouse=True)
    def kept(self, records):
        records.keep("reconcile", "1", None, Change([ADA, BOB]))

    @pytest.mark.parametrize("id_", ["login-2", "bob", "inner-2"])
    def test_found_by_each_id(self, records, id_):
        """By the login method, the user and the core's own id; once."""
        assert records.told([id_, "bob"]) == [BOB]

    def test_replaced(self, records):
        """The latest row stands."""
        later = ADA._replace(user_id="bob", facts={"email": "f2"})
        records.keep("reconcile", "2", "1", Change([later]))

        assert records.told(["login-1"]) == [later]

    def test_gone(self, records):
        """What is forgotten is found no more."""
        records.keep("reconcile", "2", "1", Change(gone=["login-1"]))

        assert records.told(["ada", "bob"]) == [BOB]

    def test_by_the_page(self, records):
        """In order of the login methods, after one of them."""
        assert records.told_after("", 1) == [ADA]
        assert records.told_after("login-1", 10) == [BOB]

    def test_anew(self, records):
        """Everything is forgotten, and what is kept with it is there."""
        records.keep("reconcile", "2", "1", Change([BOB], grants=[(True, Grant("t1", "admin", "bob"))]))
        records.keep("reconcile", "3", "2", Change([ADA], anew=True))

        assert records.told_after("", 10) == [ADA]
        assert records.grants() == set()

    def test_erased(self, outbox, records):
        """Of an erased user it stays that there is one, but nothing that was told."""
        records.keep("reconcile", "2", "1", Change(grants=[(True, Grant("t1", "admin", "bob"))]))

        outbox.erase("bob")

        assert records.told(["bob"]) == [BOB._replace(facts={"erased": True})]
        assert records.told(["ada"]) == [ADA]
        assert records.holders("t1", "admin") == set()


class TestGrants:
    def test_given_and_taken_back(self, records):
        """In the order in which they come."""
        granted = [(True, Grant("t1", "admin", "ada")), (True, Grant("t1", "admin", "bob"))]
        records.keep("reconcile", "1", None, Change(grants=[*granted, (False, Grant("t1", "admin", "ada"))]))

        assert records.holders("t1", "admin") == {"bob"}

    def test_given_twice(self, records):
        """Is as good as once."""
        records.keep("reconcile", "1", None, Change(grants=[(True, Grant("t1", "admin", "ada"))] * 2))

        assert records.holders("t1", "admin") == {"ada"}

    @pytest.mark.parametrize(
        ("taken", "left"),
        [
            (Grant(None, "admin", None), {("t1", "")}),
            (Grant("t1", None, None), {("", "admin"), ("t2", "admin")}),
            (Grant(None, None, "ada"), {("", "admin"), ("t1", "")}),
        ],
        ids=["a role", "a tenant", "a user"],
    )
    def test_taken_back_by_what_they_are_of(self, records, taken, left):
        """A role, a tenant or a user that goes takes its grants along."""
        there = [Grant(role="admin"), Grant(tenant_id="t1"), Grant("t1", "admin", "ada"), Grant("t2", "admin", "ada")]
        records.keep("reconcile", "1", None, Change(grants=[(True, one) for one in there]))

        records.keep("reconcile", "2", "1", Change(grants=[(False, taken)]))

        assert records.grants() == left


class TestStretches:
    def test_of_some_types(self, outbox, records):
        """Only the types that are asked for, and how far they were looked for."""
        outbox.append(
            [entry(event_type="user.created"), entry(event_type="session.created"), entry(event_type="user.deleted")]
        )

        stretch = records.stretch(0, 2, ["user.created", "user.deleted"])

        assert [event.sequence for event in stretch.events] == [1]
        assert (stretch.through, stretch.missing) == (2, 0)

    def test_says_what_is_missing(self, store, outbox, records):
        """Events that went are counted: what they said nobody knows."""
        outbox.append([entry(), entry("crm"), entry()])
        store.advance(10.0)
        outbox.prune(Retention(events=5.0))

        stretch = records.stretch(0, 100, [])

        assert (stretch.through, stretch.missing) == (3, 2)

    def test_at_the_end(self, outbox, records):
        """There is nothing after the last one."""
        outbox.append([entry()])

        assert records.stretch(1, 100, ["user.created"]) == ([], 1, 0)

    def test_complete_since(self, store, outbox, records):
        """From the first event on; after some went, from the one after the last of those."""
        assert records.complete_since() is None
        outbox.append([entry("crm"), entry(), entry("crm")])
        assert records.complete_since() == (1, pytest.approx(store.now(), abs=0.5))
        store.advance(10.0)
        outbox.prune(Retention(events=5.0))

        assert records.complete_since()[0] == 3


class TestHad:
    @pytest.mark.parametrize(
        ("delivery", "has"),
        [
            (NewDelivery("crm"), True),
            (NewDelivery("crm", DeliveryState.DEAD, "held"), True),
            (NewDelivery("crm", DeliveryState.SKIPPED, "off"), False),
            (NewDelivery("audit"), False),
        ],
        ids=["pending", "dead", "skipped", "another's"],
    )
    def test_what_waits_or_was_refused(self, outbox, records, delivery, has):
        """An event that waits for the sink, or is its dead letter; not one that was skipped, nor another sink's."""
        outbox.append([entry(delivery, event_type="user.created", user_id="ada")])

        assert bool(records.had("crm", ["user.created"], ["ada", "bob"])) is has

    def test_what_was_delivered(self, outbox, records):
        """One that the sink has."""
        outbox.append([entry("crm", event_type="user.created", user_id="ada")])
        (claim,) = outbox.claim("crm", 1, 60.0)
        outbox.settle([settlement(claim)])

        (had,) = records.had("crm", ["user.created"], ["ada"])

        assert (had.sequence, had.user_id) == (1, "ada")

    def test_of_the_users_and_types_asked_for(self, outbox, records):
        """Another user's, or of another type, is not among them."""
        outbox.append(
            [
                entry("crm", event_type="user.created", user_id="ada"),
                entry("crm", event_type="user.deleted", user_id="bob"),
            ]
        )
        outbox.settle([dead(claim) for claim in outbox.claim("crm", 2, 60.0)])

        assert records.had("crm", ["user.created"], ["bob"]) == []
