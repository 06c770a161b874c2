"""The breakers that are open, and what is overdue while one is."""

from __future__ import annotations

import json
import sqlite3

from supertokens_events.outbox.contract import Breaker
from supertokens_events.outbox.sqlite.claim import BLOCKED

__all__ = ["all_open", "close", "open_", "overdue", "take_probe"]

_OPEN = """
INSERT INTO breaker (sink, open_since, failing_since, probe_at, probes, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    probe_at = excluded.probe_at, probes = probes + 1, reason = excluded.reason, detail = excluded.detail
"""
_ALL = "SELECT sink, open_since, failing_since, probe_at, probes, reason, detail FROM breaker ORDER BY sink"
_FAILED_MEANWHILE = f"""
UPDATE delivery SET due_at = :now
WHERE sink = :sink AND state = 'pending' AND due_at > :now AND due_at < {BLOCKED!r}
AND (held_until IS NULL OR held_until <= :now) AND tried_at >= :since
"""
# What was claimed before, by when it was first tried, or else by since when it waits.
_TAKEN = """
SELECT id FROM delivery
WHERE sink = :sink AND state = 'pending' AND fence > 0 AND coalesce(first_at, since) <= :before
AND (first_at IS NOT NULL OR :untried_too) AND (held_until IS NULL OR held_until <= :now)
ORDER BY coalesce(first_at, since) LIMIT :limit
"""
# What was not is due since it waits.
_NEVER_TAKEN = """
SELECT id FROM delivery
WHERE sink = :sink AND state = 'pending' AND due_at <= :before AND fence = 0 ORDER BY due_at, id LIMIT :limit
"""
# Or it waits for an earlier one of its key: the first of them have waited longest.
_BLOCKED = f"""
SELECT id FROM (
    SELECT id, since, fence FROM delivery
    WHERE sink = :sink AND state = 'pending' AND due_at = {BLOCKED!r} ORDER BY due_at, id LIMIT :limit + 1000
) WHERE fence = 0 AND since <= :before LIMIT :limit
"""


def open_(connection: sqlite3.Connection, sink: str, breaker: Breaker) -> None:
    """Open it, or note another probe that failed."""
    *facts, detail, _failing_for = breaker
    connection.execute(_OPEN, (sink, *facts, json.dumps(dict(detail), default=str)))


def all_open(connection: sqlite3.Connection, now: float) -> dict[str, Breaker]:
    """Those that are open, by sink."""
    return {
        sink: Breaker(opened, since, probe_at, probes, reason, json.loads(detail), max(0.0, now - since))
        for sink, opened, since, probe_at, probes, reason, detail in connection.execute(_ALL)
    }


def take_probe(connection: sqlite3.Connection, sink: str, now: float, wait: float) -> bool:
    """Whether the caller may send the probe."""
    changed = connection.execute(
        "UPDATE breaker SET probe_at = ? WHERE sink = ? AND probe_at <= ?", (now + wait, sink, now)
    )
    return changed.rowcount > 0


def close(connection: sqlite3.Connection, sink: str, now: float) -> int:
    """Close it; how many deliveries are due now since they failed meanwhile."""
    row = connection.execute("DELETE FROM breaker WHERE sink = ? RETURNING failing_since", (sink,)).fetchone()
    if row is None:
        return 0
    return connection.execute(_FAILED_MEANWHILE, {"sink": sink, "now": now, "since": row[0]}).rowcount


def overdue(connection: sqlite3.Connection, sink: str, limit: int, now: float, span: float) -> list[int]:
    """Deliveries that nobody holds and whose schedule is over."""
    opened = connection.execute("SELECT open_since FROM breaker WHERE sink = ?", (sink,)).fetchone()
    if opened is None:
        return []
    untried_too = opened[0] <= now - span
    ids: list[int] = []
    for query in (_TAKEN, _NEVER_TAKEN, _BLOCKED) if untried_too else (_TAKEN,):
        asked = {"sink": sink, "now": now, "before": now - span, "untried_too": untried_too, "limit": limit - len(ids)}
        ids += [id_ for (id_,) in connection.execute(query, asked)]
    return ids
