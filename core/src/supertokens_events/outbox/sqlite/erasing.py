"""Erasure in the SQLite file: what names a person goes; that it happened stays."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from supertokens_events.outbox.contract import Erased, StoredEvent
from supertokens_events.outbox.erasing import ERASED, GONE, REPORTS, SAYS_SO, Answers, Names, reports_on

__all__ = ["are_erased", "count", "erase", "erase_deleted", "find", "naming"]

_COLUMNS = "sequence, id, type, timestamp, tenant_id, user_id, correlation_id, stored_at, payload"
_AMONG = "sequence IN (SELECT value FROM json_each(:sequences))"
_THEIRS = f"delivery IN (SELECT id FROM delivery WHERE {_AMONG})"
_SAYS_MORE = "outcome <> 'replayed' AND (reason IS NOT NULL OR detail <> '{}')"  # who replayed it is nobody's secret

_ERASE_EVENTS = f"UPDATE event SET payload = NULL WHERE {_AMONG} AND payload IS NOT NULL"
_ERASE_ATTEMPTS = f"""
UPDATE attempt SET reason = CASE WHEN reason IS NOT NULL THEN '{GONE}' END, detail = '{{}}'
WHERE {_SAYS_MORE} AND {_THEIRS}
"""
_ERASE_REASONS = f"""
UPDATE delivery SET reason = '{GONE}' WHERE {_AMONG} AND state IN ('done', 'dead') AND reason IS NOT NULL
"""
# Whoever has claimed it holds it no longer: what it brings back is not written down.
_END = f"""
UPDATE delivery SET state = 'dead', reason = '{ERASED}', held_until = NULL, fence = fence + 1
WHERE {_AMONG} AND state = 'pending'
"""
_COUNT = f"""
SELECT (SELECT count(*) FROM event WHERE {_AMONG} AND payload IS NOT NULL),
       (SELECT count(*) FROM delivery WHERE {_AMONG} AND state = 'pending'),
       (SELECT count(*) FROM attempt WHERE {_SAYS_MORE} AND {_THEIRS})
"""
_ANSWERS = f"""
SELECT sink, reason FROM delivery WHERE {_AMONG} AND reason IS NOT NULL
UNION SELECT sink, attempt.reason FROM attempt JOIN delivery ON delivery.id = attempt.delivery
WHERE {_AMONG} AND attempt.reason IS NOT NULL
"""
_REPORTS = f"""
SELECT sequence, payload FROM event
WHERE type IN {REPORTS!r} AND sequence > ? AND payload IS NOT NULL
"""

# What says that the user was deleted goes last: without it nobody would come back for the rest.
_NOT_TO_GO_OUT = """
NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.sequence = told.sequence AND state = 'pending')
AND (told.type <> 'user.deleted' OR NOT EXISTS (
    SELECT 1 FROM event AS earlier JOIN delivery USING (sequence)
    WHERE earlier.user_id = told.user_id AND earlier.sequence < told.sequence AND earlier.payload IS NOT NULL
    AND state = 'pending'))
"""
_DELETED_USERS = f"""
SELECT user_id, sequence FROM event
WHERE type = 'user.deleted' AND payload IS NOT NULL AND user_id IS NOT NULL AND EXISTS (
    SELECT 1 FROM event AS told WHERE told.user_id = event.user_id AND told.sequence <= event.sequence
    AND told.payload IS NOT NULL AND {_NOT_TO_GO_OUT})
ORDER BY sequence LIMIT ?
"""
_TOLD_OF_THEM = f"""
SELECT sequence FROM event AS told
WHERE user_id = ? AND sequence <= ? AND payload IS NOT NULL AND type <> '{SAYS_SO}' AND {_NOT_TO_GO_OUT}
"""


# Whom it is about ------------------------------------------------------------------------------------------------------


def naming(connection: sqlite3.Connection, names: Names, after: int, limit: int) -> list[StoredEvent]:
    """The first events after a sequence that name somebody."""
    where, values = _where(names)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM event WHERE sequence > ? AND {where} ORDER BY sequence LIMIT ?",
        (after, *values, limit),
    )
    return [StoredEvent(*row) for row in rows]


def find(connection: sqlite3.Connection, names: Names, after: int = 0, known: Collection[int] = ()) -> set[int]:
    """The events after a sequence that name somebody, and those that tell why these, or the ``known`` ones, did not go out."""
    where, values = _where(names)
    rows = connection.execute(f"SELECT sequence FROM event WHERE sequence > ? AND {where}", (after, *values))
    found = {sequence for (sequence,) in rows}
    while more := _reports(connection, {*known, *found}, after) - found:
        found |= more
    return found


def _where(names: Names) -> tuple[str, list[str | bytes]]:
    ids, addresses = names.id_needles, names.address_needles
    named = [f"user_id IN ({', '.join('?' * len(ids))})", *["instr(payload, ?)"] * len(ids)]
    if addresses:
        named.append(f"user_id IS NULL AND ({' OR '.join(['instr(payload, ?)'] * len(addresses))})")
    return (
        f"payload IS NOT NULL AND type <> '{SAYS_SO}' AND ({' OR '.join(named)})",
        [*names.user_ids, *ids, *addresses],
    )


def _reports(connection: sqlite3.Connection, sequences: Collection[int], after: int) -> set[int]:
    if not sequences:
        return set()
    values = {"sequences": json.dumps(list(sequences))}
    ids = {id_ for (id_,) in connection.execute(f"SELECT id FROM event WHERE {_AMONG}", values)}
    answers = _answers(connection, sequences)
    rows = connection.execute(_REPORTS, (max(after, min(sequences)),))
    return {sequence for sequence, body in rows if reports_on(body, ids, answers)}


def _answers(connection: sqlite3.Connection, sequences: Collection[int]) -> Answers:
    rows = connection.execute(_ANSWERS, {"sequences": json.dumps(list(sequences))})
    return frozenset((sink, reason) for sink, reason in rows)


# What goes -------------------------------------------------------------------------------------------------------------


def count(connection: sqlite3.Connection, sequences: Collection[int]) -> Erased:
    """What :func:`erase` would come to."""
    return Erased(*connection.execute(_COUNT, {"sequences": json.dumps(list(sequences))}).fetchone())


def erase(connection: sqlite3.Connection, sequences: Collection[int], *, all_answers: bool = True) -> Erased:
    """Erase these events and what their receivers said. What had not gone out is dead.

    What sinks said last stands elsewhere too, and not of which event: with ``all_answers`` all of that goes.
    """
    if not sequences:
        return Erased()
    values = {"sequences": json.dumps(list(sequences))}
    _forget_answers(connection, None if all_answers else _answers(connection, sequences))
    attempts = connection.execute(_ERASE_ATTEMPTS, values).rowcount
    connection.execute(_ERASE_REASONS, values)
    deliveries = connection.execute(_END, values).rowcount
    events = connection.execute(_ERASE_EVENTS, values).rowcount
    return Erased(events, deliveries, attempts)


def _forget_answers(connection: sqlite3.Connection, answers: Answers | None) -> None:
    # A probe that failed has left nothing else behind: whom it was about nobody can tell.
    connection.execute(f"UPDATE breaker SET reason = '{GONE}', detail = '{{}}'")
    for table, reason in (("disabled", "reason"), ("latest", "last_reason")):
        forget = f"UPDATE {table} SET {reason} = '{GONE}' WHERE {reason} IS NOT NULL"
        if answers is None:
            connection.execute(forget)
        else:
            connection.executemany(f"{forget} AND sink = ? AND {reason} = ?", list(answers))


def erase_deleted(connection: sqlite3.Connection, limit: int) -> Erased:
    """As the contract says."""
    users = connection.execute(_DELETED_USERS, (limit,)).fetchall()
    told = {sequence for user in users for (sequence,) in connection.execute(_TOLD_OF_THEM, tuple(user))}
    return erase(connection, told, all_answers=False)


def are_erased(connection: sqlite3.Connection, event_ids: Collection[str]) -> bool:
    """Whether one of these events is."""
    query = "SELECT 1 FROM event WHERE id IN (SELECT value FROM json_each(?)) AND payload IS NULL"
    return connection.execute(query, (json.dumps(list(event_ids)),)).fetchone() is not None
