"""``python -m apps.life_children HOW``: a process that stores and delivers has children by ``multiprocessing``, or by ``os.fork``
as uWSGI has its workers. What each began with, and which events it emitted, is printed as JSON.

``HOW`` is a start method, or how a forked child ends: ``atexit`` runs the exit handlers and then calls ``os._exit``, ``_exit``
calls it at once.
"""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import signal
import sys
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from apps.proc import outbox_files, sockets, threads
from supertokens_events import Events

CHILDREN, EACH = 2, 3
GIVEN_UP = 90  # seconds after which a process that hangs is ended by the system


def emit(events: Events) -> list[str]:
    """Returns the ids, once they are stored."""
    emitted = [events.emit_sync("app.order.paid", data={"pid": os.getpid()}) for _ in range(EACH)]
    assert all(event.sequence is not None for event in emitted)
    return [event.id for event in emitted]


def live(events: Events, told: SimpleQueue[Any]) -> None:
    """A child's life."""
    signal.alarm(GIVEN_UP)
    pid = os.getpid()
    began = {"threads": threads(pid), "files": sorted(outbox_files(pid, Path.cwd())), "sockets": sorted(sockets(pid))}
    ids = emit(events)
    told.put({"began": began, "ids": ids, "own_sockets": sorted(sockets(pid) - set(began["sockets"]))})


def live_anew(told: SimpleQueue[Any]) -> None:
    """A child that inherits nothing makes its own."""
    events = Events.from_toml()
    live(events, told)
    events.stop()


def multiprocess(method: str, events: Events) -> list[Any]:
    """The children by a start method; what they told, and that they ended well."""
    context: Any = multiprocessing.get_context(method)
    told = context.SimpleQueue()
    target, arguments = (live, (events, told)) if method == "fork" else (live_anew, (told,))
    processes = [context.Process(target=target, args=arguments) for _ in range(CHILDREN)]
    for process in processes:
        process.start()
    answers = [told.get() for _ in processes]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * CHILDREN
    return answers


def workers(ending: str, events: Events) -> list[Any]:
    """The children by ``os.fork``, each ended by ``os._exit``."""
    told: Any = multiprocessing.get_context("fork").SimpleQueue()
    pids = []
    for _ in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            live(events, told)
            if ending == "atexit":
                atexit._run_exitfuncs()
            os._exit(0)
        pids.append(pid)
    answers = [told.get() for _ in pids]
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * CHILDREN
    return answers


def main(how: str) -> None:
    signal.alarm(GIVEN_UP)
    events = Events.from_toml()
    events.start()
    before = emit(events)
    own = sorted(sockets(os.getpid()))
    children = workers(how, events) if how in ("atexit", "_exit") else multiprocess(how, events)
    after = emit(events)
    events.stop()
    print(json.dumps({"parent": before + after, "sockets": own, "children": children}))


if __name__ == "__main__":
    main(sys.argv[1])
