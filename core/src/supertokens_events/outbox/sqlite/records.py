"""The records of the SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable

from supertokens_events.outbox.contract import StoredEvent
from supertokens_events.outbox.records import NOTHING, Change, Grant, Records, Stretch, Told
from supertokens_events.outbox.sqlite.file import SqliteFile

__all__ = ["SqliteRecords", "forget", "known"]

_EVENT = "sequence, id, type, timestamp, tenant_id, event.user_id, correlation_id, stored_at, payload"
_TOLD = "SELECT recipe_user_id, user_id, facts, own_id FROM told"
_AMONG = "IN (SELECT value FROM json_each(?))"
_ERASED = '{"erased": true}'
_IDS = "IN (SELECT value FROM json_each(:ids))"
_TOLD_OF = f"(user_id {_IDS} OR recipe_user_id {_IDS} OR own_id {_IDS}) AND facts <> :erased"
_GRANTED_TO = f"user_id {_IDS}"
_KEEP_TOLD = "INSERT OR REPLACE INTO told (recipe_user_id, user_id, facts, own_id) VALUES (?, ?, ?, ?)"
_NEW_BOOKMARK = """
INSERT INTO bookmark (name, value) VALUES (?, ?)
ON CONFLICT DO UPDATE SET value = excluded.value WHERE bookmark.value IS NULL
"""
_TURN = """
INSERT INTO bookmark (name, due_at) VALUES (:name, :now + :wait)
ON CONFLICT DO UPDATE SET due_at = excluded.due_at WHERE due_at IS NULL OR due_at <= :now OR due_at > :now + :wait
"""
_AFTER_A_HOLE = """
SELECT sequence, stored_at FROM event
WHERE NOT EXISTS (SELECT 1 FROM event AS before WHERE before.sequence = event.sequence - 1) ORDER BY sequence DESC LIMIT 1
"""
_HAD = f"""
SELECT {_EVENT} FROM event
WHERE event.user_id {_AMONG} AND type {_AMONG} AND EXISTS (
    SELECT 1 FROM delivery WHERE delivery.sequence = event.sequence AND sink = ? AND state IN ('pending', 'done', 'dead'))
"""


class SqliteRecords(Records):
    """In ``file``, by ``clock``: seconds since the epoch."""

    def __init__(self, file: SqliteFile, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock

    def bookmark(self, name: str) -> str | None:
        with self._file.connected() as connection:
            row = connection.execute("SELECT value FROM bookmark WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def keep(self, name: str, value: str, was: str | None, change: Change = NOTHING) -> bool:
        with self._file.transaction() as connection:
            if was is None:
                moved = connection.execute(_NEW_BOOKMARK, (name, value))
            else:
                moved = connection.execute(
                    "UPDATE bookmark SET value = ? WHERE name = ? AND value = ?", (value, name, was)
                )
            if not moved.rowcount:
                return False
            _apply(connection, change)
        return True

    def take_turn(self, name: str, wait: float) -> bool:
        with self._file.transaction() as connection:
            return connection.execute(_TURN, {"name": name, "now": self._clock(), "wait": wait}).rowcount > 0

    def told(self, ids: Collection[str]) -> list[Told]:
        query = " UNION ".join(f"{_TOLD} WHERE {column} {_AMONG}" for column in ("recipe_user_id", "user_id", "own_id"))
        with self._file.reading() as connection:
            return _told(connection.execute(query, [_json(ids)] * 3))

    def told_after(self, recipe_user_id: str, limit: int) -> list[Told]:
        query = f"{_TOLD} WHERE recipe_user_id > ? ORDER BY recipe_user_id LIMIT ?"
        with self._file.reading() as connection:
            return _told(connection.execute(query, (recipe_user_id, limit)))

    def holders(self, tenant_id: str, role: str) -> set[str]:
        query = "SELECT user_id FROM told_grant WHERE tenant_id = ? AND role = ? AND user_id <> ''"
        with self._file.reading() as connection:
            return {user for (user,) in connection.execute(query, (tenant_id, role))}

    def grants(self) -> set[tuple[str, str]]:
        with self._file.reading() as connection:
            return {tuple(row) for row in connection.execute("SELECT DISTINCT tenant_id, role FROM told_grant")}

    def stretch(self, after: int, limit: int, event_types: Collection[str]) -> Stretch:
        with self._file.reading() as connection:
            connection.execute("BEGIN")  # one moment for all queries
            (last,) = connection.execute("SELECT value FROM meta WHERE key = 'sequence'").fetchone()
            through = min(last, after + limit)
            within = "sequence > ? AND sequence <= ?"
            (count,) = connection.execute(f"SELECT count(*) FROM event WHERE {within}", (after, through)).fetchone()
            rows = connection.execute(
                f"SELECT {_EVENT} FROM event WHERE {within} AND +type {_AMONG} ORDER BY sequence",
                (after, through, _json(event_types)),
            )
            return Stretch([StoredEvent(*row) for row in rows], max(after, through), max(0, through - after - count))

    def complete_since(self) -> tuple[int, float] | None:
        with self._file.reading() as connection:
            row = connection.execute(_AFTER_A_HOLE).fetchone()
        return tuple(row) if row else None

    def had(self, sink: str, event_types: Collection[str], user_ids: Collection[str]) -> list[StoredEvent]:
        with self._file.reading() as connection:
            rows = connection.execute(_HAD, (_json(user_ids), _json(event_types), sink))
            return [StoredEvent(*row) for row in rows]


def known(connection: sqlite3.Connection, user_ids: Collection[str]) -> int:
    """How many rows :func:`forget` would change."""
    values = {"ids": _json(user_ids), "erased": _ERASED}
    (rows,) = connection.execute(f"SELECT count(*) FROM told WHERE {_TOLD_OF}", values).fetchone()
    (grants,) = connection.execute(f"SELECT count(*) FROM told_grant WHERE {_GRANTED_TO}", values).fetchone()
    return int(rows + grants)


def forget(connection: sqlite3.Connection, user_ids: Collection[str]) -> int:
    """That somebody told of a user stays; what was told goes. Returns how many rows that was."""
    values = {"ids": _json(user_ids), "erased": _ERASED}
    rows = connection.execute(f"UPDATE told SET facts = :erased WHERE {_TOLD_OF}", values).rowcount
    return rows + connection.execute(f"DELETE FROM told_grant WHERE {_GRANTED_TO}", values).rowcount


def _apply(connection: sqlite3.Connection, change: Change) -> None:
    if change.anew:
        connection.execute("DELETE FROM told")
        connection.execute("DELETE FROM told_grant")
    connection.executemany("DELETE FROM told WHERE recipe_user_id = ?", [(id_,) for id_ in change.gone])
    rows = [(one.recipe_user_id, one.user_id, json.dumps(dict(one.facts)), one.own_id) for one in change.kept]
    connection.executemany(_KEEP_TOLD, rows)
    for added, grant in change.grants:
        if added:
            connection.execute("INSERT OR IGNORE INTO told_grant VALUES (?, ?, ?)", grant)
        else:
            _revoke(connection, grant)


def _revoke(connection: sqlite3.Connection, grant: Grant) -> None:
    named = {column: value for column, value in grant._asdict().items() if value is not None}
    where = " AND ".join(f"{column} = :{column}" for column in named)
    connection.execute(f"DELETE FROM told_grant WHERE {where}", named)


def _told(rows: Iterable[sqlite3.Row]) -> list[Told]:
    return [Told(login, user, json.loads(facts), own) for login, user, facts, own in rows]


def _json(texts: Collection[str]) -> str:
    return json.dumps(list(texts))
