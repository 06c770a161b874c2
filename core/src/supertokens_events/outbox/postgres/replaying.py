"""Deliveries on PostgreSQL that a person makes due again, and the replays that are under way.

What is to become due is looked for without a lock, then locked in its order and looked at again: of two who replay the same
at once, each delivery is one's.
"""

from __future__ import annotations

import math
from typing import Any

from psycopg.rows import dict_row

from supertokens_events.outbox.postgres.claim import NOW
from supertokens_events.outbox.postgres.connections import Connection
from supertokens_events.outbox.replaying import (
    GRACE,
    HELD,
    LIVE,
    OUTCOME,
    RESUMABLE,
    Replayed,
    Run,
    Selection,
    attempt_of,
)

__all__ = ["begin", "count", "end", "replay"]

# `source` is what was asked for; `target` is what becomes due, and may have to be made.
_VERDICT = f"""
CASE WHEN {{target}}.replayed_at >= %(replayed_since)s THEN 'replayed'
     WHEN payload IS NULL THEN 'erased'
     WHEN {{target}}.state = 'pending' THEN 'pending'
     WHEN {{unasked}} THEN {{target}}.state
     WHEN {{target}}.state = 'done' AND {{target}}.replayed_at >= {NOW} - %(grace)s AND NOT %(again)s THEN 'replayed'
     WHEN {{held}} AND NOT %(held)s THEN 'held'
     ELSE 'due' END AS verdict"""
_OWN_HOLD = "(source.state = 'dead' AND coalesce(starts_with(source.reason, %(hold)s), false))"
_ANY_HOLD = """EXISTS (SELECT FROM delivery AS held WHERE held.sequence = event.sequence AND held.state = 'dead'
    AND starts_with(held.reason, %(hold)s))"""
_LIVE_SINCE = f"""
SELECT min(since) FROM replay
WHERE seen_at > {NOW} - %(live)s AND (target = %(target)s OR target IS NULL OR %(target)s::text IS NULL)"""

_BEGIN = f"""
INSERT INTO replay (asked, target, selection, by, began_at, since, seen_at)
VALUES (%(asked)s, %(target)s, %(selection)s, %(by)s, {NOW}, least({NOW}, %(since)s), {NOW}) RETURNING id, began_at, since"""
_RESUME = f"""
UPDATE replay SET seen_at = {NOW} WHERE id = (SELECT min(id) FROM replay WHERE asked = %(asked)s)
RETURNING id, selection, by, began_at, since"""

_REPLAY = f"""
WITH asked AS MATERIALIZED (
    {{query}} ORDER BY place LIMIT %(limit)s
), unchanged AS MATERIALIZED (
    SELECT asked.target FROM asked CROSS JOIN LATERAL (
        SELECT FROM delivery d WHERE d.id = asked.target AND d.fence = asked.fence AND d.state = asked.state FOR UPDATE
    ) AS still WHERE asked.verdict = 'due'
), again AS (
    UPDATE delivery d SET state = 'pending', due_at = {NOW}, replayed_at = {NOW}, used = 0, reason = NULL, blocked = false,
        fence = d.fence + 1, tries = d.tries + 1, first_try_at = NULL, held_until = NULL
    FROM unchanged WHERE d.id = unchanged.target RETURNING d.id, d.tries
), made AS (
    INSERT INTO delivery (sequence, sink, state, tenant, line, stored_at, due_at, replayed_at, tries)
    SELECT sequence, asked.sink, 'pending', tenant, line, stored_at, {NOW}, {NOW}, 1
    FROM asked WHERE verdict = 'due' AND target IS NULL ORDER BY place
    ON CONFLICT (sequence, sink) DO NOTHING RETURNING id, tries
), noted AS (
    INSERT INTO attempt (delivery, number, started_at, duration, outcome, reason, detail)
    SELECT id, tries, {NOW}, 0, %(outcome)s, %(reason)s, %(detail)s FROM (
        SELECT * FROM again UNION ALL SELECT * FROM made) AS due RETURNING 1
), seen AS (
    UPDATE replay SET seen_at = {NOW} WHERE id = %(run)s
), verdicts AS (
    SELECT verdict, count(*) AS count FROM asked GROUP BY verdict
)
SELECT (SELECT json_object_agg(verdict, count) FROM verdicts) AS verdicts, (SELECT count(*) FROM asked) AS asked,
       (SELECT max(place) FROM asked) AS last, (SELECT count(*) FROM noted) AS due"""


def begin(connection: Connection, selection: Selection, asked: str, by: str, *, anew: bool) -> Run:
    """Begin a replay, or go on with one that was asked for in the same words and not finished."""
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute("LOCK TABLE replay IN SHARE ROW EXCLUSIVE MODE")  # of two who begin at once, one resumes
        cursor.execute(f"DELETE FROM replay WHERE seen_at <= {NOW} - %s".encode(), (RESUMABLE,))
        if anew:
            cursor.execute(f"DELETE FROM replay WHERE asked = %s AND seen_at <= {NOW} - %s".encode(), (asked, LIVE))
        if row := cursor.execute(_RESUME.encode(), {"asked": asked}).fetchone():
            return Run(**row | {"selection": Selection.from_json(row["selection"])}, resumed=True)
        values = {"asked": asked, "target": selection.target, "selection": selection.to_json(), "by": by}
        since = _live_since(connection, selection)
        row = cursor.execute(_BEGIN.encode(), values | {"since": since}).fetchone()
    assert row is not None
    return Run(row["id"], selection, by, row["began_at"], row["since"])


def end(connection: Connection, run: Run) -> None:
    """It is finished."""
    connection.execute("DELETE FROM replay WHERE id = %s", (run.id,))


def count(connection: Connection, selection: Selection) -> Replayed:
    """What a replay would come to."""
    with connection.at_leisure():
        values = _values(selection, _live_since(connection, selection))
        query = f"SELECT verdict, count(*) FROM ({_query(selection)}) AS asked GROUP BY verdict"
        rows: list[tuple[str, int]] = connection.execute(query.encode(), values).fetchall()
    return Replayed(**dict(rows))


def replay(connection: Connection, run: Run, by: str, *, after: int, limit: int) -> Replayed:
    """Make the next ``limit`` due, as far as they may be."""
    reason, detail = attempt_of(run, by)
    values = _values(run.selection, run.since) | {"after": after, "limit": limit, "run": run.id}
    values |= {"outcome": OUTCOME, "reason": reason.replace("\0", "\ufffd"), "detail": detail}
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(_REPLAY.format(query=_query(run.selection)).encode(), values).fetchone()
    assert row is not None
    found = Replayed(**(row["verdicts"] or {}))
    lost = found.due - row["due"]  # to somebody who replays the same at this moment
    last = row["last"] if row["asked"] == limit else None
    return found._replace(due=row["due"], replayed=found.replayed + lost, last=last)


def _live_since(connection: Connection, selection: Selection) -> float:
    """What was replayed since then is left alone: by whoever replays to the same sink at this moment."""
    row = connection.execute(_LIVE_SINCE.encode(), {"live": LIVE, "target": selection.target}).fetchone()
    return math.inf if row is None or row[0] is None else float(row[0])


def _values(selection: Selection, replayed_since: float) -> dict[str, Any]:
    return {
        **selection._asdict(),
        "event_ids": list(selection.event_ids),
        "types": None if selection.types is None else list(selection.types),
        "state": str(selection.state),
        "replayed_since": replayed_since,
        "grace": GRACE,
        "hold": HELD,
        "after": 0,
    }


_NEW = """coalesce(event.tenant_id, '') AS tenant, event.stored_at,
    CASE WHEN %(ordered)s AND event.user_id IS NOT NULL THEN %(to)s || E'\\x1f' || event.user_id END AS line"""
_THERE = "{target}.id AS target, {target}.fence, {target}.state"


def _query(selection: Selection) -> str:
    """What was asked for, after a place: which event to which sink, the delivery if it is there, and the verdict."""
    if selection.to is None:
        return _to_the_same(selection)
    unasked = "target.state = 'done' AND NOT %(again)s"
    to = "LEFT JOIN delivery AS target ON target.sequence = event.sequence AND target.sink = %(to)s"
    columns = f"event.sequence, %(to)s AS sink, {_NEW}, {_THERE.format(target='target')}"
    if selection.event_ids:
        return f"""
SELECT event.sequence AS place, {columns}, {_VERDICT.format(target="target", unasked=unasked, held=_ANY_HOLD)}
FROM event {to} WHERE event.id = ANY(%(event_ids)s) AND event.sequence > %(after)s"""
    return f"""
SELECT source.sequence AS place, {columns}, {_VERDICT.format(target="target", unasked=unasked, held=_OWN_HOLD)}
FROM delivery AS source JOIN event ON event.sequence = source.sequence {to} WHERE {_in_range(selection)}"""


def _to_the_same(selection: Selection) -> str:
    place, where = "source.sequence", _in_range(selection)
    if selection.event_ids:
        place, where = "source.id", "event.id = ANY(%(event_ids)s) AND source.id > %(after)s"
        where += " AND source.sink = %(sink)s" if selection.sink else ""
    verdict = _VERDICT.format(target="source", unasked="source.state <> %(state)s", held=_OWN_HOLD)
    return f"""
SELECT {place} AS place, source.sequence, source.sink, source.tenant, source.stored_at, source.line,
       {_THERE.format(target="source")}, {verdict}
FROM delivery AS source JOIN event ON event.sequence = source.sequence WHERE {where}"""


def _in_range(selection: Selection) -> str:
    # As the index on what is settled has it: the planner takes no other one.
    conditions = [
        "source.sink = %(sink)s",
        "source.state = %(state)s",
        "source.state <> 'pending'",
        "source.sequence > %(after)s",
    ]
    if selection.types is not None:
        conditions.append("event.type = ANY(%(types)s)")
    if selection.since is not None:
        conditions.append("event.stored_at >= %(since)s")
    if selection.until is not None:
        conditions.append("event.stored_at < %(until)s")
    return " AND ".join(conditions)
