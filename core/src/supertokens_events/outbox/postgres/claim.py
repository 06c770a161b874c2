"""Claims on PostgreSQL: who gets which delivery, and for how long.

A claim looks for candidates without a lock, then locks those that no other dispatcher is just taking (``SKIP LOCKED``). A
row that was changed in between is left: nobody gets what another has.

That two of one ordering key are never held at once needs no lock: sequences show in their order (see
:mod:`supertokens_events.outbox.postgres.append`), so whoever sees a delivery sees every earlier one of its key, and a
claimed one is pending until it is settled.

Deliveries that wait for an earlier one are marked ``blocked`` as they are met, and are then in no claim's way. The mark is
set under a share lock on the key's first one, and taken away after that one's row was changed: neither misses the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg.rows import namedtuple_row

from supertokens_events.outbox.contract import Claim, Look
from supertokens_events.outbox.postgres.connections import Connection
from supertokens_events.sink import Delivery

__all__ = ["BEHIND", "NOW", "STILL", "claim", "claim_overdue", "look", "release_keys", "take"]

NOW = "clock()"
"""The store's time: see ``0001_initial.sql``."""

STILL = "state NOT IN ('done', 'dead', 'skipped')"
"""The same as ``state = 'pending'``, for rows that are known by id: it offers the planner no index of what is pending."""

_ROUNDS = 20  # looks for candidates in one claim
_FRUITLESS = 3  # of them that found only what others were just taking
_DISABLED = "EXISTS (SELECT FROM disabled WHERE sink = %(sink)s)"
_WAITING = "d.sink = %(sink)s AND d.state = 'pending' AND NOT d.blocked"
_DUE = f"{_WAITING} AND d.due_at <= {NOW}"
BEHIND = """(d.line IS NOT NULL AND EXISTS (
    SELECT FROM delivery e WHERE e.line = d.line AND e.state = 'pending' AND e.sequence < d.sequence))"""
"""Whether an earlier delivery of the same sink and ordering key as ``d`` is pending."""

# One probe of the index for each tenant that has something pending, however much that is.
_TENANTS = f"""
WITH RECURSIVE tenants AS (
    (SELECT d.tenant FROM delivery d WHERE {_WAITING} ORDER BY d.tenant LIMIT 1)
  UNION ALL
    SELECT (SELECT d.tenant FROM delivery d WHERE {_WAITING} AND d.tenant > t.tenant ORDER BY d.tenant LIMIT 1)
    FROM tenants t WHERE t.tenant IS NOT NULL
)"""

# From the tenant after the one that had the last turn, around to that one. Each that has something due shows as many as would
# do if all had that many; a short round is followed by another.
_CANDIDATES = f"""
WITH RECURSIVE following AS (
    (SELECT d.tenant FROM delivery d WHERE {_WAITING} AND d.tenant > %(after)s ORDER BY d.tenant LIMIT 1)
  UNION ALL
    SELECT (SELECT d.tenant FROM delivery d WHERE {_WAITING} AND d.tenant > t.tenant ORDER BY d.tenant LIMIT 1)
    FROM following t WHERE t.tenant IS NOT NULL
), up_to AS (
    (SELECT d.tenant FROM delivery d WHERE {_WAITING} ORDER BY d.tenant LIMIT 1)
  UNION ALL
    SELECT (SELECT d.tenant FROM delivery d WHERE {_WAITING} AND d.tenant > t.tenant ORDER BY d.tenant LIMIT 1)
    FROM up_to t WHERE t.tenant IS NOT NULL AND (%(after)s::text IS NULL OR t.tenant < %(after)s)
), waiting AS MATERIALIZED (
    SELECT t.tenant, row_number() OVER () AS place FROM (
        SELECT tenant FROM following
      UNION ALL
        SELECT tenant FROM up_to WHERE %(after)s::text IS NULL OR tenant <= %(after)s
    ) AS t
    CROSS JOIN LATERAL (
        SELECT FROM delivery d WHERE {_DUE} AND d.tenant = t.tenant ORDER BY d.due_at, d.id LIMIT 1
    ) AS due
    WHERE t.tenant IS NOT NULL AND NOT {_DISABLED} LIMIT %(limit)s
), share AS (
    SELECT ceil(%(limit)s::float8 / greatest(count(*), 1))::integer AS size, count(*) = %(limit)s AS is_cut FROM waiting
), candidate AS MATERIALIZED (
    SELECT due.*, waiting.tenant, waiting.place, share.is_cut OR due.turn = share.size AS is_last
    FROM waiting CROSS JOIN share CROSS JOIN LATERAL (
        SELECT d.id, d.fence, d.due_at, {BEHIND} AS behind, row_number() OVER (ORDER BY d.due_at, d.id) AS turn
        FROM delivery d WHERE {_DUE} AND d.tenant = waiting.tenant ORDER BY d.due_at, d.id LIMIT share.size
    ) AS due
), chosen AS MATERIALIZED (
    SELECT id, fence, due_at, tenant, turn, place FROM candidate WHERE NOT behind ORDER BY turn, place LIMIT %(limit)s
)"""

_TAKE = f""", taken AS MATERIALIZED (
    SELECT chosen.* FROM chosen CROSS JOIN LATERAL (
        SELECT FROM delivery d
        WHERE d.id = chosen.id AND d.fence = chosen.fence AND d.due_at = chosen.due_at AND d.{STILL}
        FOR UPDATE SKIP LOCKED
    ) AS unchanged
), held AS (
    UPDATE delivery d SET due_at = {NOW} + %(lease)s, held_until = {NOW} + %(lease)s, fence = d.fence + 1
    FROM taken WHERE d.id = taken.id
    RETURNING d.id, d.sequence, d.sink, d.fence, d.used, d.tries + 1 AS attempt,
              coalesce({NOW} - d.first_try_at, 0) AS age, taken.tenant, taken.turn, taken.place
), round AS (
    SELECT {{summary}}
)
SELECT round.*, held.*, event.id AS event_id, event.type, event.tenant_id, event.user_id, event.payload
FROM round LEFT JOIN (held JOIN event USING (sequence)) ON true ORDER BY held.turn, held.place, held.id"""

_CLAIM = _CANDIDATES + _TAKE.format(
    summary="""coalesce(bool_or(behind), false) AS behind, coalesce(bool_or(is_last), false) AS has_more,
           count(*) FILTER (WHERE NOT behind) AS candidates FROM candidate""",
)

_UNHELD = f"(d.held_until IS NULL OR d.held_until <= {NOW})"
_SINCE = "coalesce(d.first_try_at, d.replayed_at, d.stored_at)"
_TOO_OLD = f"d.sink = %(sink)s AND d.state = 'pending' AND {_UNHELD} AND {_SINCE} <= {NOW} - %(span)s"
_CLAIM_OVERDUE = f"""
WITH chosen AS MATERIALIZED (
    SELECT old.*, '' AS tenant, 1 AS turn, old.since AS place FROM (
        (SELECT d.id, d.fence, d.due_at, {_SINCE} AS since FROM delivery d
         WHERE {_TOO_OLD} AND (d.first_try_at IS NULL) = false
         ORDER BY {_SINCE} LIMIT %(limit)s)
      UNION ALL
        (SELECT d.id, d.fence, d.due_at, {_SINCE} AS since FROM delivery d
         WHERE {_TOO_OLD} AND (d.first_try_at IS NULL) = true
           AND EXISTS (SELECT FROM breaker WHERE sink = %(sink)s AND open_since <= {NOW} - %(span)s)
         ORDER BY {_SINCE} LIMIT %(limit)s)
    ) AS old WHERE EXISTS (SELECT FROM breaker WHERE sink = %(sink)s) AND NOT {_DISABLED} ORDER BY since, id LIMIT %(limit)s
)""" + _TAKE.format(summary="false AS behind, false AS has_more, count(*) AS candidates FROM chosen")

_TAKE_ONE = """
WITH chosen AS MATERIALIZED (
    SELECT d.id, d.fence, d.due_at, '' AS tenant, 1 AS turn, 1 AS place FROM event JOIN delivery d USING (sequence)
    WHERE event.id = %(event)s AND d.sink = %(sink)s AND d.state = 'pending' AND d.fence = 0
)""" + _TAKE.format(summary="false AS behind, false AS has_more, count(*) AS candidates FROM chosen")

_MARK = f"""{_TENANTS}, behind AS (
    SELECT d.id, first.id AS first FROM tenants t CROSS JOIN LATERAL (
        SELECT * FROM delivery d WHERE {_DUE} AND d.tenant = t.tenant ORDER BY d.due_at, d.id LIMIT 2000
    ) AS d CROSS JOIN LATERAL (
        SELECT e.id FROM delivery e WHERE e.line = d.line AND e.state = 'pending' ORDER BY e.sequence LIMIT 1
    ) AS first
    WHERE t.tenant IS NOT NULL AND d.line IS NOT NULL AND first.id <> d.id
), firsts AS MATERIALIZED (
    SELECT d.id FROM delivery d WHERE d.id IN (SELECT first FROM behind) AND d.{STILL} FOR SHARE SKIP LOCKED
)
UPDATE delivery d SET blocked = true FROM behind JOIN firsts ON firsts.id = behind.first
WHERE d.id = behind.id AND d.{STILL} AND NOT d.blocked"""

# After the rows of ``ids`` were changed, in the same transaction: the first of each key is free, those behind one that
# waits are in nobody's way.
_FREE_FIRST = """
UPDATE delivery d SET blocked = false FROM (
    SELECT DISTINCT line FROM delivery WHERE id = ANY(%(ids)s) AND line IS NOT NULL
) AS k CROSS JOIN LATERAL (
    SELECT e.id, e.blocked FROM delivery e WHERE e.line = k.line AND e.state = 'pending' ORDER BY e.sequence LIMIT 1
) AS first
WHERE d.id = first.id AND first.blocked"""
_BLOCK_REST = f"""
UPDATE delivery d SET blocked = true
FROM delivery AS first
WHERE first.id = ANY(%(ids)s) AND first.{STILL}
  AND d.line = first.line AND d.state = 'pending' AND d.sequence > first.sequence AND NOT d.blocked"""

_ERASED = "UPDATE delivery SET state = 'dead', reason = 'erased', held_until = NULL WHERE id = ANY(%(ids)s)"

_LOOK = f"""{_TENANTS}
SELECT min(free.due_at) - {NOW} AS due_in,
       (SELECT probe_at - {NOW} FROM breaker WHERE sink = %(sink)s) AS probe_in,
       coalesce(bool_or(front.behind), false) AS behind, {_DISABLED} AS disabled
FROM tenants t LEFT JOIN LATERAL (
    SELECT d.due_at FROM delivery d WHERE {_WAITING} AND d.tenant = t.tenant AND NOT {BEHIND}
    ORDER BY d.due_at, d.id LIMIT 1
) AS free ON true LEFT JOIN LATERAL (
    SELECT {BEHIND} AS behind FROM delivery d WHERE {_DUE} AND d.tenant = t.tenant ORDER BY d.due_at, d.id LIMIT 1
) AS front ON true"""


class _Round(NamedTuple):
    """What one look for candidates came to."""

    claims: list[Claim]
    erased: list[int]
    behind: bool
    is_all: bool
    last: str | None


def claim(connection: Connection, turns: dict[str, str], sink: str, limit: int, lease: float) -> list[Claim]:
    """Take up to ``limit`` deliveries that are due, for ``lease`` seconds: in turn from each tenant, oldest first. ``turns``
    remembers for each sink the tenant that had the last turn.
    """
    claims: list[Claim] = []
    fruitless = 0
    for _ in range(_ROUNDS):
        values = {"sink": sink, "limit": limit - len(claims), "lease": lease, "after": turns.get(sink)}
        found = _take(connection, _CLAIM, values)
        claims += found.claims
        if found.last is not None:
            turns[sink] = found.last
        progress = len(found.claims) + len(found.erased)
        if found.behind:
            progress += connection.execute(_MARK, {"sink": sink}).rowcount
        fruitless = 0 if progress else fruitless + 1
        if found.is_all or len(claims) >= limit or fruitless == _FRUITLESS:
            break
    return claims


def take(connection: Connection, event_id: str, sink: str, lease: float) -> Claim | None:
    """Take this one delivery, due or not, if it is pending and nobody has ever claimed it."""
    return next(iter(_take(connection, _TAKE_ONE, {"event": event_id, "sink": sink, "lease": lease}).claims), None)


def claim_overdue(connection: Connection, sink: str, limit: int, lease: float, span: float) -> list[Claim]:
    """Take up to ``limit`` deliveries whose schedule of ``span`` seconds is over, while the breaker is open."""
    return _take(connection, _CLAIM_OVERDUE, {"sink": sink, "limit": limit, "lease": lease, "span": span}).claims


def look(connection: Connection, sink: str) -> Look:
    """When the sink's next delivery is due. What is found to stand in the way is marked, for the next look to be quick."""
    row = connection.execute(_LOOK, {"sink": sink}).fetchone()
    assert row is not None
    due_in, probe_in, behind, disabled = row
    if disabled:
        return Look(None, None, disabled=True)
    if behind:
        connection.execute(_MARK, {"sink": sink})
    return Look(_wait(due_in), _wait(probe_in))


def _wait(seconds: float | None) -> float | None:
    return None if seconds is None else max(0.0, seconds)


def release_keys(connection: Connection, ids: Sequence[int], *, still_pending: bool) -> None:
    """After the deliveries ``ids`` were changed, in the same transaction: let the next of their ordering keys go, and keep
    those out of the way that wait for one that is ``still_pending``.
    """
    if still_pending:
        connection.execute(_BLOCK_REST, {"ids": list(ids)})
    connection.execute(_FREE_FIRST, {"ids": list(ids)})


def _take(connection: Connection, query: str, values: dict[str, Any]) -> _Round:
    with connection.cursor(row_factory=namedtuple_row, binary=True) as cursor:
        rows: list[Any] = list(cursor.execute(query.encode(), values))
    held = [row for row in rows if row.id is not None]
    erased = [row.id for row in held if row.payload is None]
    if erased:
        with connection.transaction():
            connection.execute(_ERASED, {"ids": erased})
            release_keys(connection, erased, still_pending=False)
    round_ = rows[0]
    last = held[-1].tenant if held else None
    is_all = not round_.behind and not round_.has_more and len(held) == round_.candidates
    return _Round([_claim(row) for row in held if row.payload is not None], erased, round_.behind, is_all, last)


def _claim(row: Any) -> Claim:
    delivery = Delivery(
        sink=row.sink,
        event_id=row.event_id,
        event_type=row.type,
        sequence=row.sequence,
        tenant_id=row.tenant_id,
        user_id=row.user_id,
        body=row.payload,
        attempt=row.attempt,
    )
    return Claim(row.id, row.fence, row.used, delivery, row.age)
