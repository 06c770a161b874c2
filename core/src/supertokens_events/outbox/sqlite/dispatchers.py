"""The dispatchers that say they run."""

from __future__ import annotations

import json
import sqlite3

from supertokens_events.outbox.contract import FORGOTTEN, Dispatching, Pulse

__all__ = ["all_seen", "beat", "leave"]

_BEAT = """
INSERT INTO dispatcher (id, host, pid, version, leads, began_at, seen_at)
VALUES (:id, :host, :pid, :version, :leads, :now, :now)
ON CONFLICT DO UPDATE SET leads = excluded.leads, seen_at = excluded.seen_at
"""
_ALL = "SELECT id, host, pid, version, leads, began_at, seen_at FROM dispatcher WHERE seen_at > ? ORDER BY began_at, id"


def beat(connection: sqlite3.Connection, pulse: Pulse, now: float) -> None:
    """One of them runs. Those that have long said nothing are forgotten."""
    connection.execute("DELETE FROM dispatcher WHERE seen_at <= ?", (now - FORGOTTEN,))
    connection.execute(_BEAT, pulse._asdict() | {"leads": json.dumps(pulse.leads), "now": now})


def leave(connection: sqlite3.Connection, dispatcher: str) -> None:
    """It has ended."""
    connection.execute("DELETE FROM dispatcher WHERE id = ?", (dispatcher,))


def all_seen(connection: sqlite3.Connection, now: float) -> list[Dispatching]:
    """Those that have not been forgotten, the oldest first."""
    return [
        Dispatching(Pulse(id_, host, pid, version, tuple(json.loads(leads))), began, seen, max(0.0, now - seen))
        for id_, host, pid, version, leads, began, seen in connection.execute(_ALL, (now - FORGOTTEN,))
    ]
