"""How long a person waits who looks: a million events in the outbox, a million deliveries, most of them done, pending or dead.

``nox -s bench -- looking [--stores sqlite postgres] [--mostly done pending dead] [--events 1000000] [--rounds 3] [--json FILE]``
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from _figures import Spread, options, report, spread

from supertokens_events.outbox import DeliveryState, Outbox, Selection, SqliteOutbox, Wanted
from supertokens_events.testing import sample_event

TYPES = ["user.created", "user.signed_in", "session.created", "session.revoked", "user.sign_in.failed"]
BODY = sample_event().to_bytes()

RARE = 10  # of some type, tenant or state, far from the end


def rows(count: int) -> Iterator[tuple[Any, ...]]:
    """An event a second until now."""
    now = time.time()
    for number in range(1, count + 1):
        rare = number <= RARE
        yield (
            number,
            f"evt_{number:026}",
            "app.rare" if rare else TYPES[number % len(TYPES)],
            "2026-11-23T07:15:22.104533Z",
            "small" if rare else f"tenant{number % 20}",
            f"user{number % 50_000}",
            f"cor_{number // 2:026}",
            now - count + number,
        )


def fill_sqlite(path: Path, count: int, state: str) -> None:
    """Done are all that are not in ``state``, and RARE of the others."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", ((*row, BODY) for row in rows(count))
        )
        connection.execute(
            "INSERT INTO delivery (sequence, sink, state, due_at, tenant, since) SELECT sequence, 'crm', "
            f"CASE WHEN sequence <= {RARE} THEN 'dead' WHEN sequence <= {2 * RARE} THEN 'pending' ELSE ? END, "
            "stored_at, tenant_id, stored_at FROM event",
            (state,),
        )
        connection.execute("UPDATE meta SET value = ? WHERE key = 'sequence'", (count,))


@contextmanager
def sqlite_outbox(count: int, state: str) -> Iterator[Outbox]:
    with tempfile.TemporaryDirectory() as folder:
        outbox = SqliteOutbox(Path(folder) / "events.db")
        outbox.open()
        fill_sqlite(outbox.path, count, state)
        yield outbox
        outbox.close()


@contextmanager
def postgres_outbox(count: int, state: str) -> Iterator[Outbox]:
    import psycopg

    from outbox.postgres_server import PostgresStore

    store = PostgresStore(None)
    with psycopg.connect(store.server.url(), autocommit=True) as connection:
        connection.execute(f"SET search_path = {store.schema}".encode())
        with connection.cursor().copy("COPY event FROM STDIN") as copy:
            for row in rows(count):
                copy.write_row((*row, BODY))
        connection.execute(
            "INSERT INTO delivery (sequence, sink, state, due_at, tenant, stored_at, last_try_at) SELECT sequence, 'crm', "
            f"CASE WHEN sequence <= {RARE} THEN 'dead' WHEN sequence <= {2 * RARE} THEN 'pending' ELSE '{state}' END, "
            "stored_at, tenant_id, stored_at, stored_at FROM event ORDER BY sequence".encode()
        )
        connection.execute(b"VACUUM ANALYZE")
    yield store.connect()
    store.close()


STORES = {"sqlite": sqlite_outbox, "postgres": postgres_outbox}


def questions(outbox: Outbox, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """What one may ask."""
    hour_ago, long_ago = time.time() - 3600, time.time() - count
    yield "status", outbox.status
    yield "counts", outbox.counts
    yield "stored in a day", lambda: outbox.stored_within(86400.0)
    for name, wanted in (
        ("all", Wanted()),
        ("a type", Wanted(types=("user.created",))),
        ("a rare type", Wanted(types=("app.rare",))),
        ("a tenant", Wanted(tenant_id="tenant7")),
        ("a rare tenant", Wanted(tenant_id="small")),
        ("a user", Wanted(user_id="user7")),
        ("a correlation", Wanted(correlation_id=f"cor_{count // 4:026}")),
        ("the last hour", Wanted(since=hour_ago)),
        ("the first hour", Wanted(since=long_ago, until=long_ago + 3600)),
    ):
        yield f"events: {name}", lambda wanted=wanted: outbox.events(wanted=wanted, limit=20)
        yield f"deliveries: {name}", lambda wanted=wanted: outbox.deliveries(wanted=wanted, limit=20)
    for state in DeliveryState:
        wanted = Wanted(sink="crm", state=state)
        yield f"deliveries: {state}", lambda wanted=wanted: outbox.deliveries(wanted=wanted, limit=20)
    both = Wanted(state=DeliveryState.DEAD, types=("user.created",))
    yield "deliveries: dead, of a type", lambda: outbox.deliveries(wanted=both, limit=20)
    yield "a thousand events", lambda: outbox.events(after=count // 2, limit=1000)
    yield "replayable: dead", lambda: outbox.replayable(Selection("crm"))


def measure(outbox: Outbox, count: int, rounds: int) -> dict[str, Spread]:
    """Milliseconds for each question; the first time that it is asked counts too."""
    figures = {}
    for name, ask in questions(outbox, count):
        taken = []
        for _ in range(rounds):
            began = time.perf_counter()
            ask()
            taken.append(1000 * (time.perf_counter() - began))
        figures[name] = spread(taken)
    return figures


def main() -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES))
    parser.add_argument("--mostly", nargs="+", choices=["done", "pending", "dead"], default=["done", "pending", "dead"])
    parser.add_argument("--events", type=int, default=1_000_000)
    given = parser.parse_args()
    figures = {}
    for store, state in product(given.stores, given.mostly):
        with STORES[store](given.events, state) as outbox:
            for question, one in measure(outbox, given.events, given.rounds).items():
                figures[f"{store}, mostly {state}: {question}"] = {"ms": one}
    report(f"{given.events:,} events", figures, given)


if __name__ == "__main__":
    main()
