"""What every store promises of the sinks that are made through the API."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from outbox.stores import LEASE, claimed, disabling, entry, keyed, settlement
from supertokens_events.outbox import DeliveryState

SETTINGS = {"events": ["*"], "url": "https://crm.example.com/h\u00f6oks", "retry": {"schedule": [0, 1.5]}}


def make(outbox, name="crm", **changes):
    return outbox.store_sink(name, "webhook", SETTINGS, enabled=True, **changes)


def states(outbox, sink="crm"):
    return [(delivery.state, delivery.reason) for delivery in outbox.deliveries(sink=sink)]


class TestStoredSinks:
    """Made, changed, removed, and seen by everybody."""

    def test_none(self, outbox):
        """A new store has none."""
        assert outbox.stored_sinks() == []

    def test_a_new_one(self, outbox, store):
        """It is there as it was given, for every process, and its settings are in no repr."""
        made = make(outbox)

        (found,) = store.connect().stored_sinks()
        assert found == made
        assert (found.name, found.type, found.settings, found.enabled) == ("crm", "webhook", SETTINGS, True)
        assert found.created_at == found.updated_at == pytest.approx(store.now(), abs=0.9)
        assert "example" not in repr(found)

    def test_by_name(self, outbox):
        """They come in order of their names, whatever the database's language says."""
        for name in ("b", "B", "a", "_"):
            make(outbox, name)

        assert [sink.name for sink in outbox.stored_sinks()] == ["B", "_", "a", "b"]

    def test_a_name_is_taken_once(self, outbox):
        """A second one of the same name changes nothing."""
        first = make(outbox)

        assert outbox.store_sink("crm", "file", {}, enabled=False) is None
        assert outbox.stored_sinks() == [first]

    def test_a_change(self, outbox, store):
        """Who knows the revision changes the sink, which has another one then."""
        made = make(outbox)
        store.advance(5)

        changed = outbox.store_sink("crm", "webhook", {"events": ["user.*"]}, enabled=False, revision=made.revision)

        assert changed.revision > made.revision
        assert (changed.settings, changed.enabled, changed.created_at) == (
            {"events": ["user.*"]},
            False,
            made.created_at,
        )
        assert outbox.stored_sinks() == [changed]

    def test_an_old_revision(self, outbox):
        """Who does not know of the last change changes nothing, and removes nothing."""
        made = make(outbox)
        changed = make(outbox, revision=made.revision)

        assert make(outbox, revision=made.revision) is None
        assert not outbox.remove_sink("crm", made.revision)
        assert make(outbox, "audit", revision=changed.revision) is None
        assert outbox.stored_sinks() == [changed]

    def test_revision(self, outbox, store):
        """Each change has another number, a removal too; whoever reads twice sees that something has changed."""
        other = store.connect()
        seen = [other.sinks_revision()]
        made = make(outbox)
        seen.append(other.sinks_revision())
        assert made.revision == seen[-1]
        changed = make(outbox, revision=made.revision)
        seen.append(other.sinks_revision())
        assert outbox.remove_sink("crm", changed.revision)
        seen.append(other.sinks_revision())

        assert seen == sorted(set(seen))

    def test_one_wins(self, outbox, store):
        """Of several that change the same revision at once one does."""
        made = make(outbox)
        outboxes = [store.connect() for _ in range(4)]
        with ThreadPoolExecutor(4) as threads:
            changed = list(threads.map(lambda one: make(one, revision=made.revision), outboxes))

        assert len([one for one in changed if one is not None]) == 1


class TestRemoved:
    """What becomes of a sink that goes."""

    def test_nothing_is_left_of_it(self, outbox):
        """With it go its breaker and what had disabled it: another one of the same name begins anew."""
        made = make(outbox)
        outbox.append([entry("crm")])
        outbox.settle([disabling(outbox.claim("crm", 1, LEASE)[0])])
        outbox.open_breaker("crm", failing_for=1.0, probe_in=5.0, reason="503")

        assert outbox.remove_sink("crm", made.revision)
        assert outbox.stored_sinks() == []
        assert outbox.breakers() == {}
        assert outbox.enable("crm") is None

    def test_skip(self, outbox):
        """What waits for it is skipped with a reason, a few at a time; what is done and what is another's stays."""
        outbox.append([entry("crm", "audit") for _ in range(4)])
        outbox.settle([settlement(outbox.claim("crm", 1, LEASE)[0])])

        assert [outbox.skip("crm", "the sink was deleted", 2) for _ in range(3)] == [2, 1, 0]
        assert states(outbox) == [(DeliveryState.DONE, None), *[(DeliveryState.SKIPPED, "the sink was deleted")] * 3]
        assert claimed(outbox.claim("audit", 9, LEASE)) == [1, 2, 3, 4]

    def test_skip_what_is_held(self, outbox):
        """What a dispatcher holds is skipped too: what it says later changes nothing."""
        outbox.append([entry("crm")])
        (claim,) = outbox.claim("crm", 1, LEASE)
        outbox.skip("crm", "gone")

        assert outbox.settle([settlement(claim)]) == 0
        assert states(outbox) == [(DeliveryState.SKIPPED, "gone")]

    def test_skip_in_order(self, outbox):
        """Of what waits behind another of its user nothing comes free."""
        outbox.append([keyed("crm", "u1") for _ in range(3)])
        while outbox.skip("crm", "gone", 1):
            pass

        assert outbox.claim("crm", 9, LEASE) == []
        assert states(outbox) == [(DeliveryState.SKIPPED, "gone")] * 3

    def test_not_while_it_is_there(self, outbox):
        """Nothing is skipped for a sink of this name that has been made meanwhile."""
        outbox.append([entry("crm")])
        make(outbox)

        assert outbox.skip("crm", "gone") == 0
        assert len(outbox.claim("crm", 1, LEASE)) == 1
