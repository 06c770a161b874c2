"""Time and room: what goes when it gets old, when the outbox is full, and when a person is to be forgotten."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic_core import to_json

from supertokens_events.ledger import Reason
from supertokens_events.outbox.contract import Erased, Pruned, Retention
from supertokens_events.outbox.sqlite.file import COUNT

__all__ = [
    "drop_oldest_done",
    "erase_deleted",
    "erase_events",
    "events_that_name",
    "last_before",
    "prunable",
    "prune",
    "size",
]

_Ids = Sequence[tuple[int]]

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


# Erasure ---------------------------------------------------------------------------------------------------------------


def events_that_name(connection: sqlite3.Connection, user_id: str, after: int) -> list[int]:
    """Events after a sequence whose JSON has ``user_id`` for a value anywhere, or whose user it is."""
    rows = connection.execute(
        "SELECT sequence FROM event WHERE sequence > ? AND payload IS NOT NULL AND (user_id = ? OR instr(payload, ?))",
        (after, user_id, to_json(user_id)),
    )
    return [sequence for (sequence,) in rows]


def erase_events(connection: sqlite3.Connection, sequences: Iterable[int]) -> Erased:
    """Take their payloads, and their attempts' details. What had not gone out is dead."""
    events: _Ids = [(sequence,) for sequence in sequences]
    erased = connection.executemany(
        "UPDATE event SET payload = NULL WHERE sequence = ? AND payload IS NOT NULL", events
    )
    connection.executemany(
        "UPDATE attempt SET detail = '{}' WHERE delivery IN (SELECT id FROM delivery WHERE sequence = ?)", events
    )
    if events:  # a receiver's answer to a probe may be about one of them
        connection.execute("UPDATE breaker SET detail = '{}'")
    dead = connection.executemany(
        "UPDATE delivery SET state = 'dead', reason = 'erased', held_until = NULL WHERE sequence = ? AND state = 'pending'",
        events,
    )
    return Erased(erased.rowcount, dead.rowcount)


# What says that the user was deleted goes last: without it nobody would come back for the rest.
_NOT_TO_GO_OUT = """
NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.sequence = told.sequence AND state = 'pending')
AND (told.type <> 'user.deleted' OR NOT EXISTS (
    SELECT 1 FROM event AS earlier JOIN delivery USING (sequence)
    WHERE earlier.user_id = told.user_id AND earlier.sequence < told.sequence AND earlier.payload IS NOT NULL
    AND state = 'pending'))
"""
_DELETED_USERS = f"""
SELECT user_id, sequence FROM event
WHERE type = 'user.deleted' AND payload IS NOT NULL AND user_id IS NOT NULL AND EXISTS (
    SELECT 1 FROM event AS told WHERE told.user_id = event.user_id AND told.sequence <= event.sequence
    AND told.payload IS NOT NULL AND {_NOT_TO_GO_OUT})
ORDER BY sequence LIMIT ?
"""
_TOLD_OF_THEM = f"""
SELECT sequence FROM event AS told
WHERE user_id = ? AND sequence <= ? AND payload IS NOT NULL AND {_NOT_TO_GO_OUT}
"""


def erase_deleted(connection: sqlite3.Connection, limit: int) -> Erased:
    """As the contract says."""
    users = connection.execute(_DELETED_USERS, (limit,)).fetchall()
    return erase_events(
        connection, [sequence for user in users for (sequence,) in connection.execute(_TOLD_OF_THEM, tuple(user))]
    )
