"""Who is next: deliveries that are due, every tenant in its turn, each ordering key in order."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from supertokens_events.outbox.sqlite.rows import places

__all__ = ["BLOCKED", "Turns", "hold", "unclaimed"]

BLOCKED = 9e15
"""When a delivery is due that waits for an earlier one of its key: later than anything. The schema's triggers make it due
again once that one is out of the way.
"""
_TENANTS = 32  # that get a share of one claim
_LOOKED_AT = 64  # for one claim, to find those; a tenant may have nothing due

_ENDS = """
SELECT (SELECT tenant FROM delivery WHERE sink = :sink AND state = 'pending' ORDER BY tenant LIMIT 1),
       (SELECT tenant FROM delivery WHERE sink = :sink AND state = 'pending' ORDER BY tenant DESC LIMIT 1)
"""

# From one tenant to the next by the index: what it costs does not grow with what they have waiting.
_AFTER = """
WITH RECURSIVE turn (tenant, n) AS (
    SELECT * FROM (SELECT tenant, 1 FROM delivery
                   WHERE sink = :sink AND state = 'pending' AND tenant {bound} :tenant ORDER BY tenant LIMIT 1)
    UNION ALL
    SELECT (SELECT tenant FROM delivery
            WHERE sink = :sink AND state = 'pending' AND tenant > turn.tenant ORDER BY tenant LIMIT 1), n + 1
    FROM turn WHERE turn.tenant IS NOT NULL AND n < :limit
)
SELECT tenant, EXISTS (SELECT 1 FROM delivery
                       WHERE sink = :sink AND state = 'pending' AND tenant = turn.tenant AND due_at <= :now)
FROM turn WHERE tenant IS NOT NULL
"""

_DUE = """
SELECT id, ordering_key IS NOT NULL AND EXISTS (
    SELECT 1 FROM delivery AS earlier WHERE earlier.sink = delivery.sink AND earlier.ordering_key = delivery.ordering_key
    AND earlier.state = 'pending' AND earlier.sequence < delivery.sequence)
FROM delivery WHERE sink = :sink AND state = 'pending' {of_tenant} AND due_at <= :now ORDER BY due_at, id LIMIT :limit
"""
_DUE_OF_ALL = _DUE.format(of_tenant="")
_DUE_OF_ONE = _DUE.format(of_tenant="AND tenant = :tenant")
_MORE = 500  # rows to look at once some turn out to be blocked


class _Asked(NamedTuple):
    """What one claim is about; ``until`` is the end of the lease."""

    connection: sqlite3.Connection
    sink: str
    now: float
    until: float


class Turns:
    """Claims in turn. What it remembers, for each sink, is the tenant that had the last turn."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def take(self, connection: sqlite3.Connection, sink: str, limit: int, now: float, until: float) -> list[int]:
        """Hold up to ``limit`` deliveries until ``until``; their ids, in the order in which they were taken."""
        asked = _Asked(connection, sink, now, until)
        first, last = connection.execute(_ENDS, {"sink": sink}).fetchone()
        taken = [] if first == last else self._in_turn(asked, limit)
        if len(taken) < limit:
            taken += _take(asked, limit - len(taken))
        return taken

    def _in_turn(self, asked: _Asked, limit: int) -> list[int]:
        tenants = self._next_tenants(asked)
        taken: list[int] = []
        is_first = True
        while tenants and len(taken) < limit:
            share = max(1, (limit - len(taken)) // len(tenants))
            more = []
            for tenant in tenants[: limit - len(taken)]:
                ids = _take(asked, min(share, limit - len(taken)), tenant)
                taken += ids
                if len(ids) == share:
                    more.append(tenant)
                if is_first:
                    self._last[asked.sink] = tenant
            tenants, is_first = more, False
        return taken

    def _next_tenants(self, asked: _Asked) -> list[str]:
        """Those that have something due, from the one after the last turn, and round."""
        last = self._last.get(asked.sink)
        found = [] if last is None else _tenants(asked, ">", last, _LOOKED_AT)
        if len(found) < _LOOKED_AT:
            known = {tenant for tenant, _ in found}
            found += [one for one in _tenants(asked, ">=", "", _LOOKED_AT - len(found)) if one[0] not in known]
        if found:
            self._last[asked.sink] = found[-1][0]  # of those with nothing due too: they had their turn
        return [tenant for tenant, is_due in found if is_due][:_TENANTS]


def _tenants(asked: _Asked, bound: str, tenant: str, limit: int) -> list[tuple[str, bool]]:
    rows = asked.connection.execute(
        _AFTER.format(bound=bound), {"sink": asked.sink, "now": asked.now, "tenant": tenant, "limit": limit}
    )
    return [(row[0], bool(row[1])) for row in rows]


def _take(asked: _Asked, limit: int, tenant: str | None = None) -> list[int]:
    """Hold up to ``limit``, the first due first. Those that turn out to wait for an earlier one of their key are put out of the
    way, so that no claim meets them twice.
    """
    query = _DUE_OF_ALL if tenant is None else _DUE_OF_ONE
    taken: list[int] = []
    asked_for = limit
    while len(taken) < limit:
        rows = asked.connection.execute(
            query, {"sink": asked.sink, "now": asked.now, "tenant": tenant, "limit": asked_for}
        ).fetchall()
        blocked = [(BLOCKED, id_) for id_, is_blocked in rows if is_blocked]
        free = [id_ for id_, is_blocked in rows if not is_blocked][: limit - len(taken)]
        asked.connection.executemany("UPDATE delivery SET due_at = ?, held_until = NULL WHERE id = ?", blocked)
        hold(asked.connection, free, asked.until)
        taken += free
        if not blocked or len(rows) < asked_for:
            break
        asked_for = max(limit - len(taken), _MORE)
    return taken


def unclaimed(connection: sqlite3.Connection, event_id: str, sink: str) -> list[int]:
    """The id of this one delivery, if it is pending and nobody has ever claimed it."""
    rows = connection.execute(
        "SELECT delivery.id FROM event JOIN delivery USING (sequence) "
        "WHERE event.id = ? AND sink = ? AND state = 'pending' AND fence = 0",
        (event_id, sink),
    )
    return [id_ for (id_,) in rows]


def hold(connection: sqlite3.Connection, ids: list[int], until: float) -> None:
    """Claim them: whoever held them before does no longer."""
    if not ids:
        return  # a list without an element would have SQLite read the whole table
    text, values = places(ids)
    connection.execute(
        f"UPDATE delivery SET due_at = ?, held_until = ?, fence = fence + 1 WHERE id IN ({text})",
        (until, until, *values),
    )
