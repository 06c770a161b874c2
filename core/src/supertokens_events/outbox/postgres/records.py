"""The records on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

from supertokens_events.outbox.contract import StoredEvent
from supertokens_events.outbox.postgres.claim import NOW
from supertokens_events.outbox.postgres.connections import Connection
from supertokens_events.outbox.records import NOTHING, Change, Grant, Records, Stretch, Told

__all__ = ["PostgresRecords", "forget", "known"]

_EVENT = "SELECT sequence, id, type, timestamp, tenant_id, user_id, correlation_id, stored_at, payload FROM event e"
_TOLD = "SELECT recipe_user_id, user_id, facts, own_id FROM told"
_ERASED = '{"erased": true}'
_TOLD_OF = "(user_id = ANY(%(ids)s) OR recipe_user_id = ANY(%(ids)s) OR own_id = ANY(%(ids)s)) AND facts <> %(erased)s"
_GRANTED_TO = "user_id = ANY(%(ids)s)"
_KEEP_TOLD = """
INSERT INTO told (recipe_user_id, user_id, facts, own_id)
SELECT * FROM unnest(%(logins)s::text[], %(users)s::text[], %(facts)s::text[], %(own)s::text[])
ON CONFLICT (recipe_user_id) DO UPDATE SET user_id = excluded.user_id, facts = excluded.facts, own_id = excluded.own_id"""
_NEW_BOOKMARK = """
INSERT INTO bookmark AS b (name, value) VALUES (%s, %s)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE b.value IS NULL"""
_TURN = f"""
INSERT INTO bookmark AS b (name, due_at) VALUES (%(name)s, {NOW} + %(wait)s)
ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at
WHERE b.due_at IS NULL OR b.due_at <= {NOW} OR b.due_at > {NOW} + %(wait)s"""
_AFTER_A_HOLE = """
SELECT sequence, stored_at FROM event e
WHERE NOT EXISTS (SELECT FROM event b WHERE b.sequence = e.sequence - 1) ORDER BY sequence DESC LIMIT 1"""
_HAD = f"""
{_EVENT} WHERE user_id = ANY(%(users)s) AND type = ANY(%(types)s) AND EXISTS (
    SELECT FROM delivery d WHERE d.sequence = e.sequence AND sink = %(sink)s AND state IN ('pending', 'done', 'dead'))"""


class PostgresRecords(Records):
    """On connections that ``run`` gives."""

    def __init__(self, run: Callable[[Callable[[Connection], Any]], Any]) -> None:
        self._run = run

    def bookmark(self, name: str) -> str | None:
        row = self._one("SELECT value FROM bookmark WHERE name = %s", (name,))
        return row[0] if row else None

    def keep(self, name: str, value: str, was: str | None, change: Change = NOTHING) -> bool:
        def keep(connection: Connection) -> bool:
            with connection.transaction():
                if was is None:
                    moved = connection.execute(_NEW_BOOKMARK, (name, value))
                else:
                    moved = connection.execute(
                        "UPDATE bookmark SET value = %s WHERE name = %s AND value = %s", (value, name, was)
                    )
                if moved.rowcount:
                    _apply(connection, change)
                return moved.rowcount > 0

        return bool(self._run(keep))

    def take_turn(self, name: str, wait: float) -> bool:
        values = {"name": name, "wait": wait}
        return bool(self._run(lambda connection: connection.execute(_TURN.encode(), values).rowcount))

    def told(self, ids: Collection[str]) -> list[Told]:
        columns = ("recipe_user_id", "user_id", "own_id")
        query = " UNION ".join(f"{_TOLD} WHERE {column} = ANY(%(ids)s)" for column in columns)
        return _told(self._all(query, {"ids": list(ids)}))

    def told_after(self, recipe_user_id: str, limit: int) -> list[Told]:
        query = f"{_TOLD} WHERE recipe_user_id > %s ORDER BY recipe_user_id LIMIT %s"
        return _told(self._all(query, (recipe_user_id, limit)))

    def holders(self, tenant_id: str, role: str) -> set[str]:
        query = "SELECT user_id FROM told_grant WHERE tenant_id = %s AND role = %s AND user_id <> ''"
        return {user for (user,) in self._all(query, (tenant_id, role))}

    def grants(self) -> set[tuple[str, str]]:
        return set(self._all("SELECT DISTINCT tenant_id, role FROM told_grant", ()))

    def stretch(self, after: int, limit: int, event_types: Collection[str]) -> Stretch:
        def read(connection: Connection) -> Stretch:
            row = connection.execute("SELECT value FROM meta WHERE key = 'sequence'").fetchone()
            through = min(row[0] if row else 0, after + limit)
            values = {"after": after, "through": through, "types": list(event_types)}
            within = "sequence > %(after)s AND sequence <= %(through)s"
            counted = connection.execute(f"SELECT count(*) FROM event WHERE {within}".encode(), values).fetchone()
            assert counted is not None
            query = f"{_EVENT} WHERE {within} AND type = ANY(%(types)s) ORDER BY sequence"
            events = [StoredEvent(*event) for event in connection.execute(query.encode(), values, binary=True)]
            return Stretch(events, max(after, through), max(0, through - after - counted[0]))

        stretch: Stretch = self._run(read)
        return stretch

    def complete_since(self) -> tuple[int, float] | None:
        def read(connection: Connection) -> tuple[int, float] | None:
            with connection.at_leisure():
                row = connection.execute(_AFTER_A_HOLE).fetchone()
            return (row[0], row[1]) if row else None

        found: tuple[int, float] | None = self._run(read)
        return found

    def had(self, sink: str, event_types: Collection[str], user_ids: Collection[str]) -> list[StoredEvent]:
        values = {"users": list(user_ids), "types": list(event_types), "sink": sink}

        def read(connection: Connection) -> list[StoredEvent]:
            return [StoredEvent(*row) for row in connection.execute(_HAD.encode(), values, binary=True)]

        events: list[StoredEvent] = self._run(read)
        return events

    def _one(self, query: str, values: Any) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._run(
            lambda connection: connection.execute(query.encode(), values).fetchone()
        )
        return row

    def _all(self, query: str, values: Any) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._run(
            lambda connection: connection.execute(query.encode(), values).fetchall()
        )
        return rows


def known(connection: Connection, user_ids: Collection[str]) -> int:
    """How many rows :func:`forget` would change."""
    values = {"ids": list(user_ids), "erased": _ERASED}
    query = (
        f"SELECT (SELECT count(*) FROM told WHERE {_TOLD_OF}) + (SELECT count(*) FROM told_grant WHERE {_GRANTED_TO})"
    )
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return int(row[0])


def forget(connection: Connection, user_ids: Collection[str]) -> int:
    """That somebody told of a user stays; what was told goes. Returns how many rows that was."""
    values = {"ids": list(user_ids), "erased": _ERASED}
    rows = connection.execute(f"UPDATE told SET facts = %(erased)s WHERE {_TOLD_OF}".encode(), values).rowcount
    return rows + connection.execute(f"DELETE FROM told_grant WHERE {_GRANTED_TO}".encode(), values).rowcount


def _apply(connection: Connection, change: Change) -> None:
    if change.anew:
        connection.execute("DELETE FROM told")
        connection.execute("DELETE FROM told_grant")
    if change.gone:
        connection.execute("DELETE FROM told WHERE recipe_user_id = ANY(%s)", (list(change.gone),))
    if change.kept:
        columns = {
            "logins": [one.recipe_user_id for one in change.kept],
            "users": [one.user_id for one in change.kept],
            "facts": [json.dumps(dict(one.facts)) for one in change.kept],
            "own": [one.own_id for one in change.kept],
        }
        connection.execute(_KEEP_TOLD, columns)
    for added, grant in change.grants:
        if added:
            connection.execute("INSERT INTO told_grant VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", grant)
        else:
            _revoke(connection, grant)


def _revoke(connection: Connection, grant: Grant) -> None:
    named = {column: value for column, value in grant._asdict().items() if value is not None}
    where = " AND ".join(f"{column} = %({column})s" for column in named)
    connection.execute(f"DELETE FROM told_grant WHERE {where}".encode(), named)


def _told(rows: Collection[tuple[Any, ...]]) -> list[Told]:
    return [Told(login, user, json.loads(facts), own) for login, user, facts, own in rows]
