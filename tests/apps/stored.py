"""What lies in an outbox, for a test to compare."""

from __future__ import annotations

from collections import Counter

from supertokens_events import Event, Events


def stored_events(events: Events, *, after: int = 0) -> list[Event]:
    """Every event after that sequence, in order."""
    return [Event.from_bytes(stored.body) for stored in events.outbox.events(after=after, limit=1_000) if stored.body]


def last_sequence(events: Events) -> int:
    """That of the latest event, or 0."""
    return max((stored.sequence for stored in events.outbox.events(limit=1)), default=0)


def counted(events: Events, *, running: bool = False) -> Counter[tuple[str, str]]:
    """The ledger, by reason and subject: what is stored of it and what still waits in memory.

    Ends the writer's thread first, unless ``running``: what it is about to store is in neither.
    """
    if not running:
        events.emitter.stop()
    counts: Counter[tuple[str, str]] = Counter()
    for line in events.outbox.ledger():
        counts[line.reason, line.subject] += line.count
    for key, n in events.ledger.peek().items():
        counts[str(key.reason), key.subject] += n
    return counts
