"""The outbox on PostgreSQL: appends, claims, and how soon another process hears of an event.

    python core/benchmarks/outbox_postgres.py postgresql://user:password@host/database [--json FILE]

Each figure is the median of several rounds with the lowest and the highest. The schema ``supertokens_events_benchmark`` is
made in that database and dropped at the end; without a URL a server of the tests' is started, with syncing as it is by
default.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
from _figures import Figures, options, report, spreads

from supertokens_events.emit import Emitter, Route
from supertokens_events.event import new_event_id
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery, Settlement
from supertokens_events.outbox.postgres.outbox import PostgresOutbox
from supertokens_events.plugins import load_plugins
from supertokens_events.subscription import Patterns, Subscription
from supertokens_events.testing import sample_event

SCHEMA = "supertokens_events_benchmark"
THREADS = 16
BATCH = 100


def appends(outbox: PostgresOutbox, seconds: float) -> float:
    """Events/s that 16 threads store through one emitter, each waiting for its commit; one delivery each."""
    everything = Patterns(["*"])
    routes = [Route("crm", Subscription(everything))]
    emitter = Emitter(outbox, load_plugins([], disable="*"), routes, captured=everything, append_timeout=10.0)
    event = sample_event()
    end = time.perf_counter() + seconds

    def emit(_: int) -> int:
        stored = 0
        while time.perf_counter() < end:
            stored += len(emitter.emit_sync([event.model_copy(update={"id": new_event_id()})]))
        return stored

    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        total = sum(threads.map(emit, range(THREADS)))
    rate = total / (time.perf_counter() - start)
    emitter.stop()
    return rate


def fill(outbox: PostgresOutbox, count: int) -> None:
    """Store ``count`` events, a delivery each."""
    for start in range(0, count, 500):
        events = [sample_event() for _ in range(min(500, count - start))]
        outbox.append([Entry(event, event.to_bytes(), [NewDelivery("crm")]) for event in events])


def claims(outbox: PostgresOutbox, count: int) -> float:
    """Deliveries/s that one dispatcher claims and settles, 100 at a time."""
    fill(outbox, count)
    start = time.perf_counter()
    settled = 0
    while taken := outbox.claim("crm", BATCH, 60.0):
        settled += outbox.settle([Settlement(claim, DeliveryState.DONE, "delivered", 1) for claim in taken])
    return settled / (time.perf_counter() - start)


def wake_up(outbox: PostgresOutbox, url: str) -> float:
    """Milliseconds from the start of an append until another outbox hears of it, after a pause."""
    heard = threading.Event()
    other = PostgresOutbox(url, schema=SCHEMA)
    end = other.listen(heard.set)
    times = []
    time.sleep(0.3)
    for _ in range(20):
        heard.clear()
        time.sleep(0.1)
        start = time.perf_counter()
        fill(outbox, 1)
        heard.wait(5)
        times.append((time.perf_counter() - start) * 1000)
    end()
    other.close()
    return statistics.median(times)


def measure(url: str, seconds: float, count: int) -> Figures:
    """Every figure, each on an empty store."""
    figures: dict[str, Callable[[PostgresOutbox], float]] = {
        f"appends/s, {THREADS} threads": lambda outbox: appends(outbox, seconds),
        f"claimed and settled/s by {BATCH}": lambda outbox: claims(outbox, count),
        "append to wake-up, ms": lambda outbox: wake_up(outbox, url),
    }
    found = {}
    for name, figure in figures.items():
        with empty_store(url) as outbox:
            found[name] = figure(outbox)
    return found


@contextmanager
def empty_store(url: str) -> Iterator[PostgresOutbox]:
    """An outbox in a schema that is dropped before and after."""
    drop(url)
    outbox = PostgresOutbox(url, schema=SCHEMA)
    outbox.open()
    try:
        yield outbox
    finally:
        outbox.close()
        drop(url)


def drop(url: str) -> None:
    """Drop the benchmark's schema."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """``url``, or that of a server that is started for this."""
    if url is not None:
        yield url
        return
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from outbox.postgres_server import PostgresServer

    started = PostgresServer(fsync="on")
    try:
        yield started.url()
    finally:
        started.remove()


def main() -> None:
    """Measure, print a table, and write the figures to a file if asked."""
    parser = options(__doc__)
    parser.add_argument("url", nargs="?")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--count", type=int, default=20_000)
    given = parser.parse_args()
    with server(given.url) as url:
        rounds = [measure(url, given.seconds, given.count) for _ in range(given.rounds)]
    report("syncing as it is by default", {"PostgreSQL": spreads(rounds)}, given)


if __name__ == "__main__":
    main()
