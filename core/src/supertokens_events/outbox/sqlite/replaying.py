"""Deliveries that a person makes due again, and the replays that are under way."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter
from typing import Any

from supertokens_events.outbox.replaying import (
    GRACE,
    HELD,
    LIVE,
    OUTCOME,
    RESUMABLE,
    Replayed,
    Run,
    Selection,
    Verdict,
    attempt_of,
)

__all__ = ["begin", "count", "end", "replay"]

# `source` is what was asked for; `target` is what becomes due, and may have to be made.
_VERDICT = """
CASE WHEN {target}.replayed_at >= :replayed_since THEN 'replayed'
     WHEN payload IS NULL THEN 'erased'
     WHEN {target}.state = 'pending' THEN 'pending'
     WHEN {unasked} THEN {target}.state
     WHEN {target}.state = 'done' AND {target}.replayed_at >= :now - :grace AND NOT :again THEN 'replayed'
     WHEN {held} AND NOT :held THEN 'held'
     ELSE 'due' END AS verdict
"""
_OWN_HOLD = "(source.state = 'dead' AND substr(source.reason, 1, length(:hold)) = :hold)"
_ANY_HOLD = """EXISTS (SELECT 1 FROM delivery AS held WHERE held.sequence = event.sequence AND held.state = 'dead'
    AND substr(held.reason, 1, length(:hold)) = :hold)"""
_LIVE_SINCE = """
SELECT min(since) FROM replay WHERE seen_at > :now - :live AND (target = :target OR target IS NULL OR :target IS NULL)
"""
_MAKE_DUE = """
UPDATE delivery SET state = 'pending', due_at = :now, since = :now, replayed_at = :now, used = 0, reason = NULL,
    fence = fence + 1, first_at = NULL, tried_at = NULL, held_until = NULL
WHERE sequence = :sequence AND sink = :sink
"""
_MAKE = """
INSERT INTO delivery (sequence, sink, state, due_at, tenant, ordering_key, since, replayed_at)
SELECT sequence, :sink, 'pending', :now, coalesce(tenant_id, ''), CASE WHEN :ordered THEN user_id END, :now, :now
FROM event WHERE sequence = :sequence
"""
_NOTE = """
INSERT INTO attempt (delivery, number, started_at, duration, outcome, reason, detail)
SELECT id, 1 + coalesce((SELECT max(number) FROM attempt WHERE attempt.delivery = delivery.id), 0), :now, 0.0, :outcome,
       :reason, :detail
FROM delivery WHERE sequence = :sequence AND sink = :sink
"""


def begin(connection: sqlite3.Connection, selection: Selection, asked: str, by: str, now: float, *, anew: bool) -> Run:
    """Begin a replay, or go on with one that was asked for in the same words and not finished."""
    connection.execute("DELETE FROM replay WHERE seen_at <= ?", (now - RESUMABLE,))
    row = connection.execute("SELECT * FROM replay WHERE asked = ? ORDER BY id LIMIT 1", (asked,)).fetchone()
    if row is not None and anew and row["seen_at"] <= now - LIVE:
        connection.execute("DELETE FROM replay WHERE id = ?", (row["id"],))
        row = None
    if row is not None:
        connection.execute("UPDATE replay SET seen_at = ? WHERE id = ?", (now, row["id"]))
        stored = Selection.from_json(row["selection"])
        return Run(row["id"], stored, row["by"], row["began_at"], row["since"], resumed=True)
    since = min(now, _live_since(connection, selection, now))
    cursor = connection.execute(
        "INSERT INTO replay (asked, target, selection, by, began_at, since, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (asked, selection.target, selection.to_json(), by, now, since, now),
    )
    assert cursor.lastrowid is not None
    return Run(cursor.lastrowid, selection, by, now, since)


def end(connection: sqlite3.Connection, run: Run) -> None:
    """It is finished."""
    connection.execute("DELETE FROM replay WHERE id = ?", (run.id,))


def count(connection: sqlite3.Connection, selection: Selection, now: float) -> Replayed:
    """What a replay would come to."""
    connection.execute("BEGIN")  # one moment for both queries
    values = _values(selection, now, _live_since(connection, selection, now))
    rows = connection.execute(f"SELECT verdict, count(*) FROM ({_query(selection)}) GROUP BY verdict", values)
    return Replayed(**dict(rows.fetchall()))


def replay(connection: sqlite3.Connection, run: Run, by: str, now: float, *, after: int, limit: int) -> Replayed:
    """Make the next ``limit`` due, as far as they may be."""
    selection = run.selection
    values = _values(selection, now, run.since) | {"after": after, "limit": limit}
    rows = connection.execute(f"{_query(selection)} ORDER BY place LIMIT :limit", values).fetchall()
    reason, detail = attempt_of(run, by)
    facts = {"now": now, "ordered": selection.ordered, "outcome": OUTCOME, "reason": reason, "detail": detail}
    due = [row for row in rows if row["verdict"] == Verdict.DUE]
    known = [facts | {"sequence": row["sequence"], "sink": row["sink"]} for row in due if row["is_there"]]
    new = [facts | {"sequence": row["sequence"], "sink": row["sink"]} for row in due if not row["is_there"]]
    connection.executemany(_MAKE_DUE, known)
    connection.executemany(_MAKE, new)
    connection.executemany(_NOTE, known + new)
    connection.execute("UPDATE replay SET seen_at = ? WHERE id = ?", (now, run.id))
    last = rows[-1]["place"] if rows and len(rows) == limit else None
    return Replayed(**Counter(row["verdict"] for row in rows), last=last)


def _live_since(connection: sqlite3.Connection, selection: Selection, now: float) -> float:
    """What was replayed since then is left alone: by whoever replays to the same sink at this moment."""
    values = {"now": now, "live": LIVE, "target": selection.target}
    (since,) = connection.execute(_LIVE_SINCE, values).fetchone()
    return math.inf if since is None else float(since)


def _values(selection: Selection, now: float, replayed_since: float) -> dict[str, Any]:
    return {
        **selection._asdict(),
        "event_ids": json.dumps(selection.event_ids),
        "types": json.dumps(selection.types),
        "now": now,
        "replayed_since": replayed_since,
        "grace": GRACE,
        "hold": HELD,
        "after": 0,
    }


def _query(selection: Selection) -> str:
    """What was asked for, after a place: which event to which sink, whether that delivery is there, and the verdict."""
    if selection.to is None:
        return _to_the_same(selection)
    unasked = "target.state = 'done' AND NOT :again"
    to = "LEFT JOIN delivery AS target ON target.sequence = event.sequence AND target.sink = :to"
    if selection.event_ids:
        verdict = _VERDICT.format(target="target", unasked=unasked, held=_ANY_HOLD)
        return f"""
SELECT event.sequence AS place, event.sequence, :to AS sink, target.id IS NOT NULL AS is_there, {verdict}
FROM event {to} WHERE event.id IN (SELECT value FROM json_each(:event_ids)) AND event.sequence > :after"""
    verdict = _VERDICT.format(target="target", unasked=unasked, held=_OWN_HOLD)
    return f"""
SELECT event.sequence AS place, event.sequence, :to AS sink, target.id IS NOT NULL AS is_there, {verdict}
FROM delivery AS source JOIN event ON event.sequence = source.sequence {to} WHERE {_in_range(selection)}"""


def _to_the_same(selection: Selection) -> str:
    verdict = _VERDICT.format(target="source", unasked="source.state <> :state", held=_OWN_HOLD)
    place, where = "source.sequence", _in_range(selection)
    if selection.event_ids:
        place, where = "source.id", "event.id IN (SELECT value FROM json_each(:event_ids)) AND source.id > :after"
        where += " AND source.sink = :sink" if selection.sink else ""
    return f"""
SELECT {place} AS place, event.sequence, source.sink AS sink, 1 AS is_there, {verdict}
FROM delivery AS source JOIN event ON event.sequence = source.sequence WHERE {where}"""


def _in_range(selection: Selection) -> str:
    # As the index on what is settled has it: SQLite takes it for no less.
    conditions = [
        "source.sink = :sink",
        "source.state = :state",
        "source.state <> 'pending'",
        "source.sequence > :after",
    ]
    if selection.types is not None:
        conditions.append("event.type IN (SELECT value FROM json_each(:types))")
    if selection.since is not None:
        conditions.append("event.stored_at >= :since")
    if selection.until is not None:
        conditions.append("event.stored_at < :until")
    return " AND ".join(conditions)
