"""Can the outbox be written, is it on a disk of its own machine, is there room?"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, note, ok, problem, warning
from supertokens_events.operate.words import counted, duration_in_words, size_in_words
from supertokens_events.outbox import Outbox, OutboxError, Pulse, SqliteOutbox
from supertokens_events.outbox.mounts import file_system_here, network_file_system

__all__ = ["outbox"]

_SKEW = 2.0  # seconds
_LITTLE, _NONE = 500 * 2**20, 50 * 2**20  # bytes
_IN_MEMORY = ("tmpfs", "ramfs")


def outbox(case: Case) -> Iterator[Finding]:
    """Where it is, whether it opens and takes what is written, how its clock goes."""
    if case.outbox is None:
        yield note("outbox.not_looked_at", "The outbox is not looked at: its part of the configuration is wrong.")
        return
    if isinstance(case.outbox, SqliteOutbox):
        yield from _disk(case.outbox.path)
    if case.outbox_problem is not None:
        yield _unusable(case.outbox_problem)
        return
    try:
        yield from _written(case, case.outbox)
    except OutboxError as error:
        yield _unusable(str(error))
        return
    yield from _room(case, case.outbox)


def _unusable(why: str) -> Finding:
    return problem(
        "outbox.writable",
        f"{why[:1].upper()}{why[1:]}.".replace("..", "."),
        why="Events wait in memory, where the end of the process loses them; auth calls wait up to append_timeout for it.",
        do="Mend what the sentence says. Run the doctor as the user that the app runs as: others may not write there.",
    )


def _written(case: Case, outbox: Outbox) -> Iterator[Finding]:
    """A sign of life, as a dispatcher gives one, and that it is over: written, read back with the store's time, and removed."""
    id_ = f"doctor-{secrets.token_hex(6)}"
    before = case.clock()
    outbox.beat(Pulse(id_, socket.gethostname(), os.getpid(), version("supertokens-events")))
    after = case.clock()
    try:
        (seen,) = [one.seen_at for one in outbox.dispatchers() if one.pulse.id == id_]
    finally:
        outbox.leave(id_)
    yield ok("outbox.writable", f"The outbox takes what is written, in {duration_in_words(after - before)}.")
    yield from _clock(outbox, seen, before, after)


def _clock(outbox: Outbox, seen: float, before: float, after: float) -> Iterator[Finding]:
    """A file has this machine's clock."""
    if isinstance(outbox, SqliteOutbox):
        return
    skew = max(before - seen, seen - after, 0.0)
    ahead = "ahead of" if seen > after else "behind"
    if skew <= _SKEW:
        yield ok("outbox.clock", "The clock of the outbox's server goes as the one of this machine.")
        return
    yield warning(
        "outbox.clock",
        f"The clock of the outbox's server is {duration_in_words(skew)} {ahead} the one of this machine.",
        why="Events have the time of the machine that they happen on, and are kept and due by the server's: times do not fit.",
        do="Have both set by NTP.",
    )


def _disk(path: Path) -> Iterator[Finding]:
    folder = path.parent
    if (kind := network_file_system(folder)) is not None:
        yield problem(
            "outbox.file_system",
            f"The outbox {path} is on a network file system ({kind}).",
            why="SQLite's locks do not hold there: the file is damaged sooner or later. It is refused.",
            do="Put it on a local disk, or use PostgreSQL: see the guide's page on the outbox.",
        )
    elif (here := file_system_here(folder)) in _IN_MEMORY:
        yield warning(
            "outbox.file_system",
            f"The outbox {path} is in memory ({here}).",
            why="A restart of the machine, or of its container, loses every event that was not delivered.",
            do="Put it on a disk, and in a container on a volume.",
        )
    else:
        yield ok("outbox.file_system", f"The outbox is on a local file system ({here or 'of unknown type'}).")
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # there is no such folder: opening says so
    if free < _LITTLE:
        kind_of = problem if free < _NONE else warning
        yield kind_of(
            "outbox.disk",
            f"There is little room on the outbox's disk: {size_in_words(free)} are free.",
            why="On a full disk events wait in memory, and are lost with the process.",
            do="Make room; 'supertokens-events prune' deletes what is past its retention, and outbox.max_size sets a limit.",
        )
    else:
        yield ok("outbox.disk", f"There is room on the outbox's disk: {size_in_words(free)} are free.")


def _room(case: Case, outbox: Outbox) -> Iterator[Finding]:
    assert case.settings is not None
    limit = case.settings.outbox.max_size
    events, size = outbox.counts()
    if limit is None or size < 0.8 * limit:
        yield ok("outbox.size", f"The outbox holds {counted(events, 'event')} in {size_in_words(size)}.")
        return
    refuses = case.settings.outbox.when_full == "refuse"
    yield warning(
        "outbox.size",
        f"The outbox takes {size_in_words(size)}; its max_size is {size_in_words(limit)}.",
        why="When it is full, new events are refused, and lost."
        if refuses
        else "When it is full, the oldest events go.",
        do="Raise outbox.max_size, or shorten [outbox.retention].",
    )
