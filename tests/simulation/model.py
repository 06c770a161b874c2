"""What the outbox must have promised, kept beside it: every call is checked against it, and the end against all of it."""

from collections import defaultdict
from dataclasses import dataclass, field

from supertokens_events.outbox import DeliveryState

_TINY = 1e-6  # seconds that a float may be off


class Broken(AssertionError):
    """An invariant does not hold. The text says which, of what."""


@dataclass
class Expected:
    """One delivery as it must be."""

    sequence: int
    event_id: str
    sink: str
    key: str | None
    due_at: float
    state: DeliveryState = DeliveryState.PENDING
    fence: int = 0
    held_until: float | None = None
    used: int = 0
    final: int = 0
    received: int = 0
    settled: list = field(default_factory=list)


class Model:
    """The deliveries that were committed, and every claim and settlement since."""

    def __init__(self, clock):
        self._clock = clock
        self.deliveries = {}
        self._by_key = defaultdict(list)
        self.emitted = set()
        self.acknowledged = set()
        self.given_up = set()

    # What happened -------------------------------------------------------------------------------------------------

    def appended(self, entries, sequences):
        """Committed, whether or not the caller has heard of it."""
        for entry, sequence in zip(entries, sequences, strict=True):
            for new in entry.deliveries:
                name = (entry.event.id, new.sink)
                if name in self.deliveries:
                    continue
                expected = Expected(sequence, entry.event.id, new.sink, new.ordering_key, self._clock())
                self.deliveries[name] = expected
                if new.ordering_key is not None:
                    self._by_key[new.sink, new.ordering_key].append(expected)

    def claimed(self, claims, lease, *, overdue=False):
        """Each was due, held by nobody, and first of its key."""
        now = self._clock()
        for claim in claims:
            one = self._of(claim)
            self._must(one.state is DeliveryState.PENDING, one, "claimed though it is settled")
            self._must(one.held_until is None or one.held_until <= now + _TINY, one, "claimed while another holds it")
            self._must(overdue or one.due_at <= now + _TINY, one, "claimed before it is due")
            self._must(overdue or not self._waits_for_another(one), one, "claimed before an earlier one of its key")
            self._must(claim.fence > one.fence, one, "claimed with an old fence")
            self._must(claim.used == one.used, one, "claimed with a wrong count of attempts")
            one.fence, one.held_until = claim.fence, now + lease

    def settled(self, settlements, held):
        """Those whose claim was still the last one; nobody else's."""
        count = 0
        for settlement in settlements:
            one = self._of(settlement.claim)
            if one.fence != settlement.claim.fence or one.state is not DeliveryState.PENDING or one.held_until is None:
                continue
            count += 1
            one.state, one.used, one.held_until = settlement.state, settlement.used, None
            one.due_at = self._clock() + settlement.wait
            one.settled.append(settlement.outcome)
            one.final += settlement.state is not DeliveryState.PENDING
        if count != held:
            raise Broken(f"settle() says that {held} claims were held; {count} were")

    def released(self, claims):
        for claim in claims:
            one = self._of(claim)
            if one.fence == claim.fence and one.state is DeliveryState.PENDING:
                one.held_until, one.due_at = None, self._clock()

    def breaker_closed(self, sink):
        """What had failed may be due now, or not: either is allowed."""
        for one in self.deliveries.values():
            if one.sink == sink and one.state is DeliveryState.PENDING and one.settled:
                one.due_at = min(one.due_at, self._clock())

    def received(self, event_id, sink):
        self.deliveries[event_id, sink].received += 1

    # What must be --------------------------------------------------------------------------------------------------

    def check_end(self, stored, attempts_allowed):
        """Nothing committed is lost, nothing is settled twice, and the rows say what happened."""
        found = {(delivery.event_id, delivery.sink): delivery for delivery in stored}
        for name, one in self.deliveries.items():
            self._must(name in found, one, "not in the outbox though it was committed")
            row = found[name]
            self._must(row.state is one.state, one, f"{row.state} in the outbox")
            self._must(row.state is not DeliveryState.PENDING, one, "still pending at the end of time")
            self._must(one.final == 1, one, f"settled {one.final} times")
            self._must(row.state is not DeliveryState.DONE or one.received > 0, one, "done, but never received")
            self._must(row.used == one.used <= attempts_allowed, one, f"{row.used} attempts used up")
            numbers = [attempt.number for attempt in row.attempts]
            self._must(numbers == list(range(1, len(numbers) + 1)), one, f"attempts numbered {numbers}")
            outcomes = [attempt.outcome for attempt in row.attempts]
            self._must(outcomes == one.settled, one, f"attempts {outcomes}, but settled {one.settled}")
        if extra := set(found) - set(self.deliveries):
            raise Broken(f"deliveries in the outbox that nobody stored: {sorted(extra)}")
        stored_events = {event_id for event_id, _ in found}
        if lost := self.acknowledged - stored_events:
            raise Broken(f"events that were acknowledged and are not in the outbox: {sorted(lost)}")
        if wrong := self.given_up & stored_events:
            raise Broken(f"events counted as lost that are in the outbox: {sorted(wrong)}")
        if odd := self.emitted - stored_events - self.given_up:
            raise Broken(f"events neither stored nor counted as lost: {sorted(odd)}")

    def _waits_for_another(self, one):
        if one.key is None:
            return False
        earlier = (other for other in self._by_key[one.sink, one.key] if other.sequence < one.sequence)
        return any(other.state is DeliveryState.PENDING for other in earlier)

    def _of(self, claim):
        return self.deliveries[claim.delivery.event_id, claim.delivery.sink]

    @staticmethod
    def _must(holds, one, what):
        if not holds:
            raise Broken(f"event {one.sequence} for {one.sink}: {what} (fence {one.fence}, settled {one.settled})")
