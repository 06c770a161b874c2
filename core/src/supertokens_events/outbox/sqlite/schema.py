"""The schema of the SQLite file: numbered SQL files, run once each."""

from __future__ import annotations

import sqlite3
from importlib import resources
from pathlib import Path

from supertokens_events.outbox.contract import OutboxError

__all__ = ["migrate"]


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the store to this version, one numbered SQL file after the other, each in its own transaction.

    Raises :class:`OutboxError` for a store that a newer version has made.
    """
    steps = sorted(
        (f for f in resources.files("supertokens_events.outbox.sql.sqlite").iterdir() if f.name.endswith(".sql")),
        key=lambda f: f.name,
    )
    latest = int(steps[-1].name[:4])
    if _version(connection) == latest:
        return
    for step in steps:
        connection.execute("BEGIN EXCLUSIVE")  # another process may be doing the same: look again under the lock
        try:
            if _version(connection) == int(step.name[:4]) - 1:
                _run(connection, step.read_text(encoding="utf-8"))
                connection.execute(
                    "INSERT OR REPLACE INTO meta (key, value) VALUES ('schema_version', ?)", (int(step.name[:4]),)
                )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if (found := _version(connection)) > latest:
        raise OutboxError(
            f"the outbox {path} has schema version {found}, this supertokens-events knows {latest}: "
            "upgrade supertokens-events, or use another file"
        )


def _version(connection: sqlite3.Connection) -> int:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return 0
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    return int(row[0]) if row else 0


def _run(connection: sqlite3.Connection, script: str) -> None:
    """``executescript`` would commit first; this keeps the script inside our transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
