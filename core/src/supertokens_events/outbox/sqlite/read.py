"""What the SQLite file tells of itself."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from supertokens_events.outbox.contract import (
    Attempt,
    DeliveryState,
    Disabled,
    LedgerCount,
    Look,
    SinkStatus,
    StoredDelivery,
    StoredEvent,
)
from supertokens_events.outbox.looking import TYPES, Looking, Wanted
from supertokens_events.outbox.sqlite.breaker import all_open
from supertokens_events.outbox.sqlite.claim import BLOCKED
from supertokens_events.outbox.sqlite.room import last_before

__all__ = ["bytes_on_disk", "deliveries", "event", "event_types", "events", "ledger", "look", "status", "stored_since"]

_EVENT_COLUMNS = "sequence, id, type, timestamp, tenant_id, user_id, correlation_id, stored_at, payload"
_LOOK = """
SELECT (SELECT min(due_at) FROM delivery WHERE sink = :sink AND state = 'pending'),
       (SELECT probe_at FROM breaker WHERE sink = :sink),
       EXISTS (SELECT 1 FROM disabled WHERE sink = :sink)
"""
_DELIVERIES = """
SELECT delivery.id, delivery.sequence, event.id AS event_id, event.type AS event_type, sink, state, used, due_at, reason, since,
       stored_at, user_id, held_until, CASE WHEN state = 'pending' AND ordering_key IS NOT NULL THEN (
           SELECT first.id FROM delivery AS earlier JOIN event AS first ON first.sequence = earlier.sequence
           WHERE earlier.sink = delivery.sink AND earlier.ordering_key = delivery.ordering_key
           AND earlier.state = 'pending' AND earlier.sequence < delivery.sequence ORDER BY earlier.sequence LIMIT 1
       ) END AS behind
FROM delivery JOIN event USING (sequence) WHERE delivery.id IN (SELECT value FROM json_each(?))
ORDER BY delivery.sequence, delivery.id
"""
# Each reads one index from end to end, and no row.
_STATES = "SELECT sink, state, count(*) FROM delivery WHERE state <> 'pending' GROUP BY sink, state"
_PENDING = """
SELECT sink, count(*), count(*) FILTER (WHERE due_at <= :now), min(sequence) FROM delivery INDEXED BY delivery_due
WHERE state = 'pending' GROUP BY sink
"""
_BLOCKED = """
SELECT sink, sum(n) - count(*) FROM (
    SELECT sink, count(*) AS n FROM delivery INDEXED BY delivery_order
    WHERE state = 'pending' AND ordering_key IS NOT NULL GROUP BY sink, ordering_key
) GROUP BY sink
"""


def look(connection: sqlite3.Connection, sink: str, now: float) -> Look:
    """When there is something to do for ``sink``."""
    due_at, probe_at, disabled = connection.execute(_LOOK, {"sink": sink}).fetchone()
    return Look(None, None, disabled=True) if disabled else Look(_until(due_at, now), _until(probe_at, now))


def _until(moment: float | None, now: float) -> float | None:
    return None if moment is None else max(0.0, moment - now)


def ledger(connection: sqlite3.Connection) -> list[LedgerCount]:
    """The whole ledger, most recent first."""
    rows = connection.execute(
        "SELECT reason, subject, event_type, count, first_at, last_at FROM ledger ORDER BY last_at DESC"
    )
    return [LedgerCount(*row) for row in rows]


def status(connection: sqlite3.Connection, now: float) -> list[SinkStatus]:
    """Every sink that has deliveries or is disabled, by name."""
    connection.execute("BEGIN")  # one moment for all queries
    found: dict[str, dict[str, Any]] = {}
    for sink, state, count in connection.execute(_STATES):
        found.setdefault(sink, {})[state] = count
    for sink, pending, due, first in connection.execute(_PENDING, {"now": now}).fetchall():
        (oldest,) = connection.execute("SELECT stored_at FROM event WHERE sequence = ?", (first,)).fetchone()
        found.setdefault(sink, {}).update(pending=pending, due=due, oldest=oldest)
    for sink, blocked in connection.execute(_BLOCKED):
        found[sink] |= {"blocked": blocked}
    for sink, *latest in connection.execute("SELECT sink, last_success, last_failure, last_reason FROM latest"):
        found.get(sink, {}).update(zip(("last_success", "last_failure", "last_reason"), latest, strict=True))
    for sink, breaker in all_open(connection, now).items():
        found.get(sink, {})["breaker"] = breaker
    for sink, *disabled in connection.execute("SELECT sink, since, reason FROM disabled"):
        found.setdefault(sink, {})["disabled"] = Disabled(*disabled)
    return [SinkStatus(sink, **facts) for sink, facts in sorted(found.items())]


def stored_since(connection: sqlite3.Connection, moment: float) -> int:
    """How many sequences were given since then."""
    (last,) = connection.execute("SELECT coalesce(max(sequence), 0) FROM event").fetchone()
    return int(last) - last_before(connection, moment) if last else 0


def event_types(connection: sqlite3.Connection) -> list[str]:
    """The types that are there: from one to the next by the index."""
    return [event_type for (event_type,) in connection.execute(TYPES) if event_type is not None]


def event(connection: sqlite3.Connection, event_id: str) -> StoredEvent | None:
    """One event."""
    row = connection.execute(f"SELECT {_EVENT_COLUMNS} FROM event WHERE id = ?", (event_id,)).fetchone()
    return StoredEvent(*row) if row else None


def events(connection: sqlite3.Connection, wanted: Wanted, after: int | None, limit: int) -> list[StoredEvent]:
    """Events that match, in order: the first after a sequence, or the latest."""
    sequences = _looking(connection, wanted, limit).events(after)
    rows = connection.execute(
        f"SELECT {_EVENT_COLUMNS} FROM event WHERE sequence IN (SELECT value FROM json_each(?)) ORDER BY sequence",
        (json.dumps(sequences),),
    )
    return [StoredEvent(*row) for row in rows]


def deliveries(
    connection: sqlite3.Connection, wanted: Wanted, after: tuple[int, int] | None, limit: int
) -> list[StoredDelivery]:
    """Those that match, in order, with their attempts: the first after a cursor, or the latest."""
    ids = [id_ for _, id_ in _looking(connection, wanted, limit).deliveries(after)]
    rows = connection.execute(_DELIVERIES, (json.dumps(ids),)).fetchall()
    return [_stored_delivery(row, connection) for row in rows]


def _looking(connection: sqlite3.Connection, wanted: Wanted, limit: int) -> Looking:
    return Looking(
        lambda query, values: connection.execute(query, values).fetchall(),
        lambda moment: last_before(connection, moment),
        wanted,
        limit,
    )


def _stored_delivery(row: sqlite3.Row, connection: sqlite3.Connection) -> StoredDelivery:
    attempts = connection.execute(
        "SELECT number, started_at, duration, outcome, reason, detail FROM attempt WHERE delivery = ? ORDER BY number",
        (row["id"],),
    )
    return StoredDelivery(
        sequence=row["sequence"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        sink=row["sink"],
        state=DeliveryState(row["state"]),
        used=row["used"],
        due_at=row["since"] if row["due_at"] == BLOCKED else row["due_at"],
        reason=row["reason"],
        attempts=tuple(_attempt(attempt) for attempt in attempts),
        id=row["id"],
        stored_at=row["stored_at"],
        user_id=row["user_id"],
        held_until=row["held_until"],
        behind=row["behind"],
    )


def _attempt(row: sqlite3.Row) -> Attempt:
    number, started_at, duration, outcome, reason, detail = row
    return Attempt(number, started_at, duration, outcome, reason, json.loads(detail))


def bytes_on_disk(path: Path) -> int:
    """Of the file, its WAL and its index."""
    return sum(_size(path.with_name(path.name + suffix)) for suffix in ("", "-wal", "-shm"))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # the last one to close takes the WAL away
        return 0
