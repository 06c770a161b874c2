"""What is left of a person, on every store: nothing but that something happened."""

import json

import pytest

from outbox.stores import LEASE, claimed, dead, disabling, entry, later
from supertokens_events.outbox import ERASED, GONE, Change, DeliveryState, Erased, Grant, Names, Told

CANARY = "find-me"
USER = Names(("u1",))


def reasons(outbox):
    """Everything that a sink said, wherever it is kept."""
    deliveries = outbox.deliveries(limit=1000)
    yield from (delivery.reason for delivery in deliveries)
    for delivery in deliveries:
        yield from ((attempt.reason, dict(attempt.detail)) for attempt in delivery.attempts)
    yield from ((one.reason, dict(one.detail)) for one in outbox.breakers().values())
    yield from (one.reason for one in outbox.disabled().values())
    yield from (one.last_reason for one in outbox.status())


class TestWhom:
    def test_naming(self, outbox):
        """Events that name somebody come in order, page by page: by user, by any value, and those about nobody by an address."""
        outbox.append(
            [
                entry(user_id="u1", data={}),
                entry(user_id="u2", data={"by": "u1"}),
                entry(user_id=None, data={"email": "a@b.c"}),
                entry(user_id="u2", data={"email": "a@b.c"}),
                entry(user_id=None, data={"email": "xa@b.c"}),
                entry(user_id="u3", data={}),
            ]
        )
        names = Names(("u1", "u9"), ("a@b.c",))

        first = outbox.naming(names, limit=2)
        rest = outbox.naming(names, after=first[-1].sequence, limit=2)

        assert [event.sequence for event in (*first, *rest)] == [1, 2, 3]
        assert json.loads(first[0].body)["user_id"] == "u1"
        assert outbox.naming(names, after=3) == []

    def test_erasable(self, outbox):
        """What would go is counted and stays; then as much goes."""
        outbox.append([entry("crm", "audit", user_id="u1"), entry("crm", user_id=None, data={"to": "a@b.c"}), entry()])
        outbox.settle([later(claim, 9) for claim in outbox.claim("crm", 10, LEASE)])
        names = Names(("u1",), ("a@b.c",))

        found = outbox.erasable(names)

        assert found == Erased(events=2, deliveries=3, attempts=2)
        assert [event.body is None for event in outbox.events()] == [False, False, False]
        assert outbox.erase(names) == found
        assert outbox.erasable(names) == Erased()

    def test_what_was_told(self, outbox):
        """What was kept of a user to compare with the core goes too, by every id, and is counted."""
        told = [Told("u1", "u1", {"email": "f1"}), Told("u2", "u9", {"email": "f2"}), Told("u3", "u3", {}, "u8")]
        grants = [(True, Grant("public", "admin", "u1")), (True, Grant("public", "admin", "u5"))]
        outbox.records.keep("mark", "1", None, Change(kept=told, grants=grants))
        names = Names(("u1", "u9", "u8"))

        assert outbox.erasable(names) == outbox.erase(names) == Erased(records=4)

        assert outbox.records.holders("public", "admin") == {"u5"}
        assert [row.facts for row in outbox.records.told(["u1", "u2", "u3"])] == [{"erased": True}] * 3
        assert outbox.erase(names) == Erased()


class TestWhatSinksSaid:
    def test_everywhere(self, outbox):
        """A receiver may repeat what it got: what it said is nowhere any more. Who replayed stays."""
        outbox.append([entry("crm", "gone", "audit", user_id="u1")])
        outbox.settle([dead(*outbox.claim("crm", 1, LEASE), CANARY)])
        outbox.settle([disabling(*outbox.claim("gone", 1, LEASE), CANARY)])
        outbox.settle([later(*outbox.claim("audit", 1, LEASE), 9, answer=CANARY)])
        outbox.open_breaker("audit", failing_for=0.0, probe_in=5.0, reason=CANARY, detail={"body": CANARY})

        assert outbox.erase("u1") == Erased(events=1, deliveries=1, attempts=3)

        assert CANARY not in str(list(reasons(outbox)))
        assert {(one.sink, one.state, one.reason) for one in outbox.deliveries()} == {
            ("crm", "dead", GONE),
            ("gone", "dead", GONE),
            ("audit", "dead", ERASED),
        }
        assert [one.attempts[0].outcome for one in outbox.deliveries()] == ["rejected", "rejected", "retry"]

    def test_of_others(self, outbox):
        """What was said about others stays with their deliveries."""
        outbox.append([entry("crm", user_id="u1"), entry("crm", user_id="u2", data={})])
        outbox.settle([dead(claim, f"no {claim.delivery.sequence}") for claim in outbox.claim("crm", 2, LEASE)])

        outbox.erase("u1")

        assert [delivery.reason for delivery in outbox.deliveries()] == [GONE, "no 2"]

    def test_reports(self, outbox):
        """Events that repeat why such an event was not delivered go with it; those about others stay."""
        mine, other = entry("crm", user_id="u1"), entry("crm", user_id="u2", data={})
        outbox.append([mine, other])
        outbox.settle([disabling(*outbox.claim("crm", 1, LEASE), CANARY)])
        reports = [
            entry("audit", event_type="delivery.exhausted", user_id=None, data={"about_event_id": mine.event.id}),
            entry("audit", event_type="delivery.exhausted", user_id=None, data={"about_event_id": other.event.id}),
            entry("audit", event_type="sink.disabled", user_id=None, data={"sink": "crm", "why": CANARY}),
            entry("audit", event_type="sink.disabled", user_id=None, data={"sink": "audit", "why": CANARY}),
        ]
        outbox.append(reports)

        assert outbox.erasable(USER).events == outbox.erase("u1").events == 3

        assert [event.sequence for event in outbox.events() if event.body is None] == [1, 3, 5]
        assert claimed(outbox.claim("audit", 9, LEASE)) == [4, 6]


class TestWhatIsOut:
    """An event that is erased while a sink has it."""

    @pytest.fixture
    def out(self, outbox):
        outbox.append([entry("crm", user_id="u1")])
        return outbox.claim("crm", 1, LEASE)[0]

    @pytest.mark.parametrize("finish", [dead, disabling, lambda claim, reason: later(claim, 9, answer=reason)])
    def test_late_outcome(self, outbox, out, finish):
        """What it brings back is not written down, not even that the place wants no more."""
        outbox.erase("u1")

        assert outbox.settle([finish(out, CANARY)]) == 0

        assert CANARY not in str(list(reasons(outbox)))
        assert outbox.disabled() == {}
        (delivery,) = outbox.deliveries()
        assert (delivery.state, delivery.reason, delivery.attempts) == (DeliveryState.DEAD, ERASED, ())

    def test_late_release(self, outbox, out):
        """It cannot be given back."""
        outbox.erase("u1")
        outbox.release([out])

        assert outbox.claim("crm", 1, LEASE) == []

    def test_late_probe(self, outbox, out):
        """A probe that fails opens the breaker, without what it brought back."""
        outbox.release([out])
        outbox.erase("u1")
        about = [out.delivery.event_id, "evt_unknown"]
        outbox.open_breaker("crm", failing_for=0.0, probe_in=5.0, reason=CANARY, detail={"body": CANARY}, about=about)

        assert (outbox.breakers()["crm"].reason, outbox.breakers()["crm"].detail) == (GONE, {})


class TestTheEventThatSaysSo:
    def says(self, seen):
        def tell(erased):
            seen.append(erased)
            return entry("crm", event_type="user.data_erased", user_id="u1", data={"user_ids": ["u1"]})

        return tell

    def test_is_stored_with_it(self, outbox):
        """It has what was erased, is stored with its deliveries, and stands whatever is erased later."""
        outbox.append([entry("crm", user_id="u1")])
        seen = []

        erased = outbox.erase("u1", self.says(seen))

        assert seen == [erased]
        assert [(event.sequence, event.body is None) for event in outbox.events()] == [(1, True), (2, False)]
        assert claimed(outbox.claim("crm", 9, LEASE)) == [2]
        assert outbox.erase("u1", self.says(seen)) == Erased()
        assert outbox.append([entry()]) == [3]
        assert len(seen) == 1

    def test_nothing_is_half_erased(self, outbox):
        """When it cannot be stored, nothing is erased."""
        outbox.append([entry("crm", user_id="u1")])
        outbox.settle([later(*outbox.claim("crm", 1, LEASE), 0, answer="hello")])

        def fails(_erased):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            outbox.erase("u1", fails)

        assert outbox.events()[0].body is not None
        assert outbox.erasable(USER) == Erased(events=1, deliveries=1, attempts=1)

    def test_what_comes_meanwhile(self, outbox, store):
        """What another stores while the outbox is searched is found as well, under the lock."""
        other = store.connect()
        outbox.append([entry(user_id=None, data={"by": "u1"})])
        searches = []

        class SlowNames(Names):
            """Names whose first search finds nothing, and takes as long as it takes another to store an event."""

            @property
            def id_needles(self):
                searches.append(other.append([entry(user_id=None, data={"by": "u1"})]) if not searches else [])
                return [b"nothing"] if len(searches) == 1 else super().id_needles

        assert outbox.erase(SlowNames(("u1",))).events == 1
        assert [event.body is None for event in outbox.events()] == [False, True]


def test_deleted_users(outbox):
    """Who is erased after user.deleted loses what sinks said too; what they said last about others stays."""
    outbox.append([entry("crm", user_id="u1"), entry("crm", user_id="u2", data={})])
    for reason in (CANARY, "other"):
        outbox.settle([dead(*outbox.claim("crm", 1, LEASE), reason)])
    outbox.append([entry(event_type="user.deleted", user_id="u1")])

    assert outbox.erase_deleted() == Erased(events=2, attempts=1)

    assert CANARY not in str(list(reasons(outbox)))
    assert outbox.status()[0].last_reason == "other"
