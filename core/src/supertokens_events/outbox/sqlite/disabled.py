"""The sinks that are disabled: their places want no more events."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from supertokens_events.outbox.contract import Disabled, Settlement

__all__ = ["all_disabled", "disable", "enable", "is_disabled"]

# Only by an outcome that was written down: what an earlier holder says later changes nothing.
_DISABLE = """
INSERT INTO disabled (sink, since, reason)
SELECT sink, :now, :reason FROM delivery WHERE id = :id AND fence = :fence AND state = 'dead' ON CONFLICT DO NOTHING
"""
_WAITED = "UPDATE delivery SET first_at = first_at + ? WHERE sink = ? AND state = 'pending' AND first_at IS NOT NULL"


def is_disabled(connection: sqlite3.Connection, sink: str) -> bool:
    """Whether nothing may go out to ``sink``."""
    return connection.execute("SELECT 1 FROM disabled WHERE sink = ?", (sink,)).fetchone() is not None


def all_disabled(connection: sqlite3.Connection) -> dict[str, Disabled]:
    """Those that are, by sink."""
    return {sink: Disabled(*facts) for sink, *facts in connection.execute("SELECT sink, since, reason FROM disabled")}


def disable(connection: sqlite3.Connection, settlements: Sequence[Settlement], now: float) -> None:
    """Disable the sinks of those outcomes, just written down, that say so."""
    connection.executemany(
        _DISABLE,
        [
            {"now": now, "reason": one.reason or "", "id": one.claim.id, "fence": one.claim.fence}
            for one in settlements
            if one.disables
        ],
    )


def enable(connection: sqlite3.Connection, sink: str, now: float) -> Disabled | None:
    """Enable it; what is over, if it was disabled. Schedules go on where they stood."""
    row = connection.execute("DELETE FROM disabled WHERE sink = ? RETURNING since, reason", (sink,)).fetchone()
    if row is None:
        return None
    over = Disabled(*row)
    connection.execute(_WAITED, (max(0.0, now - over.since), sink))
    return over
