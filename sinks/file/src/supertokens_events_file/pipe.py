"""Whole lines into a named pipe: as many as its reader has room for, and none twice."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import struct
import termios
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from supertokens_events_file.lines import hold, is_at
from supertokens_events_file.turn import Turn

__all__ = ["NO_READER", "Pipe", "has_reader", "is_pipe"]

NO_READER = "no program reads this pipe"

_FLAGS = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC  # without a reader it cannot be opened like this


def is_pipe(path: Path) -> bool:
    """Whether a pipe is there, by name or as standard output. Raises ``OSError`` where nobody may look."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except FileNotFoundError:
        return False


def has_reader(path: Path) -> bool:
    """Whether some program reads the pipe now."""
    try:
        os.close(os.open(path, _FLAGS))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return False
    return True


class Pipe:
    """The pipe at ``path``. It is kept open from one call to the next: its reader sees no end in between, and what it has not
    read yet stays there when it is replaced by another.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: int | None = None
        self._rest = b""  # of a line that has begun

    def write(self, lines: Sequence[bytes], turn: Turn) -> tuple[int, OSError | None]:
        """Returns how many of ``lines`` are in the pipe, each of them whole, and what kept out the rest. Waits for its reader as
        long as it is our ``turn``.

        Raises ``OSError`` when it cannot be opened, such as when nobody reads it.
        """
        with self._lock:
            file = self._opened()
            try:
                hold(file, turn)
                return self._pour(file, lines, turn)
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Its reader sees the end, unless somebody else writes to it as well."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                os.close(file)

    def _opened(self) -> int:
        if self._file is not None and not is_at(self._path, self._file):
            os.close(self._file)
            self._file, self._rest = None, b""
        if self._file is None:
            try:
                self._file = os.open(self._path, _FLAGS)
            except OSError as error:
                raise _said(error) from error
        return self._file

    def _pour(self, file: int, lines: Sequence[bytes], turn: Turn) -> tuple[int, OSError | None]:
        for number, line in enumerate(lines):
            try:
                self._finish(file, turn)
                self._put(file, line, turn)
                turn.progressed()
            except OSError as error:
                return number, _said(error)
        return len(lines), None

    def _put(self, file: int, line: bytes, turn: Turn) -> None:
        """One line. A short one is taken whole or not at all; for a longer one that is so only of an empty pipe."""
        if len(line) > select.PIPE_BUF:
            _make_room(file, len(line))
            while _unread(file):
                _wait(turn)
        self._rest = line
        try:
            self._finish(file, turn)
        finally:
            if self._rest is line:  # nothing of it is there
                self._rest = b""

    def _finish(self, file: int, turn: Turn) -> None:
        while self._rest:
            try:
                self._rest = self._rest[os.write(file, self._rest) :]
            except BlockingIOError:
                _wait(turn)


def _make_room(file: int, size: int) -> None:
    """See that an empty pipe takes so many bytes, where the system has a say in it."""
    if hasattr(fcntl, "F_SETPIPE_SZ") and fcntl.fcntl(file, fcntl.F_GETPIPE_SZ) < size:
        with suppress(OSError):  # more than the system allows: then the line goes in pieces, as its reader takes them
            fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, size)


def _unread(file: int) -> int:
    """How many bytes are in it. Raises ``BrokenPipeError`` when nobody is left to read them."""
    poll = select.poll()
    poll.register(file, select.POLLOUT)
    if any(found & select.POLLERR for _file, found in poll.poll(0)):
        raise BrokenPipeError(errno.EPIPE, NO_READER)
    (unread,) = struct.unpack("i", fcntl.ioctl(file, termios.FIONREAD, b"\0" * struct.calcsize("i")))
    return int(unread)


def _wait(turn: Turn) -> None:
    if not turn.pause():
        raise BlockingIOError(errno.EAGAIN, "the pipe is full, and its reader does not read on")


def _said(error: OSError) -> OSError:
    return OSError(error.errno, NO_READER) if error.errno in (errno.ENXIO, errno.EPIPE) else error
