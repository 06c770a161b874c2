"""Upkeep on PostgreSQL: the ledger, and what is old."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from supertokens_events.ledger import LedgerKey, Reason
from supertokens_events.outbox.contract import LedgerCount, Pruned, Retention
from supertokens_events.outbox.postgres.claim import NOW
from supertokens_events.outbox.postgres.connections import Connection

__all__ = ["ledger", "prunable", "prune", "record", "size"]

_RECORD = f"""
INSERT INTO ledger (reason, subject, event_type, count, first_at, last_at)
SELECT g.*, {NOW}, {NOW} FROM unnest(%(reasons)s::text[], %(subjects)s::text[], %(types)s::text[], %(counts)s::bigint[]) AS g
ON CONFLICT (reason, subject, event_type) DO UPDATE
SET count = ledger.count + excluded.count, last_at = excluded.last_at"""

_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'"""

# Rows lie in the order of their sequences, so what is old is in front: nothing beyond it is looked at.
_LAST_OLD = f"SELECT sequence FROM event WHERE stored_at < {NOW} - %s ORDER BY stored_at DESC LIMIT 1"
_OLD_ATTEMPTS = f"""
DELETE FROM attempt a USING (
    SELECT a.delivery, a.number FROM attempt a JOIN delivery d ON d.id = a.delivery
    WHERE d.state <> 'pending' AND d.stored_at < {NOW} - %(age)s
      AND a.delivery <= (SELECT max(id) FROM delivery WHERE sequence = (
          SELECT sequence FROM delivery WHERE sequence <= %(last)s ORDER BY sequence DESC LIMIT 1))
    ORDER BY a.delivery, a.number LIMIT %(limit)s
) AS old WHERE a.delivery = old.delivery AND a.number = old.number"""
_OLD_DELIVERIES = f"""
WITH old AS MATERIALIZED (
    SELECT id FROM delivery WHERE sequence <= %(last)s AND state = ANY(%(states)s) AND stored_at < {NOW} - %(age)s
    ORDER BY sequence LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), tries AS (
    DELETE FROM attempt WHERE delivery IN (SELECT id FROM old) RETURNING 1
), gone AS (
    DELETE FROM delivery WHERE id IN (SELECT id FROM old) RETURNING sequence, sink, state
), dead AS (
    SELECT gone.sink, event.type, count(*) AS count FROM gone JOIN event USING (sequence) WHERE state = 'dead' GROUP BY 1, 2
)
SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM tries), (SELECT array_agg(sink ORDER BY sink, type) FROM dead),
       (SELECT array_agg(type ORDER BY sink, type) FROM dead), (SELECT array_agg(count ORDER BY sink, type) FROM dead)"""
_OLD_EVENTS = f"""
DELETE FROM event WHERE sequence IN (
    SELECT sequence FROM event e WHERE sequence <= %(last)s AND stored_at < {NOW} - %(age)s
      AND NOT EXISTS (SELECT FROM delivery d WHERE d.sequence = e.sequence)
    ORDER BY sequence LIMIT %(limit)s)"""
_OLD_LEDGER = f"""
DELETE FROM ledger WHERE ctid = ANY(ARRAY(SELECT ctid FROM ledger WHERE last_at < {NOW} - %(age)s LIMIT %(limit)s))"""

# What a delivery `d` is when its time has come.
_FINISHED = f"""
(d.state IN ('done', 'skipped') AND d.stored_at < {NOW} - %(deliveries)s
 OR d.state = 'dead' AND d.stored_at < {NOW} - %(dead)s)"""
_PRUNABLE = f"""
SELECT (SELECT count(*) FROM event e WHERE e.stored_at < {NOW} - %(events)s
        AND NOT EXISTS (SELECT FROM delivery d WHERE d.sequence = e.sequence AND NOT {_FINISHED})),
       (SELECT count(*) FROM delivery d WHERE {_FINISHED}),
       (SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery
        WHERE d.state <> 'pending' AND d.stored_at < {NOW} - %(attempts)s OR {_FINISHED}),
       (SELECT count(*) FROM ledger WHERE last_at < {NOW} - %(ledger)s)"""


def record(connection: Connection, counts: Mapping[LedgerKey, int]) -> None:
    """Add to the ledger. In the order of the keys, so that two who do so wait for each other, but not in a circle."""
    ordered = sorted(counts.items())
    values = {
        "reasons": [str(key.reason) for key, _ in ordered],
        "subjects": [key.subject for key, _ in ordered],
        "types": [key.event_type for key, _ in ordered],
        "counts": [count for _, count in ordered],
    }
    connection.execute(_RECORD.encode(), values)


def ledger(connection: Connection) -> list[LedgerCount]:
    """The whole ledger, most recent first."""
    rows = connection.execute(
        "SELECT reason, subject, event_type, count, first_at, last_at FROM ledger ORDER BY last_at DESC"
    )
    return [LedgerCount(*row) for row in rows]


def size(connection: Connection) -> int:
    """How many bytes the store takes on the server's disk, indexes included."""
    row = connection.execute(_SIZE).fetchone()
    assert row is not None
    return int(row[0])


# Retention ---------------------------------------------------------------------------------------------------------


def prune(connection: Connection, retention: Retention, limit: int) -> Pruned:
    """Delete up to ``limit`` rows of each table that are older than ``retention`` says, in one transaction."""
    with connection.transaction():
        attempts = _delete(connection, _OLD_ATTEMPTS, retention.attempts, limit)
        finished, its_tries = _prune_deliveries(connection, ["done", "skipped"], retention.deliveries, limit)
        dead, their_tries = _prune_deliveries(connection, ["dead"], retention.dead, limit - finished)
        events = _delete(connection, _OLD_EVENTS, retention.events, limit)
        lines = _delete(connection, _OLD_LEDGER, retention.ledger, limit)
    return Pruned(events, finished + dead, attempts + its_tries + their_tries, lines)


def prunable(connection: Connection, retention: Retention) -> Pruned:
    """How many rows of each table would go."""
    ages = {name: math.inf if age is None else age for name, age in retention._asdict().items()}
    with connection.at_leisure():
        row = connection.execute(_PRUNABLE.encode(), ages).fetchone()
    assert row is not None
    return Pruned(*row)


def _delete(connection: Connection, query: str, age: float | None, limit: int) -> int:
    if age is None:
        return 0
    values = {"age": age, "limit": limit, "last": _last_old(connection, age)}
    return connection.execute(query.encode(), values).rowcount


def _prune_deliveries(connection: Connection, states: Sequence[str], age: float | None, limit: int) -> tuple[int, int]:
    """How many deliveries and how many of their attempts went. Dead letters that do are counted."""
    if age is None or limit <= 0:
        return 0, 0
    values = {"age": age, "limit": limit, "last": _last_old(connection, age), "states": list(states)}
    row = connection.execute(_OLD_DELIVERIES.encode(), values).fetchone()
    assert row is not None
    deliveries, attempts, sinks, types, counts = row
    if counts:
        keys = [LedgerKey(Reason.PRUNED, sink, type_) for sink, type_ in zip(sinks, types, strict=True)]
        record(connection, dict(zip(keys, counts, strict=True)))
    return deliveries, attempts


def _last_old(connection: Connection, age: float) -> int:
    row = connection.execute(_LAST_OLD.encode(), (age,)).fetchone()
    return row[0] if row else 0
