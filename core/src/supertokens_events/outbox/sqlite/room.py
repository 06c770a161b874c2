"""Time and room: what goes when it gets old, and when the outbox is full."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterable

from supertokens_events.ledger import Reason
from supertokens_events.outbox.contract import Pruned, Retention
from supertokens_events.outbox.sqlite.file import COUNT

__all__ = ["drop_oldest_done", "last_before", "prunable", "prune", "size"]

_BATCH = 1000  # events that go at once when the outbox is full
_DONE_EVENTS = """
SELECT sequence, type FROM event
WHERE NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.sequence = event.sequence AND state IN ('pending', 'dead'))
ORDER BY sequence LIMIT ?
"""
_OLD_DELIVERIES = """
SELECT delivery.id, sink, event.type FROM delivery JOIN event USING (sequence)
WHERE delivery.sequence <= ? AND stored_at <= ? AND state IN {states}
ORDER BY delivery.sequence LIMIT ?
"""
_OLD_ATTEMPTS = """
SELECT attempt.delivery, number FROM delivery JOIN event USING (sequence) JOIN attempt ON attempt.delivery = delivery.id
WHERE delivery.sequence <= ? AND stored_at <= ? AND state <> 'pending' ORDER BY delivery.sequence LIMIT ?
"""
_OLD_EVENTS = """
SELECT sequence FROM event WHERE sequence <= ? AND stored_at <= ?
AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.sequence = event.sequence) ORDER BY sequence LIMIT ?
"""

# What a delivery is when its time has come, if `event` is its event.
_FINISHED = """
(state IN ('done', 'skipped') AND event.stored_at <= :deliveries OR state = 'dead' AND event.stored_at <= :dead)
"""
_PRUNABLE = (  # in the order of Pruned's fields
    f"""
SELECT count(*) FROM event WHERE stored_at <= :events
AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.sequence = event.sequence AND NOT {_FINISHED})
""",
    f"SELECT count(*) FROM delivery JOIN event USING (sequence) WHERE {_FINISHED}",
    f"""
SELECT count(*) FROM attempt JOIN delivery ON delivery.id = attempt.delivery JOIN event USING (sequence)
WHERE state <> 'pending' AND event.stored_at <= :attempts OR {_FINISHED}
""",
    "SELECT count(*) FROM ledger WHERE last_at <= :ledger",
)


def size(connection: sqlite3.Connection) -> int:
    """How many bytes of the file are in use."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * page)


def drop_oldest_done(connection: sqlite3.Connection, now: float) -> int:
    """Delete a batch of the oldest events that every sink has, and count them in the ledger. Returns how many."""
    rows = connection.execute(_DONE_EVENTS, (_BATCH,)).fetchall()
    events = [(sequence,) for sequence, _ in rows]
    connection.executemany("DELETE FROM attempt WHERE delivery IN (SELECT id FROM delivery WHERE sequence = ?)", events)
    connection.executemany("DELETE FROM delivery WHERE sequence = ?", events)
    connection.executemany("DELETE FROM event WHERE sequence = ?", events)
    _count(connection, Reason.DROPPED, (("", event_type) for _, event_type in rows), now)
    return len(rows)


# Retention -------------------------------------------------------------------------------------------------------------


def prune(connection: sqlite3.Connection, retention: Retention, limit: int, now: float) -> Pruned:
    """As the contract says; up to ``limit`` rows of each table."""
    attempts = _prune_attempts(connection, retention.attempts, limit, now)
    deliveries = 0
    for age, states in ((retention.deliveries, "('done', 'skipped')"), (retention.dead, "('dead')")):
        went, of_them = _prune_deliveries(connection, age, states, (limit - deliveries, limit - attempts), now)
        deliveries += went
        attempts += of_them
    return Pruned(
        events=_prune_events(connection, retention.events, limit, now),
        deliveries=deliveries,
        attempts=attempts,
        ledger=_prune_ledger(connection, retention.ledger, limit, now),
    )


def prunable(connection: sqlite3.Connection, retention: Retention, now: float) -> Pruned:
    """How many rows would go. A read transaction, however long it takes: nobody waits for it."""
    before = {name: -math.inf if age is None else now - age for name, age in retention._asdict().items()}
    connection.execute("BEGIN")  # one moment for all queries
    return Pruned(*(connection.execute(query, before).fetchone()[0] for query in _PRUNABLE))


def _prune_attempts(connection: sqlite3.Connection, age: float | None, limit: int, now: float) -> int:
    if age is None:
        return 0
    rows = connection.execute(_OLD_ATTEMPTS, (last_before(connection, now - age), now - age, limit)).fetchall()
    connection.executemany("DELETE FROM attempt WHERE delivery = ? AND number = ?", map(tuple, rows))
    return len(rows)


def _prune_deliveries(
    connection: sqlite3.Connection, age: float | None, states: str, limits: tuple[int, int], now: float
) -> tuple[int, int]:
    """How many deliveries went, and how many of their attempts: a delivery goes once it has none."""
    if age is None:
        return 0, 0
    limit, attempt_limit = limits
    before = now - age
    query = _OLD_DELIVERIES.format(states=states)
    rows = connection.execute(query, (last_before(connection, before), before, limit)).fetchall()
    gone, attempts = [], 0
    for row in rows:
        tries = connection.execute(
            "SELECT number FROM attempt WHERE delivery = ? LIMIT ?", (row[0], attempt_limit - attempts + 1)
        ).fetchall()
        numbers = [(row[0], number) for (number,) in tries][: attempt_limit - attempts]
        connection.executemany("DELETE FROM attempt WHERE delivery = ? AND number = ?", numbers)
        attempts += len(numbers)
        if len(numbers) < len(tries):
            break
        gone.append(row)
    connection.executemany("DELETE FROM delivery WHERE id = ?", [(row[0],) for row in gone])
    if states == "('dead')":
        _count(connection, Reason.PRUNED, ((row[1], row[2]) for row in gone), now)
    return len(gone), attempts


def _prune_events(connection: sqlite3.Connection, age: float | None, limit: int, now: float) -> int:
    if age is None:
        return 0
    rows = connection.execute(_OLD_EVENTS, (last_before(connection, now - age), now - age, limit)).fetchall()
    connection.executemany("DELETE FROM event WHERE sequence = ?", map(tuple, rows))
    return len(rows)


def _prune_ledger(connection: sqlite3.Connection, age: float | None, limit: int, now: float) -> int:
    if age is None:
        return 0
    rows = connection.execute(
        "SELECT reason, subject, event_type FROM ledger WHERE last_at <= ? LIMIT ?", (now - age, limit)
    ).fetchall()
    connection.executemany("DELETE FROM ledger WHERE reason = ? AND subject = ? AND event_type = ?", map(tuple, rows))
    return len(rows)


def last_before(connection: sqlite3.Connection, moment: float) -> int:
    """The last sequence that was stored by then, without an index: later events have later times. Where a clock was set back,
    rows near that place go a little later than they might.
    """
    low, high = connection.execute("SELECT coalesce(min(sequence), 0) - 1, 0 FROM event").fetchone()
    (high,) = connection.execute("SELECT coalesce(max(sequence), 0) FROM event").fetchone()
    while low < high:
        middle = (low + high + 1) // 2
        found = connection.execute(
            "SELECT sequence, stored_at FROM event WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1", (middle,)
        ).fetchone()
        if found is None or found[1] <= moment:
            low = middle
        else:
            high = found[0] - 1
    return int(low)


def _count(connection: sqlite3.Connection, reason: Reason, about: Iterable[tuple[str, str]], now: float) -> None:
    connection.executemany(COUNT, [(reason, *key, n, now, now) for key, n in Counter(about).items()])
