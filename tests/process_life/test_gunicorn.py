"""gunicorn with ``--preload``: the app is loaded once, and its workers are forked from that process."""

from __future__ import annotations

import itertools
import os
import signal
from collections import defaultdict

import pytest

from apps.life_kit import SIGN_UP, sign_up, wait_for
from apps.proc import children, leaders, outbox_files

WORKERS = 2
EACH = 3  # sign-ups that every worker gets at least
BACKGROUND = {"start": [], "emit": ["app.loaded"], "nothing": []}
"""What the app does when it is loaded, and the events that come of it."""

_names = itertools.count()


def gunicorn(life, at_import):
    """The server with its workers, and its URL."""
    options = ["--preload", f"--workers={WORKERS}", "--worker-class=gthread", "--threads=2", "--bind=127.0.0.1:0"]
    server = life.start("-m", "gunicorn", *options, "apps.life:app", LIFE_AT_IMPORT=at_import)
    url = server.until(r"Listening at: (http://\S+)")[1]
    wait_for(lambda: len(children(server.pid)) == WORKERS, server)
    return server, url


def sign_up_through_all(server, url):
    """Until each worker has answered some; the users' ids by worker."""
    users = defaultdict(list)
    while len(users) < WORKERS or min(map(len, users.values())) < EACH:
        user, worker = sign_up(url, f"user{next(_names)}")
        users[worker].append(user)
        assert sum(map(len, users.values())) < 200, f"one worker gets nothing; the server said:\n{server.said}"
    return users


def by_user(events):
    types = defaultdict(list)
    for event in events:
        types[event.user_id].append(event.type)
    return types


@pytest.mark.parametrize(
    ("life_on_each", "at_import"),
    [("sqlite", "start"), ("sqlite", "emit"), ("sqlite", "nothing"), ("postgres", "start")],
    indirect=["life_on_each"],
)
def test_workers(life_on_each, at_import):
    """Sign-ups through every worker are stored and delivered, each event once; SIGTERM ends it all cleanly."""
    life = life_on_each
    server, url = gunicorn(life, at_import)
    users = sign_up_through_all(server, url)
    stored = life.all_delivered(server)

    told = by_user(stored)
    assert told.pop(None, []) == BACKGROUND[at_import]
    assert told == {user: SIGN_UP for ids in users.values() for user in ids}
    assert set(life.received().values()) == {1}

    assert server.end(signal.SIGTERM) == 0
    assert "Traceback" not in server.said
    assert life.stored() == stored
    assert life.events.outbox.ledger() == []


def test_what_workers_share(life):
    """A worker that was forked from a process that stores and delivers has none of the outbox's files open. Once it stores, it
    has its own, and still exactly one of all the processes leads the sink.
    """
    server, url = gunicorn(life, "emit")
    life.all_delivered(server)
    workers = children(server.pid)

    # A fork closes it in the parent until it is used again. The youngest child may not have run a line of Python yet.
    wait_for(lambda: "events.db" in outbox_files(server.pid, life.folder), server)
    wait_for(lambda: [outbox_files(worker, life.folder) for worker in workers] == [set()] * WORKERS, server)

    sign_up_through_all(server, url)
    life.all_delivered(server)
    assert all("events.db" in outbox_files(worker, life.folder) for worker in workers)
    assert leaders([server.pid, *workers], life.folder, "hook") == [server.pid]


def test_reload(life):
    """SIGHUP gives new workers; the lead passes to one of them, and what they store is delivered as before."""
    server, url = gunicorn(life, "nothing")
    sign_up_through_all(server, url)
    life.all_delivered(server)
    before = children(server.pid)
    (led,) = leaders([server.pid, *before], life.folder, "hook")

    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(now := children(server.pid)) == WORKERS and not set(now) & set(before), server)
    users = sign_up_through_all(server, url)
    stored = life.all_delivered(server)

    assert led in before
    assert not users.keys() & set(before)
    assert [leader in users for leader in leaders(children(server.pid), life.folder, "hook")] == [True]
    assert len(stored) == len(SIGN_UP) * (len(by_user(stored)))
    assert set(life.received().values()) == {1}
    assert server.end(signal.SIGTERM) == 0
    assert "Traceback" not in server.said


def test_a_worker_that_is_killed(life):
    """When the worker that leads is killed, the other one takes over, and nothing that was stored is lost."""
    server, url = gunicorn(life, "nothing")
    sign_up_through_all(server, url)
    life.all_delivered(server)
    (led,) = leaders(children(server.pid), life.folder, "hook")

    os.kill(led, signal.SIGKILL)
    wait_for(lambda: len(now := children(server.pid)) == WORKERS and led not in now, server)
    users = sign_up_through_all(server, url)
    stored = life.all_delivered(server)

    assert led not in users
    assert all(types == SIGN_UP for types in by_user(stored).values())
    assert len(leaders(children(server.pid), life.folder, "hook")) == 1
