"""What the SQLite outbox takes: from emit to committed, under load, and from claim to settled with a large backlog.

    python core/benchmarks/outbox_sqlite.py [--quick] [--json FILE]

Every figure is the median of several rounds, with the lowest and the highest. An event has 600 bytes of payload and goes to
two sinks. "worst" is the longest that one caller waited in a round.
"""

from __future__ import annotations

import multiprocessing
import queue
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from _figures import Figures, Spread, options, report, spreads

from supertokens_events.emit import Emitter, Route
from supertokens_events.event import Event, new_event_id
from supertokens_events.outbox import Claim, DeliveryState, Entry, NewDelivery, Settlement, SqliteOutbox
from supertokens_events.plugins import load_plugins
from supertokens_events.subscription import Patterns, Subscription

Spreads = Mapping[str, Spread]

_PAYLOAD = 600  # bytes
_SINKS = ("crm", "audit")
_CLAIM = 100  # deliveries


def event(n: int = 0) -> Event:
    """One with a body of about 600 bytes, of one of 20 tenants."""
    bare = Event(type="user.created", user_id=f"user-{n}", tenant_id=f"tenant-{n % 20}", data={"note": ""})
    return bare.model_copy(update={"data": {"note": "x" * (_PAYLOAD - len(bare.to_bytes()))}})


@contextmanager
def emitting(file: Path, durability: str) -> Iterator[Emitter]:
    """An emitter on the outbox in ``file``, with two routes and no plugin."""
    outbox = SqliteOutbox(file, durability=durability)
    everything = Subscription(Patterns(["*"]))
    routes = [Route(sink, everything) for sink in _SINKS]
    emitter = Emitter(outbox, load_plugins(disable="*"), routes, captured=Patterns(["*"]), append_timeout=30.0)
    emitter.emit_sync([event()])
    yield emitter
    emitter.stop()
    outbox.close()


def idle(folder: Path, durability: str, count: int) -> Figures:
    """One caller, one event every few milliseconds."""
    waits = []
    with emitting(folder / "events.db", durability) as emitter:
        for n in range(count):
            one = event(n)
            time.sleep(0.002)
            start = time.perf_counter()
            emitter.emit_sync([one])
            waits.append((time.perf_counter() - start) * 1000)
    return _waits(waits)


def _waits(waits: list[float]) -> Figures:
    waits.sort()
    return {"p50 ms": waits[len(waits) // 2], "p99 ms": waits[int(len(waits) * 0.99)], "worst ms": waits[-1]}


def _emit_for(emitter: Emitter, begin: Callable[[], object], seconds: float, waits: list[float]) -> None:
    some = event()
    begin()
    deadline = time.perf_counter() + seconds
    while (start := time.perf_counter()) < deadline:
        emitter.emit_sync([some.model_copy(update={"id": new_event_id()})])
        waits.append((time.perf_counter() - start) * 1000)


def _emit_from_threads(
    file: Path, durability: str, threads: int, seconds: float, begin: Callable[[], object]
) -> list[float]:
    waits: list[list[float]] = [[] for _ in range(threads)]
    with emitting(file, durability) as emitter:
        ready = threading.Barrier(threads, action=begin)
        running = [threading.Thread(target=_emit_for, args=(emitter, ready.wait, seconds, mine)) for mine in waits]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    return [wait for mine in waits for wait in mine]


def _emit_from_process(  # noqa: PLR0917 - as multiprocessing calls it
    file: Path,
    durability: str,
    threads: int,
    seconds: float,
    begin: Callable[[], object],
    answers: queue.Queue[list[float]],
) -> None:
    answers.put(_emit_from_threads(file, durability, threads, seconds, begin))


def loaded(folder: Path, durability: str, processes: int, threads: int, seconds: float) -> Figures:
    """Threads of one or more processes that emit one event after the other."""
    file = folder / "events.db"
    SqliteOutbox(file).open()
    context = multiprocessing.get_context("spawn")
    answers: queue.Queue[list[float]] = context.Queue()
    begin = context.Barrier(processes).wait
    running = [
        context.Process(target=_emit_from_process, args=(file, durability, threads, seconds, begin, answers))
        for _ in range(processes)
    ]
    for process in running:
        process.start()
    waits = [wait for _ in running for wait in answers.get()]
    for process in running:
        process.join()
    return {"events/s": len(waits) / seconds} | _waits(waits)


def fill(outbox: SqliteOutbox, deliveries: int, tenants: int) -> None:
    """Have this many deliveries of one sink wait."""
    body = event().to_bytes()
    for start in range(0, deliveries, 2000):
        outbox.append(
            [
                Entry(Event(type="user.created", tenant_id=f"tenant-{n % tenants}"), body, [NewDelivery("crm")])
                for n in range(start, min(start + 2000, deliveries))
            ]
        )


def delivered(outbox: SqliteOutbox, rounds: int) -> Figures:
    """Claim a hundred, settle them, and again. Nothing is sent anywhere."""
    claiming, start = 0.0, time.perf_counter()
    for _ in range(rounds):
        before = time.perf_counter()
        claims = outbox.claim("crm", _CLAIM, 60.0)
        claiming += time.perf_counter() - before
        outbox.settle([_done(claim) for claim in claims])
    seconds = time.perf_counter() - start
    status = time.perf_counter()
    outbox.status()
    return {
        "deliveries/s": rounds * _CLAIM / seconds,
        "claim of 100 ms": claiming / rounds * 1000,
        "status ms": (time.perf_counter() - status) * 1000,
    }


def _done(claim: Claim) -> Settlement:
    return Settlement(claim, DeliveryState.DONE, "delivered", 1, duration=0.01)


def _in_fresh_folders(rounds: int, measure: Callable[[Path], Figures]) -> Spreads:
    figures = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            figures.append(measure(Path(folder)))
    return spreads(figures)


def _with_backlog(rounds: int, deliveries: int, tenants: int) -> Spreads:
    with tempfile.TemporaryDirectory() as folder:
        outbox = SqliteOutbox(Path(folder) / "events.db")
        fill(outbox, deliveries, tenants)
        figures = []
        for _ in range(rounds):
            figures.append(delivered(outbox, 10))
            fill(outbox, 10 * _CLAIM, tenants)
        outbox.close()
    return spreads(figures)


def measurements(rounds: int, seconds: float, backlogs: Sequence[int]) -> Iterator[tuple[str, Callable[[], Spreads]]]:
    """Each with its name."""
    for durability in ("normal", "full"):
        alone = partial(idle, durability=durability, count=500)
        yield f"1 thread, idle, {durability}", partial(_in_fresh_folders, rounds, alone)
        for processes, threads in ((1, 16), (4, 4)):
            load = partial(loaded, durability=durability, processes=processes, threads=threads, seconds=seconds)
            yield f"{processes} x {threads} threads, {durability}", partial(_in_fresh_folders, rounds, load)
    for backlog in backlogs:
        for tenants in (1, 1000):
            yield f"{backlog:,} pending, {tenants:,} tenants", partial(_with_backlog, rounds, backlog, tenants)


def main() -> None:
    """Measure, print a table, and write the figures down if asked to."""
    parser = options(__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds and small backlogs")
    parser.add_argument("--only", default="", help="only measurements whose name has this in it")
    given = parser.parse_args()
    backlogs = [1000, 10_000] if given.quick else [10_000, 1_000_000]
    measured = measurements(given.rounds, 0.5 if given.quick else 2.0, backlogs)
    table = {name: measure() for name, measure in measured if given.only in name}
    report(f"SQLite {sqlite3.sqlite_version}", table, given)


if __name__ == "__main__":
    main()
