"""What was erased is in no byte of PostgreSQL's tables, once they are written anew."""

import math

import psycopg
import pytest

from outbox.lives import lived
from outbox.stores import entry
from supertokens_events.outbox import OutboxUnavailable

KINDS = ["postgres"]


def relations(store):
    """The bytes of all tables and indexes, and of what is kept out of line."""
    store.execute("CHECKPOINT")
    rows = store.execute(
        "SELECT pg_relation_filepath(c.oid) FROM pg_class c LEFT JOIN pg_class t ON t.reltoastrelid = c.oid "
        "WHERE c.relkind IN ('r', 't', 'i') AND current_schema()::regnamespace IN (c.relnamespace, t.relnamespace)"
    )
    return b"".join((store.server.folder / "data" / path).read_bytes() for (path,) in rows)


def test_written_anew(outbox, store):
    """Until its tables are written anew the server may keep traces, and that is said; then they have none."""
    marks = lived(outbox, users=5, events=60)
    assert all(mark in relations(store) for mark in marks)
    outbox.erase("u2")

    assert "the server's files may still have what was erased" in outbox.scrub(1000)[0]
    assert outbox.scrub(math.inf) == outbox.scrub() == []

    left = relations(store)
    assert [mark in left for mark in marks] == [True, True, False, True, True]
    assert outbox.append([entry("crm")]) == [61]


def test_in_use(outbox, store):
    """While somebody uses a table it is not waited for long: it is written anew another time."""
    outbox.append([entry(user_id="u1")])
    outbox.erase("u1")
    with psycopg.connect(store.server.url()) as reader:
        reader.execute(f"SELECT FROM {store.schema}.attempt")
        with pytest.raises(OutboxUnavailable):
            outbox.scrub(math.inf)

    assert outbox.scrub(math.inf) == []
