"""How full a store on PostgreSQL is, and how it makes room.

What the server deletes it reuses; its files do not shrink. So a limit cannot be one of their size: it would be reached once
and for ever. It is one of what the rows that are there take, by the server's own count of them, or of the files' size when
that is less.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from supertokens_events.ledger import LedgerKey, Reason
from supertokens_events.outbox.contract import Entry, OutboxFull
from supertokens_events.outbox.postgres.connections import Connection
from supertokens_events.outbox.postgres.upkeep import record, size

__all__ = ["Room", "WhenFull"]

WhenFull = Literal["refuse", "drop_oldest_done"]

_LOOK_AGAIN = 3.0  # seconds; the server's own counts lag behind by one
_BATCH = 1000  # events that go at once
_BATCHES = 5  # for one append
_EVENT, _DELIVERY, _ATTEMPT = 350, 420, 160  # bytes of a row beside its payload, its places in indexes included

# Counts begin anew after a crash of the server; what the last cleaning found is then still to be added.
_ROWS = """
SELECT c.relname, n_live_tup + CASE
           WHEN coalesce(last_vacuum, last_autovacuum, last_analyze, last_autoanalyze) IS NULL THEN greatest(c.reltuples, 0)
           ELSE 0 END
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relname IN ('event', 'delivery', 'attempt')"""
_PAYLOAD = """
SELECT coalesce(avg(pg_column_size(payload)), 0)::float8
FROM (SELECT payload FROM event ORDER BY sequence DESC LIMIT 100) AS latest"""

_DROP = """
WITH done AS MATERIALIZED (
    SELECT sequence, type, coalesce(pg_column_size(payload), 0) AS bytes FROM event e
    WHERE NOT EXISTS (SELECT FROM delivery d WHERE d.sequence = e.sequence AND d.state IN ('pending', 'dead'))
    ORDER BY sequence LIMIT %(limit)s
), its_deliveries AS (
    DELETE FROM delivery WHERE sequence IN (SELECT sequence FROM done) RETURNING id
), its_attempts AS (
    DELETE FROM attempt WHERE delivery IN (SELECT id FROM its_deliveries) RETURNING 1
)
SELECT array_agg(sequence), array_agg(type), coalesce(sum(bytes), 0)::bigint,
       (SELECT count(*) FROM its_deliveries), (SELECT count(*) FROM its_attempts)
FROM done"""


class Room:
    """What is left of ``max_size`` bytes, looked up now and then. ``store`` is how errors call the outbox."""

    def __init__(self, max_size: int, when_full: WhenFull, store: str) -> None:
        self._max_size = max_size
        self._when_full = when_full
        self._store = store
        self._used = 0
        self._looked_at = float("-inf")
        self._search_again = float("-inf")

    def take(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Count ``entries`` in. Raises :class:`OutboxFull` when there is no room, and none can be made."""
        needed = sum(len(entry.body) + _EVENT + len(entry.deliveries) * _DELIVERY for entry in entries)
        if time.monotonic() - self._looked_at > _LOOK_AGAIN:
            self._used = used(connection)
            self._looked_at = time.monotonic()
        batches = 0
        while self._used + needed > self._max_size:
            if self._when_full == "refuse" or batches == _BATCHES or not self._drop(connection):
                raise OutboxFull(
                    f"the outbox {self._store} is full: {self._used:,} bytes are in use and {needed:,} more asked for, "
                    f"max_size is {self._max_size:,}"
                )
            batches += 1
        self._used += needed

    def _drop(self, connection: Connection) -> bool:
        """Delete a batch of the oldest events that every sink has. Not tried for every event when there are none."""
        if time.monotonic() < self._search_again:
            return False
        freed = _drop(connection)
        self._used -= freed
        if not freed:
            self._search_again = time.monotonic() + _LOOK_AGAIN
        return freed > 0


def used(connection: Connection) -> int:
    """How many bytes the rows take that are there, about."""
    counted: list[tuple[str, float]] = connection.execute(_ROWS).fetchall()
    rows = dict(counted)
    (payload,) = connection.execute(_PAYLOAD).fetchone() or (0.0,)
    of_rows = rows["event"] * (_EVENT + payload) + rows["delivery"] * _DELIVERY + rows["attempt"] * _ATTEMPT
    return min(size(connection), int(of_rows))


def _drop(connection: Connection) -> int:
    """Returns how many bytes there are to be used again."""
    with connection.transaction():
        row = connection.execute(_DROP, {"limit": _BATCH}).fetchone()
        assert row is not None
        sequences, types, bytes_, deliveries, attempts = row
        if not sequences:
            return 0
        connection.execute("DELETE FROM event WHERE sequence = ANY(%s)", (sequences,))
        record(connection, {LedgerKey(Reason.DROPPED, "", type_): types.count(type_) for type_ in set(types)})
    return int(bytes_ + len(sequences) * _EVENT + deliveries * _DELIVERY + attempts * _ATTEMPT)
