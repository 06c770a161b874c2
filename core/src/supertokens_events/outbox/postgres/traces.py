"""What is left of what was erased: rows that nobody sees any more lie in the server's files until those are written anew."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from supertokens_events.outbox.postgres.connections import Connection
from supertokens_events.outbox.postgres.upkeep import size

__all__ = ["remember", "scrub"]

_KEY = "erased_in_pages"
_TABLES = ("event", "delivery", "attempt", "breaker", "disabled", "told")
_REMEMBER = f"INSERT INTO meta (key, value) VALUES ('{_KEY}', 1) ON CONFLICT DO NOTHING"


def remember(connection: Connection) -> None:
    """In the transaction that erases: there are traces, whatever becomes of this process."""
    connection.execute(_REMEMBER.encode())


def scrub(connection: Connection, rewrite_up_to: float) -> list[str]:
    """As the contract says."""
    if connection.execute("SELECT FROM meta WHERE key = %s", (_KEY,)).fetchone() is None:
        return []
    if (bytes_ := size(connection)) > rewrite_up_to:
        where = "the server's files may still have what was erased, in rows that nobody sees any more"
        return [f"{where}: --rewrite writes {bytes_ / 2**20:,.0f} MiB anew, and new events wait in memory meanwhile"]
    with _as_long_as_it_takes(connection):
        for table in _TABLES:
            connection.execute(f"VACUUM (FULL) {table}".encode())
    connection.execute("DELETE FROM meta WHERE key = %s", (_KEY,))
    return []


@contextmanager
def _as_long_as_it_takes(connection: Connection) -> Iterator[None]:
    """Once it has its lock. Whoever appends waits behind it for that, so it does not wait long."""
    patience, connection.patience = connection.patience, math.inf
    was = connection.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')").fetchone()
    assert was is not None
    try:
        _set(connection, "0", "500ms")
        yield
    finally:
        connection.patience = patience
        _set(connection, *was)


def _set(connection: Connection, statement_timeout: str, lock_timeout: str) -> None:
    connection.execute(
        "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
        (statement_timeout, lock_timeout),
    )
