"""Storing on PostgreSQL: any number of events and their deliveries in one statement, which is one transaction.

The first thing the statement does is to move the counter on. Its row is then locked until the commit, so sequences have no
gaps, and whoever sees one sees every smaller one: a reader that goes on after a sequence misses nothing. Writers of
several processes wait for each other's commit, each with all that has gathered meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg

from supertokens_events.event import iso_timestamp
from supertokens_events.outbox.contract import Entry, NewDelivery, OutboxError
from supertokens_events.outbox.postgres.claim import NOW
from supertokens_events.outbox.postgres.connections import Connection

__all__ = ["append"]

_TRIES = 3

# The body gets its place as `with_sequence` says it; only the server knows that place in time.
_APPEND = f"""
WITH counter AS (
    UPDATE meta SET value = value + %(events)s WHERE key = 'sequence' RETURNING value - %(events)s AS base
), stored AS (
    INSERT INTO event (sequence, id, type, timestamp, tenant_id, user_id, correlation_id, stored_at, payload)
    SELECT base + place, e.id, e.type, e.timestamp, e.tenant_id, e.user_id, e.correlation_id, {NOW},
           substr(e.body, 1, length(e.body) - 1) || convert_to(',"sequence":' || base + place || '}}', 'UTF8')
    FROM counter, unnest(
        %(ids)s::text[], %(types)s::text[], %(timestamps)s::text[], %(tenants)s::text[], %(users)s::text[],
        %(correlations)s::text[], %(bodies)b::bytea[]
    ) WITH ORDINALITY AS e(id, type, timestamp, tenant_id, user_id, correlation_id, body, place)
), due AS (
    INSERT INTO delivery (sequence, sink, state, tenant, line, stored_at, due_at, reason)
    SELECT base + d.place, d.sink, d.state, coalesce(d.tenant, ''), d.line, {NOW}, {NOW} + d.wait, d.reason
    FROM counter, unnest(
        %(places)s::integer[], %(sinks)s::text[], %(states)s::text[], %(sink_tenants)s::text[], %(lines)s::text[],
        %(reasons)s::text[], %(waits)s::float8[]
    ) AS d(place, sink, state, tenant, line, reason, wait)
)
SELECT base FROM counter"""


def append(connection: Connection, entries: Sequence[Entry]) -> list[int]:
    """Store ``entries`` with their deliveries; returns their sequences. Those that are stored already keep theirs: a commit
    whose answer was lost took place, and the caller tries again.
    """
    for _ in range(_TRIES):
        try:
            return _insert(connection, entries)
        except psycopg.errors.UniqueViolation:
            stored = _stored(connection, entries)
            new = {entry.event.id: entry for entry in reversed(entries) if entry.event.id not in stored}
            if len(new) == len(entries):
                raise
        with suppress(psycopg.errors.UniqueViolation):  # stored at this moment, by the try before
            ordered = list(reversed(new.values()))
            stored |= zip([entry.event.id for entry in ordered], _insert(connection, ordered), strict=True)
            return [stored[entry.event.id] for entry in entries]
    raise OutboxError("some of the events are being stored by somebody else, or are to go to one sink twice")


def _insert(connection: Connection, entries: Sequence[Entry]) -> list[int]:
    if not entries:
        return []
    row = connection.execute(_APPEND.encode(), _columns(entries)).fetchone()
    if row is None:
        raise OutboxError("the outbox's counter of sequences is missing: restore the table 'meta'")
    return [row[0] + place for place in range(1, len(entries) + 1)]


def _stored(connection: Connection, entries: Sequence[Entry]) -> dict[str, int]:
    """The sequences of those that are there."""
    ids = [entry.event.id for entry in entries]
    rows: list[tuple[str, int]] = connection.execute(
        "SELECT id, sequence FROM event WHERE id = ANY(%s)", (ids,)
    ).fetchall()
    return dict(rows)


def _columns(entries: Sequence[Entry]) -> dict[str, Any]:
    events = [entry.event for entry in entries]
    due = [
        (place, entry.event.tenant_id, delivery)
        for place, entry in enumerate(entries, 1)
        for delivery in entry.deliveries
    ]
    return {
        "events": len(entries),
        "ids": [event.id for event in events],
        "types": [event.type for event in events],
        "timestamps": [iso_timestamp(event.timestamp) for event in events],
        "tenants": [event.tenant_id for event in events],
        "users": [event.user_id for event in events],
        "correlations": [event.correlation_id for event in events],
        "bodies": [entry.body for entry in entries],
        "places": [place for place, _, _ in due],
        "sinks": [delivery.sink for _, _, delivery in due],
        "states": [str(delivery.state) for _, _, delivery in due],
        "sink_tenants": [tenant for _, tenant, _ in due],
        "lines": [_line(delivery) for _, _, delivery in due],
        "reasons": [delivery.reason for _, _, delivery in due],
        "waits": [float(delivery.wait) for _, _, delivery in due],
    }


def _line(delivery: NewDelivery) -> str | None:
    """What a delivery waits in: the deliveries of its sink that have the same ordering key."""
    return None if delivery.ordering_key is None else f"{delivery.sink}\x1f{delivery.ordering_key}"
