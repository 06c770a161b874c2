"""The sinks on PostgreSQL that are disabled: their places want no more events."""

from __future__ import annotations

from collections.abc import Sequence

from supertokens_events.outbox.contract import Disabled, Settlement
from supertokens_events.outbox.postgres.claim import NOW, STILL
from supertokens_events.outbox.postgres.connections import Connection

__all__ = ["disable", "disabled", "enable"]

# Only by an outcome that was written down: what an earlier holder says later changes nothing.
_DISABLE = f"""
INSERT INTO disabled (sink, since, reason)
SELECT sink, {NOW}, %(reason)s FROM delivery WHERE id = %(id)s AND fence = %(fence)s AND state = 'dead'
ON CONFLICT DO NOTHING"""
_ENABLE = f"DELETE FROM disabled WHERE sink = %(sink)s RETURNING since, reason, {NOW} - since"
_TRIED = """
SELECT d.id FROM delivery d
WHERE d.sink = %(sink)s AND d.state = 'pending' AND (d.first_try_at IS NULL) = false ORDER BY d.id"""
_WAITED = f"UPDATE delivery SET first_try_at = first_try_at + %(waited)s WHERE id = ANY(%(ids)s) AND {STILL}"


def disable(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """Disable the sinks of those outcomes, just written down in the same transaction, that say so."""
    for one in sorted((one for one in settlements if one.disables), key=lambda one: one.claim.delivery.sink):
        reason = (one.reason or "").replace("\0", "\ufffd")
        connection.execute(_DISABLE.encode(), {"id": one.claim.id, "fence": one.claim.fence, "reason": reason})


def enable(connection: Connection, sink: str) -> Disabled | None:
    """Enable it; what is over, if it was disabled. Schedules go on where they stood."""
    with connection.at_leisure():
        row = connection.execute(_ENABLE.encode(), {"sink": sink}).fetchone()
        if row is None:
            return None
        since, reason, waited = row
        ids = [id_ for (id_,) in connection.execute(_TRIED.encode(), {"sink": sink})]
        connection.execute(_WAITED.encode(), {"ids": ids, "waited": max(0.0, waited)})
    return Disabled(since, reason)


def disabled(connection: Connection) -> dict[str, Disabled]:
    """All that are disabled, by name."""
    return {sink: Disabled(*facts) for sink, *facts in connection.execute("SELECT sink, since, reason FROM disabled")}
