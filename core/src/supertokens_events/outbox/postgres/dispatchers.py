"""The dispatchers on PostgreSQL that say they run."""

from __future__ import annotations

import json

from supertokens_events.outbox.contract import FORGOTTEN, Dispatching, Pulse
from supertokens_events.outbox.postgres.claim import NOW
from supertokens_events.outbox.postgres.connections import Connection

__all__ = ["all_seen", "beat", "leave"]

_FORGET = f"DELETE FROM dispatcher WHERE seen_at <= {NOW} - %s"
_BEAT = f"""
INSERT INTO dispatcher (id, host, pid, version, leads, began_at, seen_at)
VALUES (%(id)s, %(host)s, %(pid)s, %(version)s, %(leads)s, {NOW}, {NOW})
ON CONFLICT (id) DO UPDATE SET leads = excluded.leads, seen_at = excluded.seen_at"""
_ALL = f"""
SELECT id, host, pid, version, leads, began_at, seen_at, {NOW} - seen_at FROM dispatcher
WHERE seen_at > {NOW} - %s ORDER BY began_at, id"""


def beat(connection: Connection, pulse: Pulse) -> None:
    """One of them runs. Those that have long said nothing are forgotten."""
    connection.execute(_FORGET.encode(), (FORGOTTEN,))
    connection.execute(_BEAT.encode(), pulse._asdict() | {"leads": json.dumps(pulse.leads)})


def leave(connection: Connection, dispatcher: str) -> None:
    """It has ended."""
    connection.execute("DELETE FROM dispatcher WHERE id = %s", (dispatcher,))


def all_seen(connection: Connection) -> list[Dispatching]:
    """Those that have not been forgotten, the oldest first."""
    return [
        Dispatching(Pulse(id_, host, pid, version, tuple(json.loads(leads))), began, seen, max(0.0, silent))
        for id_, host, pid, version, leads, began, seen, silent in connection.execute(_ALL.encode(), (FORGOTTEN,))
    ]
