"""The end of a process in which events wait in memory: exit commits, and never delivers."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing

import pytest

from apps.life_kit import wait_for

AT_EXIT = 2.0  # seconds that an exit waits for the outbox
SLACK = 5.0  # seconds that a busy machine may need beside


@pytest.fixture
def locked(life):
    """The outbox, held by another connection; its ``ROLLBACK`` lets go. The app waits for it only for a moment."""
    life.configure(append_timeout="100ms")
    life.events.outbox.open()
    with closing(sqlite3.connect(life.folder / "events.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def waiting(life, how):
    """A process whose event waits; returns it, and the event's id."""
    process = life.start("-m", "apps.life_exits", how)
    event_id, sequence = process.until(r"waiting (\S+) (\S+)\n").groups()
    assert sequence == "None"
    return process, event_id


# Python dies of SIGINT, or exits with 1 when that came in the middle of something of the interpreter's own.
ENDS = {"return": {0}, "exit": {0}, "raise": {1}, "wait": {-signal.SIGINT, 1}}


@pytest.mark.parametrize("how", ENDS)
def test_an_exit_commits(life, locked, how):
    """However the interpreter comes to its end, what waits is stored if the outbox is free in time; nothing is delivered."""
    process, event_id = waiting(life, how)
    if how == "wait":
        process.process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # it is at its end by now, and waits
    assert process.process.poll() is None
    locked.execute("ROLLBACK")

    assert process.wait() in ENDS[how]
    assert [event.id for event in life.stored()] == [event_id]
    assert life.received() == {}
    assert [delivery.attempts for delivery in life.events.outbox.deliveries()] == [()]
    assert [count.reason for count in life.events.outbox.ledger()] == ["late"]


def test_an_exit_does_not_wait_for_ever(life, locked):
    """If the outbox is not free in time, the exit goes on; the log says what is lost."""
    process, event_id = waiting(life, "exit")
    began = time.monotonic()

    assert process.wait() == 0
    assert time.monotonic() - began < AT_EXIT + 5 + SLACK  # a call that has begun waits for the lock as long as it may
    assert "An event is lost: it could not be stored." in process.said
    assert event_id in process.said
    locked.execute("ROLLBACK")
    assert life.stored() == []


@pytest.mark.parametrize(("how", "code"), [("_exit", 0), ("wait", -signal.SIGTERM)])
def test_no_exit_at_all(life, locked, how, code):
    """A process that ends without its exit handlers ends at once; what waited in memory is lost, and the file is whole."""
    process, _ = waiting(life, how)
    if how == "wait":
        process.process.send_signal(signal.SIGTERM)

    assert process.wait(SLACK) == code
    locked.execute("ROLLBACK")
    assert life.stored() == []
    assert life.events.emit_sync("app.order.paid").sequence == 1


SLOW_SINK = """
import asyncio, threading, sys
from supertokens_events import Events, hookimpl
from supertokens_events.sink import Sink

class Slow(Sink):
    type = "slow"

    async def deliver(self, deliveries):
        print("delivering", flush=True)
        await asyncio.to_thread(threading.Event().wait)

class Plugin:
    @hookimpl
    def register_sink_types(self):
        return [Slow]

events = Events.from_dict({
    "outbox": {"url": "sqlite:events.db"},
    "sinks": {"slow": {"type": "slow", "events": ["*"]}},
}, plugins=[Plugin()])
events.emit_sync("app.order.paid")
sys.stdin.readline()
"""


def test_a_sink_in_a_thread_holds_up_no_exit(life):
    """A sink that blocks a thread of the event loop's pool, as looking up a name does, does not keep the process from ending."""
    process = life.start("-c", SLOW_SINK)
    process.until("delivering")
    process.process.stdin.close()

    assert process.wait(SLACK) == 0
    wait_for(lambda: len(life.stored()) == 1)
