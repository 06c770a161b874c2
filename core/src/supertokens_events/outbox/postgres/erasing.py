"""Erasure on PostgreSQL: what names a person goes; that it happened stays.

No index leads to a value anywhere in a payload. One of all values (GIN) took 350 bytes for each event of 1,140, and work with
each append; reading everything takes three seconds for a million events, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from supertokens_events.outbox.contract import Entry, Erased, StoredEvent
from supertokens_events.outbox.erasing import ERASED, GONE, REPORTS, SAYS_SO, Answers, Names, Tell, reports_on
from supertokens_events.outbox.postgres.append import append
from supertokens_events.outbox.postgres.claim import release_keys
from supertokens_events.outbox.postgres.connections import Connection
from supertokens_events.outbox.postgres.records import forget, known
from supertokens_events.outbox.postgres.traces import remember

__all__ = ["count", "erase", "erase_deleted", "naming"]

_COLUMNS = "sequence, id, type, timestamp, tenant_id, user_id, correlation_id, stored_at, payload"
_NAMED = f"""
sequence > %(after)s AND payload IS NOT NULL AND type <> '{SAYS_SO}' AND (
    user_id = ANY(%(users)s) OR EXISTS (SELECT FROM unnest(%(ids)b::bytea[]) AS n WHERE position(n IN payload) > 0)
    OR user_id IS NULL
       AND EXISTS (SELECT FROM unnest(%(addresses)b::bytea[]) AS n WHERE position(n IN payload) > 0))"""
_NAMING = f"SELECT {_COLUMNS} FROM event WHERE {_NAMED} ORDER BY sequence LIMIT %(limit)s"
_FIND = f"SELECT sequence FROM event WHERE {_NAMED}"
_LAST = "SELECT value FROM meta WHERE key = 'sequence'"

_AMONG = "sequence = ANY(%(sequences)s)"
_THEIRS = f"delivery IN (SELECT id FROM delivery WHERE {_AMONG})"
_SAYS_MORE = "outcome <> 'replayed' AND (reason IS NOT NULL OR detail <> '{}')"  # who replayed it is nobody's secret
_ANSWERS = f"""
SELECT sink, reason FROM delivery WHERE {_AMONG} AND reason IS NOT NULL
UNION SELECT sink, failure FROM delivery WHERE {_AMONG} AND failure IS NOT NULL
UNION SELECT sink, a.reason FROM attempt a JOIN delivery d ON d.id = a.delivery WHERE {_AMONG} AND a.reason IS NOT NULL"""
_REPORTS = """
SELECT sequence, payload FROM event
WHERE type = ANY(%(reports)s) AND sequence > %(after)s AND payload IS NOT NULL"""

# In their order, as whoever settles takes them. From here on nobody writes an attempt: what is out is not settled any more.
_LOCK = f"SELECT id FROM delivery WHERE {_AMONG} ORDER BY id FOR UPDATE"
_ERASE_EVENTS = f"UPDATE event SET payload = NULL WHERE {_AMONG} AND payload IS NOT NULL"
_ERASE_ATTEMPTS = f"""
UPDATE attempt SET reason = CASE WHEN reason IS NOT NULL THEN '{GONE}' END, detail = '{{}}'
WHERE {_SAYS_MORE} AND {_THEIRS}"""
_ERASE_REASONS = f"""
UPDATE delivery SET failure = CASE WHEN failure IS NOT NULL THEN '{GONE}' END,
    reason = CASE WHEN reason IS NOT NULL AND state IN ('done', 'dead') THEN '{GONE}' ELSE reason END
WHERE {_AMONG} AND (failure IS NOT NULL OR reason IS NOT NULL)"""
_END = f"""
UPDATE delivery SET state = 'dead', reason = '{ERASED}', held_until = NULL, fence = fence + 1
WHERE {_AMONG} AND state = 'pending' RETURNING id"""
_COUNT = f"""
SELECT (SELECT count(*) FROM event WHERE {_AMONG} AND payload IS NOT NULL),
       (SELECT count(*) FROM delivery WHERE {_AMONG} AND state = 'pending'),
       (SELECT count(*) FROM attempt WHERE {_SAYS_MORE} AND {_THEIRS})"""

# What says that the user was deleted goes last: without it nobody would come back for the rest.
_OF_DELETED = f"""
WITH of_user AS (
    SELECT d.sequence AS deleted, e.sequence FROM event d JOIN event e ON e.user_id = d.user_id AND e.sequence <= d.sequence
    WHERE d.type = 'user.deleted' AND d.payload IS NOT NULL AND e.payload IS NOT NULL AND e.type <> '{SAYS_SO}'
      AND NOT EXISTS (SELECT FROM delivery p WHERE p.sequence = e.sequence AND p.state = 'pending')
      AND (e.type <> 'user.deleted' OR NOT EXISTS (
          SELECT FROM event o JOIN delivery p USING (sequence)
          WHERE o.user_id = e.user_id AND o.sequence < e.sequence AND o.payload IS NOT NULL AND p.state = 'pending'))
), users AS (
    SELECT DISTINCT deleted FROM of_user ORDER BY deleted LIMIT %(limit)s
)
SELECT DISTINCT sequence FROM of_user JOIN users USING (deleted)"""


# Whom it is about --------------------------------------------------------------------------------------------------


def naming(connection: Connection, names: Names, after: int, limit: int) -> list[StoredEvent]:
    """The first events after a sequence that name somebody."""
    values = _named(names, after) | {"limit": limit}
    with connection.at_leisure():
        return [StoredEvent(*row) for row in connection.execute(_NAMING.encode(), values, binary=True)]


def count(connection: Connection, names: Names) -> Erased:
    """What :func:`erase` would come to."""
    with connection.at_leisure():
        found = _find(connection, names, 0)
        row = connection.execute(_COUNT.encode(), {"sequences": list(found)}).fetchone()
    assert row is not None
    return Erased(*row)._replace(records=known(connection, names.user_ids))


def _find(connection: Connection, names: Names, after: int, known: Collection[int] = ()) -> set[int]:
    """The events after a sequence that name somebody, and those that tell why these, or the ``known`` ones, did not go out."""
    found = {sequence for (sequence,) in connection.execute(_FIND.encode(), _named(names, after))}
    while more := _reports(connection, {*known, *found}, after) - found:
        found |= more
    return found


def _named(names: Names, after: int) -> dict[str, Any]:
    ids, addresses = names.id_needles, names.address_needles
    return {"after": after, "users": list(names.user_ids), "ids": ids, "addresses": addresses}


def _reports(connection: Connection, sequences: Collection[int], after: int) -> set[int]:
    if not sequences:
        return set()
    values = {"sequences": list(sequences), "reports": list(REPORTS), "after": max(after, min(sequences))}
    ids = {id_ for (id_,) in connection.execute(f"SELECT id FROM event WHERE {_AMONG}".encode(), values)}
    answers = _answers(connection, sequences)
    rows = connection.execute(_REPORTS.encode(), values)
    return {sequence for sequence, body in rows if reports_on(body, ids, answers)}


def _answers(connection: Connection, sequences: Collection[int]) -> Answers:
    rows = connection.execute(_ANSWERS.encode(), {"sequences": list(sequences)})
    return frozenset((sink, reason) for sink, reason in rows)


# What goes ---------------------------------------------------------------------------------------------------------


def erase(connection: Connection, names: Names, tell: Tell) -> tuple[Erased, list[int]]:
    """Erase what names somebody, and store the event that says so: how much it was, and that event's sequence, if any.

    It is searched for without a lock. What comes meanwhile is found under the one that whoever appends waits for.
    """
    with connection.at_leisure():
        last = connection.execute(_LAST).fetchone()
        found = _find(connection, names, 0)
    with connection.at_leisure():
        erased = _erase(connection, found)
        connection.execute(f"{_LAST} FOR UPDATE".encode())
        since = _find(connection, names, last[0] if last else 0, found) - found
        erased = Erased(*map(sum, zip(erased, _erase(connection, since), strict=True)))
        erased = erased._replace(records=forget(connection, names.user_ids))
        if not any(erased):
            return erased, []
        _forget_answers(connection)
        remember(connection)
        entry: Entry | None = tell(erased)
        return erased, append(connection, [entry]) if entry else []


def _erase(connection: Connection, sequences: Collection[int]) -> Erased:
    if not sequences:
        return Erased()
    values = {"sequences": sorted(sequences)}
    connection.execute(_LOCK.encode(), values)
    attempts = connection.execute(_ERASE_ATTEMPTS.encode(), values).rowcount
    connection.execute(_ERASE_REASONS.encode(), values)
    ended = [id_ for (id_,) in connection.execute(_END.encode(), values)]
    release_keys(connection, ended, still_pending=False)
    events = connection.execute(_ERASE_EVENTS.encode(), values).rowcount
    return Erased(events, len(ended), attempts)


def _forget_answers(connection: Connection, answers: Answers | None = None) -> None:
    """What sinks said last: of which event, nobody can tell, so all of that goes; or, of sinks that are disabled, only these
    ``answers``. A probe that failed has left nothing else behind.
    """
    connection.execute(f"UPDATE breaker SET reason = '{GONE}', detail = '{{}}'".encode())
    if answers is None:
        connection.execute(f"UPDATE disabled SET reason = '{GONE}'".encode())
    for sink, reason in answers or ():
        connection.execute(
            f"UPDATE disabled SET reason = '{GONE}' WHERE sink = %s AND reason = %s".encode(), (sink, reason)
        )


def erase_deleted(connection: Connection, limit: int) -> Erased:
    """Erase what belongs to users who were deleted, as far as nobody waits for it."""
    with connection.transaction():
        rows = connection.execute(_OF_DELETED.encode(), {"limit": limit}).fetchall()
        sequences = [sequence for (sequence,) in rows]
        answers = _answers(connection, sequences)
        erased = _erase(connection, sequences)
        if any(erased):
            _forget_answers(connection, answers)
            remember(connection)
        return erased
