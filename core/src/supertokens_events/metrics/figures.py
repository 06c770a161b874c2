"""Which figures there are, and how the outbox stands: read when somebody looks, and never in an auth call's way."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from supertokens_events.event import made_at
from supertokens_events.outbox import Outbox, SinkStatus
from supertokens_events.sink import Delivered, Delivery, Outcome, Rejected, Retry

__all__ = ["BUCKETS", "OUTCOMES", "PREFIX", "Figure", "latency", "outcome_name", "standing"]

PREFIX = "supertokens_events_"
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300, 3600, 36000, 360000)
"""Seconds: from a commit to a schedule's end."""
OUTCOMES: Mapping[type[Outcome], str] = {Delivered: "delivered", Retry: "retry", Rejected: "rejected"}

_HISTORY = ("backfill", "reconcile")


class Figure(NamedTuple):
    """A figure of the outbox: its name without the prefix, what it says, and its values by one label, or by none (``""``)."""

    name: str
    says: str
    label: str
    values: Mapping[str, float]


def outcome_name(outcome: Outcome) -> str:
    """``delivered``, ``retry`` or ``rejected``."""
    return OUTCOMES[type(outcome)]


def latency(delivery: Delivery, now: float) -> float | None:
    """How long ago its event was emitted, by the event's id: quicker than parsing it, and there may be thousands a second.
    ``None`` for history, whose ids begin with the time when something happened.
    """
    if b'"origin"' in delivery.body and delivery.event.context.origin in _HISTORY:
        return None
    return max(0.0, now - made_at(delivery.event_id))


def standing(outbox: Outbox) -> Iterator[Figure]:
    """How the outbox stands now. Raises ``OutboxError``."""
    sinks = outbox.status()
    events, size = outbox.counts()
    yield Figure("outbox_events", "Events in the outbox.", "", {"": events})
    yield Figure("outbox_bytes", "Bytes that the outbox takes on disk.", "", {"": size})
    for name in ("pending", "due", "dead", "blocked"):
        values = {sink.sink: float(getattr(sink, name)) for sink in sinks}
        yield Figure(f"deliveries_{name}", _SAYS[name], "sink", values)
    now = time.time()
    ages = {sink.sink: max(0.0, now - sink.oldest) if sink.oldest is not None else 0.0 for sink in sinks}
    yield Figure("oldest_pending_seconds", "Age of the oldest event that waits for the sink.", "sink", ages)
    yield Figure(
        "sink_away", "1 while the sink's place is away: its breaker is open.", "sink", _flags(sinks, "breaker")
    )
    yield Figure("sink_disabled", "1 while the sink is disabled.", "sink", _flags(sinks, "disabled"))
    reasons: Counter[str] = Counter()
    for line in outbox.ledger():
        reasons[line.reason] += line.count
    yield Figure("ledger_entries", "What did not become a delivery, and what failed, by reason.", "reason", reasons)


_SAYS = {
    "pending": "Deliveries that are due, wait for their time, or are under way.",
    "due": "Deliveries that could go out now.",
    "dead": "Dead letters.",
    "blocked": "Deliveries that wait for an earlier one of the same user.",
}


def _flags(sinks: list[SinkStatus], what: str) -> dict[str, float]:
    return {sink.sink: float(getattr(sink, what) is not None) for sink in sinks}
