"""The sinks that were made through the API, as rows on the server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from supertokens_events.outbox.contract import StoredSink
from supertokens_events.outbox.postgres.claim import NOW
from supertokens_events.outbox.postgres.connections import Connection

__all__ = ["remove", "revision", "skip", "store", "stored"]

_COLUMNS = "name, type, settings, enabled, revision, created_at, updated_at"
# Whoever changes something holds this row until the commit, so changes show in the order of their revisions.
_NEXT = "UPDATE meta SET value = value + 1 WHERE key = 'sinks' RETURNING value"
_INSERT = f"""
INSERT INTO sink ({_COLUMNS})
VALUES (%(name)s, %(type)s, %(settings)s, %(enabled)s, %(next)s, {NOW}, {NOW})
ON CONFLICT DO NOTHING RETURNING {_COLUMNS}"""
_UPDATE = f"""
UPDATE sink SET type = %(type)s, settings = %(settings)s, enabled = %(enabled)s, revision = %(next)s, updated_at = {NOW}
WHERE name = %(name)s AND revision = %(revision)s RETURNING {_COLUMNS}"""
_SKIP = """
UPDATE delivery SET state = 'skipped', reason = %(reason)s, held_until = NULL, blocked = false
WHERE id IN (
    SELECT id FROM delivery WHERE sink = %(sink)s AND state = 'pending' ORDER BY id LIMIT %(limit)s FOR UPDATE)
AND NOT EXISTS (SELECT 1 FROM sink WHERE name = %(sink)s)"""


def revision(connection: Connection) -> int:
    """That of the last change."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'sinks'").fetchone()
    assert row is not None
    return int(row[0])


def stored(connection: Connection) -> list[StoredSink]:
    """All of them, by name."""
    rows = connection.execute(f'SELECT {_COLUMNS} FROM sink ORDER BY name COLLATE "C"'.encode()).fetchall()
    return [_sink(*row) for row in rows]


def store(connection: Connection, sink: Mapping[str, Any]) -> StoredSink | None:
    """A new sink, or with ``sink["revision"]`` another state of one; ``None`` when there is one, or none with that revision."""
    query = _INSERT if sink["revision"] is None else _UPDATE
    with connection.transaction():
        values = {**sink, "settings": json.dumps(sink["settings"]), "next": _next(connection)}
        row = connection.execute(query.encode(), values).fetchone()
    return None if row is None else _sink(*row)


def remove(connection: Connection, name: str, revision: int) -> bool:
    """Whether there was one with this revision."""
    with connection.transaction():
        _next(connection)
        gone = connection.execute("DELETE FROM sink WHERE name = %s AND revision = %s", (name, revision)).rowcount
        if gone:
            connection.execute("DELETE FROM breaker WHERE sink = %s", (name,))
            connection.execute("DELETE FROM disabled WHERE sink = %s", (name,))
    return bool(gone)


def skip(connection: Connection, sink: str, reason: str, limit: int) -> int:
    """How many pending deliveries are skipped now."""
    return connection.execute(_SKIP.encode(), {"sink": sink, "reason": reason, "limit": limit}).rowcount


def _next(connection: Connection) -> int:
    row = connection.execute(_NEXT).fetchone()
    assert row is not None
    return int(row[0])


def _sink(name: str, type_name: str, settings: str, *rest: Any) -> StoredSink:
    return StoredSink(name, type_name, json.loads(settings), *rest)
