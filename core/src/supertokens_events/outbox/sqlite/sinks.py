"""The sinks that were made through the API, as rows of the SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from supertokens_events.outbox.contract import StoredSink

__all__ = ["remove", "revision", "skip", "store", "stored"]

_COLUMNS = "name, type, settings, enabled, revision, created_at, updated_at"
_INSERT = f"""
INSERT INTO sink ({_COLUMNS}) VALUES (:name, :type, :settings, :enabled, :next, :now, :now)
ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
"""
_UPDATE = f"""
UPDATE sink SET type = :type, settings = :settings, enabled = :enabled, revision = :next, updated_at = :now
WHERE name = :name AND revision = :revision RETURNING {_COLUMNS}
"""
_SKIP = """
UPDATE delivery SET state = 'skipped', reason = :reason, held_until = NULL
WHERE id IN (SELECT id FROM delivery WHERE sink = :sink AND state = 'pending' LIMIT :limit)
AND NOT EXISTS (SELECT 1 FROM sink WHERE name = :sink)
"""


def revision(connection: sqlite3.Connection) -> int:
    """That of the last change."""
    (value,) = connection.execute("SELECT value FROM meta WHERE key = 'sinks'").fetchone()
    return int(value)


def stored(connection: sqlite3.Connection) -> list[StoredSink]:
    """All of them, by name."""
    return [_sink(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM sink ORDER BY name").fetchall()]


def store(connection: sqlite3.Connection, sink: Mapping[str, Any], now: float) -> StoredSink | None:
    """A new sink, or with ``sink["revision"]`` another state of one; ``None`` when there is one, or none with that revision."""
    values = {**sink, "settings": json.dumps(sink["settings"]), "now": now, "next": revision(connection) + 1}
    row = connection.execute(_INSERT if sink["revision"] is None else _UPDATE, values).fetchone()
    if row is not None:
        _count(connection)
    return None if row is None else _sink(row)


def remove(connection: sqlite3.Connection, name: str, revision: int) -> bool:
    """Whether there was one with this revision."""
    if not connection.execute("DELETE FROM sink WHERE name = ? AND revision = ?", (name, revision)).rowcount:
        return False
    connection.execute("DELETE FROM breaker WHERE sink = ?", (name,))
    connection.execute("DELETE FROM disabled WHERE sink = ?", (name,))
    _count(connection)
    return True


def skip(connection: sqlite3.Connection, sink: str, reason: str, limit: int) -> int:
    """How many pending deliveries are skipped now."""
    return connection.execute(_SKIP, {"sink": sink, "reason": reason, "limit": limit}).rowcount


def _count(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'sinks'")


def _sink(row: sqlite3.Row) -> StoredSink:
    name, type_name, settings, enabled, *rest = row
    return StoredSink(name, type_name, json.loads(settings), bool(enabled), *rest)
