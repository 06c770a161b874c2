"""A process that stores and delivers, and forks: every side goes on, nothing is stored twice, and nobody hangs.

``python -m test_fork FOLDER FORK ENDING`` is that process. It prints what was emitted and how its children ended, as JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from apps.processes import run_python
from apps.running import configuration
from apps.stored import counted, stored_events
from supertokens_events import Events
from supertokens_events.dispatch import Dispatcher
from supertokens_events.ledger import Ledger
from supertokens_events.outbox import DeliveryState, SqliteOutbox

EMITTED = 10  # by each side
CHILDREN, THREADS = 5, 4  # of a process that forks while it emits
GIVEN_UP = 90  # seconds after which a process that hangs is ended by the system
LONG_AFTER = 3_600  # seconds; no lease of a process that is gone lasts so long

Fork = Callable[[Callable[[], None]], Callable[[], int]]


# The process


def main(folder: Path, fork: str, ending: str) -> None:
    signal.alarm(GIVEN_UP)
    events = Events.from_dict(configuration(folder, outbox={"append_timeout": 30}, dispatcher={"run": "thread"}))
    events.start()
    ids = [emit(events, "before")]
    wait_until_delivered(events)
    child = partial(live, events, folder, ending)
    codes = SCENARIOS[fork](events, child, ids)
    events.stop()
    told = [json.loads(file.read_text()) for file in sorted(folder.glob("child-*.json"))]
    print(json.dumps({"parent": ids, "children": told, "codes": codes}))


def emit(events: Events, event_type: str) -> str:
    """Returns the event's id, once it is stored."""
    event = events.emit_sync(f"app.{event_type}")
    assert event.sequence is not None, "it is not stored in time"
    return event.id


def wait_until_delivered(events: Events) -> None:
    """So the dispatcher's thread runs, has delivered, and has the sink open. The alarm ends it if it never comes."""
    while events.outbox.deliveries(state=DeliveryState.PENDING):
        time.sleep(0.005)


def fork_and_emit(fork: Fork, events: Events, child: Callable[[], None], ids: list[str]) -> list[int]:
    """Both sides emit at the same time. Returns the exit code."""
    wait = fork(child)
    ids += [emit(events, "parent") for _ in range(EMITTED)]
    codes = [wait()]
    ids.append(emit(events, "after"))
    return codes


def fork_while_emitting(events: Events, child: Callable[[], None], ids: list[str]) -> list[int]:
    """Children begin at whatever moment, while threads of the parent store one event after the other."""
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            ids.append(emit(events, "parent"))

    with ThreadPoolExecutor(THREADS) as pool:
        emitting = [pool.submit(go_on) for _ in range(THREADS)]
        codes = [wait() for wait in [os_fork(child) for _ in range(CHILDREN)]]
        over.set()
    assert [future.result() for future in emitting] == [None] * THREADS
    return codes


def fork_and_stop(events: Events, child: Callable[[], None], ids: list[str]) -> list[int]:
    """The child begins to emit when the parent has stopped, and closed an outbox that was in use at the fork."""
    reading, writing = os.pipe()

    def wait_and_live() -> None:
        os.read(reading, 1)
        child()

    wait = os_fork(wait_and_live)
    ids.append(emit(events, "parent"))
    events.stop()
    os.write(writing, b".")
    return [wait()]


def live(events: Events, folder: Path, ending: str) -> None:
    """A child's life: it emits, says what, and ends."""
    signal.alarm(GIVEN_UP)
    ids = [emit(events, "child") for _ in range(EMITTED)]
    (folder / f"child-{os.getpid()}.json").write_text(json.dumps(ids))
    if ending == "stop":
        events.stop()
    if ending == "_exit":
        os._exit(0)
    sys.exit(0)


def os_fork(child: Callable[[], None]) -> Callable[[], int]:
    """Have ``child`` live in a process of its own; what is returned waits for it and gives its exit code."""
    pid = os.fork()
    if pid == 0:
        child()
    return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def multiprocessing_fork(child: Callable[[], None]) -> Callable[[], int]:
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()

    def wait() -> int:
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    return wait


def fork_twice(child: Callable[[], None]) -> Callable[[], int]:
    """As a daemon is made: the child forks again before it has used anything that it was given."""

    def first_child() -> None:
        assert os_fork(child)() == 0, "the child's child did not end well"
        child()

    return os_fork(first_child)


SCENARIOS = {
    "os": partial(fork_and_emit, os_fork),
    "multiprocessing": partial(fork_and_emit, multiprocessing_fork),
    "twice": partial(fork_and_emit, fork_twice),
    "while emitting": fork_while_emitting,
    "parent stops first": fork_and_stop,
}


# The tests


@pytest.mark.parametrize("ending", ["stop", "exit", "_exit"])
@pytest.mark.parametrize("fork", SCENARIOS)
def test_every_side_goes_on(fork, ending, tmp_path):
    """Parent and child store each of their events once, both end with code 0, and the file gets every event.

    A child that says ``stop()`` leaves nothing half done, so each event is in the file once. One that ends without a word
    may have written a line and not written that down: that event comes again.
    """
    told = forking(tmp_path, fork, ending)
    events = Events.from_dict(configuration(tmp_path))

    emitted = told["parent"] + [event_id for child in told["children"] for event_id in child]
    assert set(told["codes"]) == {0}
    assert len(emitted) == len(set(emitted))
    assert {len(child) for child in told["children"]} == {EMITTED}
    assert sorted(event.id for event in all_stored(events)) == sorted(emitted)
    assert counted(events) == {}

    deliver_what_is_left(events)
    delivered = Counter(json.loads(line)["id"] for line in (tmp_path / "audit.jsonl").read_text().splitlines())
    assert set(delivered) == set(emitted)
    assert {delivery.state for delivery in events.outbox.deliveries(limit=100_000)} == {DeliveryState.DONE}
    if ending == "stop":
        assert set(delivered.values()) == {1}


def forking(folder: Path, fork: str, ending: str) -> Any:
    """What the process printed. It must end by itself, well, and without a word on stderr."""
    # Newer Pythons warn of a fork beside threads: that is what is tried here.
    done = run_python("-W", "ignore::DeprecationWarning", "-m", "test_fork", folder, fork, ending)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def all_stored(events: Events) -> list[Any]:
    found: list[Any] = []
    while page := stored_events(events, after=found[-1].sequence if found else 0):
        found += page
    return found


def deliver_what_is_left(events: Events) -> None:
    """As the next process does, when the leases of those that are gone have ended."""
    later = SqliteOutbox(events.outbox.path, clock=long_after)
    sinks = [config.build() for config in events.settings.sinks.values()]
    anyio.run(Dispatcher(sinks, later, events.plugins, Ledger()).run_until_empty)
    later.close()
    events.outbox.close()


def long_after() -> float:
    return time.time() + LONG_AFTER


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
