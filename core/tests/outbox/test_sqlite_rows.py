"""Many rows in few statements."""

import sqlite3
from contextlib import closing

import pytest

from supertokens_events.outbox.sqlite.rows import in_parts, places, rows_of

KINDS = []  # about no store


@pytest.mark.parametrize("count", [1, 2, 3, 5, 255, 256, 257, 1000])
def test_every_row_is_there_once(count):
    """However many rows there are, what is NULL throughout is all that is added."""
    rows = [(n, f"name {n}") for n in range(count)]
    found = []
    with closing(sqlite3.connect(":memory:")) as connection:
        for part in in_parts(rows):
            text, values = rows_of(part)
            found += connection.execute(f"SELECT * FROM (VALUES {text}) WHERE column1 IS NOT NULL", values).fetchall()

    assert found == rows


def test_there_are_few_statements():
    """Every number of rows up to a thousand takes one of nine texts, and so does every list."""
    rows = [(n,) for n in range(1000)]

    assert len({rows_of(part)[0] for count in range(1, 1000) for part in in_parts(rows[:count])}) == 9
    assert len({places(range(count))[0] for count in range(1, 257)}) == 9


@pytest.mark.parametrize("count", [1, 3, 100])
def test_a_list_matches_what_is_in_it(count):
    """What fills it up matches nothing."""
    text, values = places(range(count))
    with closing(sqlite3.connect(":memory:")) as connection:
        found = connection.execute(
            f"SELECT count(*) FROM generate WHERE n IN ({text})".replace(
                "generate",
                "(WITH RECURSIVE s (n) AS (SELECT -5 UNION ALL SELECT n + 1 FROM s WHERE n < 500) SELECT n FROM s)",
            ),
            values,
        ).fetchone()

    assert found == (count,)
