"""Locks between processes: `flock` on files beside the database.

SQLite lets whoever wants to write ask again and again, so somebody starves; the kernel keeps a queue. And in SQLite before
3.51.3 several connections that write and checkpoint at the same moment can, rarely, damage a file: with this lock around
every write, only one does.

A lock belongs to an open file, and a forked child has its parent's files open: it closes them, and unlocks nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # no such system call: SQLite's own locks have to do
    fcntl = None

__all__ = ["FileLock", "Leads"]

_POLL = 0.001  # seconds


class FileLock:
    """An exclusive lock on the file ``path``, for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._waiters: set[_Waiter] = set()

    def acquire(self, timeout: float) -> bool:
        """Whether the lock was had within ``timeout`` seconds. Raises ``OSError`` when its file cannot be opened."""
        if fcntl is None:
            return True
        deadline = time.monotonic() + timeout
        while True:
            if self._descriptor is None:
                self._descriptor = _open(self._path)
            if not (_try_lock(self._descriptor) or self._wait(self._descriptor, max(0.0, deadline - time.monotonic()))):
                return False
            if _is_at(self._path, self._descriptor):
                return True
            self.close()  # the file was deleted: others lock the one that has its name now

    def release(self) -> None:
        """Let others have it."""
        if fcntl is not None and self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close its file. Who still waits, given up, closes its own."""
        _close_all([self._descriptor])
        self._descriptor = None

    def forget(self) -> None:
        """In a forked child: close what was inherited. Its threads are not here; the lock is the parent's."""
        descriptors = [self._descriptor, *(waiter.descriptor for waiter in self._waiters)]
        self._descriptor, self._waiters = None, set()
        _close_all(descriptors)

    def _wait(self, descriptor: int, timeout: float) -> bool:
        waiter = _Waiter(_open(self._path), self._waiters.discard)
        self._waiters.add(waiter)
        try:
            waiter.start()
        except RuntimeError:  # the interpreter shuts down and starts no more threads
            waiter.give_up()
            return _poll(descriptor, timeout)
        if not waiter.wait(timeout):
            return False
        self._descriptor = waiter.descriptor
        os.close(descriptor)
        return True


class _Waiter:
    """A thread in the kernel's queue for the lock: the call cannot be told when to end, so that is left behind if need be."""

    def __init__(self, descriptor: int, gone: Callable[[_Waiter], None]) -> None:
        self.descriptor = descriptor
        self._gone = gone
        self._locked = threading.Lock()
        self._locked.acquire()
        self._deciding = threading.Lock()
        self._has_it = self._given_up = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="supertokens-events-lock", daemon=True).start()

    def wait(self, timeout: float) -> bool:
        """Whether the lock is ours; if not, it will not become so."""
        self._locked.acquire(timeout=timeout)
        with self._deciding:
            if self._has_it:
                self._gone(self)
            else:
                self._given_up = True
            return self._has_it

    def give_up(self) -> None:
        self._gone(self)
        os.close(self.descriptor)

    def _run(self) -> None:
        with suppress(OSError):
            fcntl.flock(self.descriptor, fcntl.LOCK_EX)
            with self._deciding:
                self._has_it = not self._given_up
        self._locked.release()
        if not self._has_it and self._given_up:
            self.give_up()


class Leads:
    """Which sinks this process leads: one lock on a file of its own for each, ``<path>-lead-<sink>``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: dict[str, int] = {}
        self.lock = threading.Lock()

    def take(self, sink: str) -> bool:
        """Whether it is ours. Raises ``OSError`` when its file cannot be opened."""
        if fcntl is None:
            return True
        with self.lock:
            if sink not in self._held:
                descriptor = _open(self._path.with_name(f"{self._path.name}-lead-{sink}"))
                if not _try_lock(descriptor):
                    os.close(descriptor)
                    return False
                self._held[sink] = descriptor
            return True

    def give(self, sink: str) -> None:
        """Give one up."""
        with self.lock:
            _close_all([self._held.pop(sink, None)])

    def close(self) -> None:
        """Give all up; in a forked child, leave them to the parent."""
        held, self._held = self._held, {}
        _close_all(held.values())


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))  # noqa: PTH116 - for every transaction
    except FileNotFoundError:
        return False


def _close_all(descriptors: Iterable[int | None]) -> None:
    for descriptor in descriptors:
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _poll(descriptor: int, timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL)
    return True
