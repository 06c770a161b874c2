"""What can be looked at in a store on PostgreSQL."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import dict_row

from supertokens_events.outbox.contract import Attempt, Breaker, DeliveryState, SinkStatus, StoredDelivery, StoredEvent
from supertokens_events.outbox.looking import TYPES, Looking, Wanted
from supertokens_events.outbox.postgres.claim import NOW
from supertokens_events.outbox.postgres.connections import Connection
from supertokens_events.outbox.postgres.disabled import disabled

__all__ = ["breakers", "count", "deliveries", "event", "event_types", "events", "status"]

_EVENT = "SELECT sequence, id, type, timestamp, tenant_id, user_id, correlation_id, stored_at, payload FROM event"

_DELIVERY = """
SELECT d.id, d.sequence, event.id AS event_id, event.type AS event_type, sink, state, used, due_at, reason,
       event.stored_at, user_id, held_until, CASE WHEN d.state = 'pending' AND d.line IS NOT NULL THEN (
           SELECT first.id FROM delivery e JOIN event AS first ON first.sequence = e.sequence
           WHERE e.line = d.line AND e.state = 'pending' AND e.sequence < d.sequence ORDER BY e.sequence LIMIT 1
       ) END AS behind
FROM delivery d JOIN event USING (sequence) WHERE d.id = ANY(%s) ORDER BY d.sequence, d.id"""
_ATTEMPTS = """
SELECT delivery, number, started_at, duration, outcome, reason, detail FROM attempt
WHERE delivery = ANY(%s) ORDER BY delivery, number"""

# Each reads one index, and no row. What is blocked waits behind something older that is not.
_SETTLED = """
SELECT sink, state, count(*), max(last_try_at) FROM delivery WHERE state <> 'pending' GROUP BY sink, state"""
_PENDING = f"""
SELECT sink, count(*), count(*) FILTER (WHERE due_at <= {NOW}), min(sequence) FROM delivery
WHERE state = 'pending' AND NOT blocked GROUP BY sink"""
_BEHIND = """
SELECT sink, sum(count) - count(*) FROM (
    SELECT split_part(line, E'\\x1f', 1) AS sink, count(*) AS count FROM delivery
    WHERE state = 'pending' AND line IS NOT NULL GROUP BY line) AS lines GROUP BY sink"""
_BLOCKED = """
SELECT split_part(line, E'\\x1f', 1) AS sink, count(*) FROM delivery
WHERE state = 'pending' AND line IS NOT NULL AND blocked GROUP BY 1"""
_OLDEST = "SELECT stored_at FROM event WHERE sequence = %s"
_FAILURE = """
SELECT failed_at, failure FROM delivery WHERE sink = %s AND failed_at IS NOT NULL ORDER BY failed_at DESC LIMIT 1"""

_STORED_WITHIN = f"""
SELECT coalesce(max(sequence) - coalesce(
    (SELECT sequence FROM event WHERE stored_at <= {NOW} - %(seconds)s ORDER BY stored_at DESC LIMIT 1), min(sequence) - 1), 0)
FROM event"""
_NAME = re.compile(r":(\w+)")
_LAST_BEFORE = "SELECT sequence FROM event WHERE stored_at < %s ORDER BY stored_at DESC LIMIT 1"

_BREAKERS = f"""
SELECT sink, open_since, failing_since, probe_at, probes, reason, detail, {NOW} - failing_since
FROM breaker ORDER BY sink"""


def stored_within(connection: Connection, seconds: float) -> int:
    """How many sequences were given in that time."""
    row = connection.execute(_STORED_WITHIN.encode(), {"seconds": seconds}).fetchone()
    assert row is not None
    return int(row[0])


def event_types(connection: Connection) -> list[str]:
    """The types that are there: from one to the next by the index."""
    return [event_type for (event_type,) in connection.execute(TYPES.encode()) if event_type is not None]


def event(connection: Connection, event_id: str) -> StoredEvent | None:
    """One event by its id."""
    row = connection.execute(f"{_EVENT} WHERE id = %s".encode(), (event_id,), binary=True).fetchone()
    return StoredEvent(*row) if row else None


def events(connection: Connection, wanted: Wanted, after: int | None, limit: int) -> list[StoredEvent]:
    """Events that match, in order: the first after a sequence, or the latest."""
    with connection.at_leisure():
        sequences = _looking(connection, wanted, limit).events(after)
        query = f"{_EVENT} WHERE sequence = ANY(%s) ORDER BY sequence"
        return [StoredEvent(*row) for row in connection.execute(query.encode(), (sequences,), binary=True)]


def deliveries(
    connection: Connection, wanted: Wanted, after: tuple[int, int] | None, limit: int
) -> list[StoredDelivery]:
    """Those that match, in order of their events, with their attempts: the first after a cursor, or the latest."""
    with connection.at_leisure(), connection.cursor(row_factory=dict_row) as cursor:
        ids = [id_ for _, id_ in _looking(connection, wanted, limit).deliveries(after)]
        rows = cursor.execute(_DELIVERY.encode(), (ids,)).fetchall()
        attempts = _attempts(connection, ids)
    return [_delivery(row, attempts[row["id"]]) for row in rows]


def _looking(connection: Connection, wanted: Wanted, limit: int) -> Looking:
    def query(text: str, values: Mapping[str, Any]) -> list[Any]:
        return connection.execute(_NAME.sub(r"%(\1)s", text).encode(), values).fetchall()

    def last_before(moment: float) -> int:
        row = connection.execute(_LAST_BEFORE, (moment,)).fetchone()
        return row[0] if row else 0

    return Looking(query, last_before, wanted, limit)


def breakers(connection: Connection) -> dict[str, Breaker]:
    """Those that are open, by sink."""
    return {
        sink: Breaker(opened, since, probe_at, probes, reason, json.loads(detail), max(0.0, failing_for))
        for sink, opened, since, probe_at, probes, reason, detail, failing_for in connection.execute(_BREAKERS.encode())
    }


def status(connection: Connection) -> list[SinkStatus]:
    """How every sink stands that has deliveries or is disabled."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    with connection.at_leisure():
        for sink, state, settled, tried in connection.execute(_SETTLED.encode()).fetchall():
            found[sink] |= {state: settled} | ({"last_success": tried} if state == DeliveryState.DONE else {})
        for sink, pending, due, first in connection.execute(_PENDING.encode()).fetchall():
            row = connection.execute(_OLDEST, (first,)).fetchone()
            found[sink] |= {"pending": pending, "due": due, "oldest": row and row[0]}
        for sink, blocked in connection.execute(_BLOCKED.encode()).fetchall():
            found[sink] |= {"pending": found[sink].get("pending", 0) + blocked}
        for sink, behind in connection.execute(_BEHIND.encode()).fetchall():
            found[sink] |= {"blocked": int(behind)}
        for sink, facts in found.items():
            if row := connection.execute(_FAILURE, (sink,)).fetchone():
                facts |= dict(zip(("last_failure", "last_reason"), row, strict=True))
        for sink, breaker in breakers(connection).items():
            if sink in found:
                found[sink] |= {"breaker": breaker}
        for sink, off in disabled(connection).items():
            found[sink] |= {"disabled": off}
    return [SinkStatus(sink, **found[sink]) for sink in sorted(found)]


def count(connection: Connection) -> int:
    """How many events there are."""
    with connection.at_leisure():
        row = connection.execute("SELECT count(*) FROM event").fetchone()
    assert row is not None
    return int(row[0])


def _attempts(connection: Connection, ids: Sequence[int]) -> dict[int, list[Attempt]]:
    found: dict[int, list[Attempt]] = defaultdict(list)
    for delivery, number, started_at, duration, outcome, reason, detail in connection.execute(_ATTEMPTS, (ids,)):
        found[delivery].append(Attempt(number, started_at, duration, outcome, reason, json.loads(detail)))
    return found


def _delivery(row: Mapping[str, Any], attempts: Sequence[Attempt]) -> StoredDelivery:
    return StoredDelivery(
        sequence=row["sequence"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        sink=row["sink"],
        state=DeliveryState(row["state"]),
        used=row["used"],
        due_at=row["due_at"],
        reason=row["reason"],
        attempts=tuple(attempts),
        id=row["id"],
        stored_at=row["stored_at"],
        user_id=row["user_id"],
        held_until=row["held_until"],
        behind=row["behind"],
    )
