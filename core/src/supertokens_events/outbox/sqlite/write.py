"""Events, deliveries and attempts as rows: how they are stored, handed out and settled."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from supertokens_events.event import iso_timestamp, with_sequence
from supertokens_events.outbox.contract import Claim, DeliveryState, Entry, Settlement
from supertokens_events.outbox.sqlite.claim import BLOCKED
from supertokens_events.outbox.sqlite.rows import in_parts, places, rows_of
from supertokens_events.sink import Delivery

__all__ = ["claims_of", "insert", "settle"]

_to_json = json.JSONEncoder(default=str).encode  # `dumps` would make an encoder for each outcome


_INSERT_EVENT = """
INSERT INTO event (sequence, id, type, timestamp, tenant_id, user_id, correlation_id, stored_at, payload)
SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL ON CONFLICT (id) DO NOTHING
"""
# One that waits for an earlier one of its key is put where no claim meets it.
_INSERT_DELIVERY = f"""
INSERT INTO delivery (sequence, sink, state, due_at, reason, tenant, ordering_key, since)
SELECT :sequence, :sink, :state, CASE
    WHEN :key IS NOT NULL AND :state = 'pending' AND EXISTS (
        SELECT 1 FROM delivery WHERE sink = :sink AND ordering_key = :key AND state = 'pending')
    THEN {BLOCKED!r} ELSE :due END, :reason, :tenant, :key, :now
"""
_PLAIN_DELIVERY = """
INSERT INTO delivery (sequence, sink, state, due_at, reason, tenant, since)
SELECT * FROM (VALUES {}) WHERE column1 IS NOT NULL
"""
_CLAIMED = """
SELECT delivery.id, fence, used, sink, event.id AS event_id, type, sequence, tenant_id, user_id, payload, first_at,
       (SELECT coalesce(max(number), 0) FROM attempt WHERE attempt.delivery = delivery.id) AS tries
FROM delivery JOIN event USING (sequence) WHERE delivery.id IN ({})
"""
_OUTCOMES = """
WITH outcome (id, fence, state, used, due_at, reason, started_at, number, duration, outcome, detail) AS (VALUES {})
"""
_ATTEMPTS = """
INSERT INTO attempt (delivery, number, started_at, duration, outcome, reason, detail)
SELECT outcome.id, number, started_at, duration, outcome, outcome.reason, detail
FROM outcome JOIN delivery ON delivery.id = outcome.id AND delivery.fence = outcome.fence
WHERE delivery.state = 'pending' ON CONFLICT DO NOTHING
"""
_SETTLE = """
UPDATE delivery SET state = outcome.state, used = outcome.used, due_at = outcome.due_at, reason = outcome.reason,
    first_at = coalesce(first_at, started_at), tried_at = started_at, held_until = NULL
FROM outcome WHERE delivery.id = outcome.id AND delivery.fence = outcome.fence AND delivery.state = 'pending'
"""
_HELD = """
SELECT outcome.id FROM outcome JOIN delivery ON delivery.id = outcome.id AND delivery.fence = outcome.fence
WHERE tried_at = started_at
"""
_SUCCESS = """
INSERT INTO latest (sink, last_success) VALUES (:sink, :at)
ON CONFLICT DO UPDATE SET last_success = excluded.last_success WHERE last_success IS NULL OR last_success < excluded.last_success
"""
_FAILURE = """
INSERT INTO latest (sink, last_failure, last_reason) VALUES (:sink, :at, :reason)
ON CONFLICT DO UPDATE SET last_failure = excluded.last_failure, last_reason = excluded.last_reason
WHERE last_failure IS NULL OR last_failure <= excluded.last_failure
"""


def insert(connection: sqlite3.Connection, entries: Sequence[Entry], now: float, given: int = 0) -> list[int]:
    """Store entries with their deliveries; their sequences. ``given`` is one that is not given again, whatever the file says."""
    (last,) = connection.execute(
        "UPDATE meta SET value = max(value, ?) + ? WHERE key = 'sequence' RETURNING value", (given, len(entries))
    ).fetchone()
    sequences = list(range(last - len(entries) + 1, last + 1))
    rows = [_event_row(entry, sequence, now) for entry, sequence in zip(entries, sequences, strict=True)]
    if _insert_rows(connection, _INSERT_EVENT, rows) == len(rows):
        _insert_deliveries(connection, zip(entries, sequences, strict=True), now)
        return sequences
    connection.execute("DELETE FROM event WHERE sequence >= ?", sequences[:1])
    connection.execute("UPDATE meta SET value = ? WHERE key = 'sequence'", (sequences[0] - 1,))
    return _insert_new(connection, entries, now)


def _insert_new(connection: sqlite3.Connection, entries: Sequence[Entry], now: float) -> list[int]:
    """The same when some of them are stored already: those keep their sequences, and the others leave no gap."""
    stored = {entry.event.id: _sequence_of(connection, entry) for entry in entries}
    new = {entry.event.id: entry for entry in entries if stored[entry.event.id] is None}
    given = dict(zip(new, insert(connection, list(new.values()), now), strict=True))
    return [stored[entry.event.id] or given[entry.event.id] for entry in entries]


def _sequence_of(connection: sqlite3.Connection, entry: Entry) -> int | None:
    row = connection.execute("SELECT sequence FROM event WHERE id = ?", (entry.event.id,)).fetchone()
    return row and int(row[0])


def _insert_deliveries(connection: sqlite3.Connection, entries: Iterable[tuple[Entry, int]], now: float) -> None:
    plain, keyed = [], []
    for entry, sequence in entries:
        tenant = entry.event.tenant_id or ""
        for sink, state, reason, key, wait in entry.deliveries:
            if key is None:
                plain.append((sequence, sink, state, now + wait, reason, tenant, now))
            else:
                names = {"sequence": sequence, "sink": sink, "state": state, "reason": reason}
                keyed.append(names | {"tenant": tenant, "key": key, "due": now + wait, "now": now})
    _insert_rows(connection, _PLAIN_DELIVERY, plain)
    connection.executemany(_INSERT_DELIVERY, keyed)


def _insert_rows(connection: sqlite3.Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    """How many of them were new."""
    inserted = 0
    for part in in_parts(rows):
        text, values = rows_of(part)
        inserted += connection.execute(statement.format(text), values).rowcount
    return inserted


def _event_row(entry: Entry, sequence: int, now: float) -> tuple[Any, ...]:
    event = entry.event
    timestamp = iso_timestamp(event.timestamp)
    body = with_sequence(entry.body, sequence)
    return sequence, event.id, event.type, timestamp, event.tenant_id, event.user_id, event.correlation_id, now, body


def claims_of(connection: sqlite3.Connection, ids: Sequence[int], now: float) -> list[Claim]:
    """What was just claimed. A delivery whose event was erased becomes dead instead."""
    if not ids:
        return []
    text, values = places(ids)
    found = {row["id"]: row for row in connection.execute(_CLAIMED.format(text), values)}
    rows = [found[id_] for id_ in ids]
    erased = [(row["id"],) for row in rows if row["payload"] is None]
    connection.executemany(
        "UPDATE delivery SET state = 'dead', reason = 'erased', held_until = NULL WHERE id = ?", erased
    )
    return [_claim(row, now) for row in rows if row["payload"] is not None]


def _claim(row: sqlite3.Row, now: float) -> Claim:
    delivery = Delivery(
        sink=row["sink"],
        event_id=row["event_id"],
        event_type=row["type"],
        sequence=row["sequence"],
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        body=row["payload"],
        attempt=row["tries"] + 1,
    )
    age = 0.0 if row["first_at"] is None else max(0.0, now - row["first_at"])
    return Claim(row["id"], row["fence"], row["used"], delivery, age)


def settle(connection: sqlite3.Connection, settlements: Sequence[Settlement], now: float) -> int:
    """Write down outcomes; returns how many claims were still held."""
    return sum(_settle(connection, part, now) for part in in_parts(settlements))


def _settle(connection: sqlite3.Connection, settlements: Sequence[Settlement], now: float) -> int:
    text, values = rows_of([_outcome_row(settlement, now) for settlement in settlements])
    outcomes = _OUTCOMES.format(text)
    connection.execute(outcomes + _ATTEMPTS, values)
    connection.execute(outcomes + _SETTLE, values)
    (held,) = connection.execute("SELECT changes()").fetchone()
    if held < len(settlements):
        ids = {id_ for (id_,) in connection.execute(outcomes + _HELD, values)}
        settlements = [one for one in settlements if one.claim.id in ids]
    _keep_latest(connection, settlements, now)
    return int(held)


def _outcome_row(settlement: Settlement, now: float) -> tuple[Any, ...]:
    claim, state, outcome, used, wait, duration, reason, detail, _ = settlement
    due_at = now + wait if state == DeliveryState.PENDING else now
    text = _to_json(dict(detail)) if detail else "{}"
    number = claim.delivery.attempt
    return claim.id, claim.fence, state, used, due_at, reason, now - duration, number, duration, outcome, text


def _keep_latest(connection: sqlite3.Connection, settlements: Sequence[Settlement], now: float) -> None:
    latest = {
        (one.claim.delivery.sink, one.outcome == "delivered"): one for one in sorted(settlements, key=_started_last)
    }
    for (sink, delivered), one in latest.items():
        connection.execute(
            _SUCCESS if delivered else _FAILURE, {"sink": sink, "at": now - one.duration, "reason": one.reason}
        )


def _started_last(settlement: Settlement) -> float:
    return -settlement.duration
