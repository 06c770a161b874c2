"""What becomes of claims on PostgreSQL, and of a sink's breaker."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from supertokens_events.outbox.contract import Claim, Settlement
from supertokens_events.outbox.erasing import GONE
from supertokens_events.outbox.postgres.claim import NOW, STILL, release_keys
from supertokens_events.outbox.postgres.connections import Connection
from supertokens_events.outbox.postgres.disabled import disable

__all__ = ["close_breaker", "open_breaker", "release", "settle", "take_probe"]

_CHUNK = 5000  # rows that one statement changes when a breaker closes

# Only what is pending has a holder, and the first of several outcomes of one claim counts. A row that another dispatcher is
# just claiming is looked at again once that has committed; its fence is then another.
_SETTLE = f"""
WITH given AS MATERIALIZED (
    SELECT DISTINCT ON (id) * FROM unnest(
        %(ids)s::bigint[], %(fences)s::integer[], %(states)s::text[], %(used)s::integer[], %(waits)s::float8[],
        %(durations)s::float8[], %(outcomes)s::text[], %(reasons)s::text[], %(details)s::text[]
    ) WITH ORDINALITY AS g(id, fence, state, used, wait, duration, outcome, reason, detail, place)
    ORDER BY id, place
), held AS (
    UPDATE delivery d SET
        state = g.state, used = g.used, due_at = {NOW} + g.wait, held_until = NULL, tries = d.tries + 1,
        first_try_at = coalesce(d.first_try_at, {NOW} - g.duration), last_try_at = {NOW} - g.duration,
        failed_at = CASE WHEN g.outcome = 'delivered' THEN d.failed_at ELSE {NOW} - g.duration END,
        failure = CASE WHEN g.outcome = 'delivered' THEN d.failure ELSE g.reason END, reason = g.reason
    FROM given g
    WHERE d.id = g.id AND d.fence = g.fence AND d.held_until IS NOT NULL
    RETURNING d.id, d.tries, d.state, d.line IS NOT NULL AS keyed, d.last_try_at,
              g.duration, g.outcome, g.reason, g.detail
), written AS (
    INSERT INTO attempt (delivery, number, started_at, duration, outcome, reason, detail)
    SELECT id, tries, last_try_at, duration, outcome, reason, detail FROM held
)
SELECT count(*), array_agg(id) FILTER (WHERE keyed), coalesce(bool_or(keyed AND state = 'pending'), false) FROM held"""

_RELEASE = f"""
UPDATE delivery d SET due_at = {NOW}, held_until = NULL
FROM unnest(%(ids)s::bigint[], %(fences)s::integer[]) AS g(id, fence)
WHERE d.id = g.id AND d.fence = g.fence AND d.held_until IS NOT NULL"""

_OPEN = f"""
INSERT INTO breaker (sink, open_since, failing_since, probe_at, probes, reason, detail)
VALUES (%(sink)s, {NOW}, {NOW} - %(failing_for)s, {NOW} + %(probe_in)s, 1, %(reason)s, %(detail)s)
ON CONFLICT (sink) DO UPDATE SET
    probe_at = excluded.probe_at, probes = breaker.probes + 1, reason = excluded.reason, detail = excluded.detail"""
# Whoever erases them waits until the breaker is open, and then takes what it says; or has been there before.
_LOCK_EVENTS = "SELECT payload IS NULL FROM event WHERE id = ANY(%s) ORDER BY sequence FOR SHARE"
_TAKE_PROBE = f"UPDATE breaker SET probe_at = {NOW} + %(wait)s WHERE sink = %(sink)s AND probe_at <= {NOW}"

_UNHELD = f"(held_until IS NULL OR held_until <= {NOW})"
_FAILED_SINCE = f"""
SELECT d.id FROM delivery d, breaker WHERE breaker.sink = %(sink)s AND d.sink = %(sink)s AND state = 'pending' AND {_UNHELD}
  AND (d.first_try_at IS NULL) = false AND d.last_try_at >= breaker.failing_since ORDER BY d.id"""
_MAKE_DUE = f"UPDATE delivery SET due_at = {NOW} WHERE id = ANY(%(ids)s) AND {STILL} AND {_UNHELD}"


def settle(connection: Connection, settlements: Sequence[Settlement]) -> int:
    """Write down outcomes with their attempts, in one transaction; returns how many claims were still held."""
    with connection.transaction():
        row = connection.execute(_SETTLE.encode(), _columns(settlements)).fetchone()
        assert row is not None
        count, keyed, still_pending = row
        if keyed:
            release_keys(connection, keyed, still_pending=still_pending)
        disable(connection, settlements)
    return int(count)


def release(connection: Connection, claims: Sequence[Claim]) -> None:
    """Give claims back: due now, no attempt used."""
    values = {"ids": [claim.id for claim in claims], "fences": [claim.fence for claim in claims]}
    connection.execute(_RELEASE.encode(), values)


def open_breaker(
    connection: Connection,
    sink: str,
    waits: tuple[float, float],
    brought: tuple[str, Mapping[str, Any]],
    about: Sequence[str] = (),
) -> None:
    """Open the breaker of ``sink``, or count a probe that failed: for how many seconds its tries fail, and in how many the next
    probe is due; why this one failed, and the detail, unless an event is erased that it was ``about``.
    """
    (failing_for, probe_in), (reason, detail) = waits, brought
    values = {"sink": sink, "failing_for": failing_for, "probe_in": probe_in}
    with connection.transaction():
        bodies = connection.execute(_LOCK_EVENTS, (list(about),)).fetchall()
        if any(is_erased for (is_erased,) in bodies):
            reason, detail = GONE, {}
        connection.execute(_OPEN.encode(), values | {"reason": _text(reason), "detail": _json(detail)})


def take_probe(connection: Connection, sink: str, wait: float) -> bool:
    """Whether the caller may send the probe; the next is then due in ``wait`` seconds."""
    return connection.execute(_TAKE_PROBE.encode(), {"sink": sink, "wait": wait}).rowcount == 1


def close_breaker(connection: Connection, sink: str) -> int:
    """Make due what failed since the breaker's first failure, then close it; returns how many those are.

    In several transactions, since there may be very many. Should one fail, the breaker is still open.
    """
    ids = [id_ for (id_,) in connection.execute(_FAILED_SINCE.encode(), {"sink": sink})]
    made_due = sum(
        connection.execute(_MAKE_DUE.encode(), {"ids": ids[start : start + _CHUNK]}).rowcount
        for start in range(0, len(ids), _CHUNK)
    )
    connection.execute("DELETE FROM breaker WHERE sink = %s", (sink,))
    return made_due


def _columns(settlements: Iterable[Settlement]) -> dict[str, list[object]]:
    ordered = list(settlements)
    return {
        "ids": [s.claim.id for s in ordered],
        "fences": [s.claim.fence for s in ordered],
        "states": [str(s.state) for s in ordered],
        "used": [s.used for s in ordered],
        "waits": [float(s.wait) for s in ordered],
        "durations": [float(s.duration) for s in ordered],
        "outcomes": [s.outcome for s in ordered],
        "reasons": [_text(s.reason) for s in ordered],
        "details": [_json(s.detail) for s in ordered],
    }


def _json(detail: Mapping[str, Any]) -> str:
    return json.dumps(dict(detail), default=str)


def _text(reason: str | None) -> str | None:
    """A reason may repeat what a receiver said. PostgreSQL's text knows no NUL; an outcome is not refused for that."""
    return None if reason is None else reason.replace("\0", "\ufffd")
