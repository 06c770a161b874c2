"""A place where somebody else's code can be run and reach nothing: a forked child in which every file and every connection is
closed, none can be opened, and no process can be started.

What it cannot keep from happening: work with memory that is shared with other processes, and using up processor and memory until
its time is over.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

__all__ = ["Refused", "in_locked_child", "was_refused"]

# What needs no file descriptor, so that the limit does not see it.
_EVENTS = (
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown"),
    *(
        "os.utime",
        "os.setxattr",
        "os.removexattr",
        "os.kill",
        "os.killpg",
        "os.system",
        "os.exec",
        "os.fork",
        "os.forkpty",
    ),
    *(
        "os.posix_spawn",
        "os.spawn",
        "os.startfile",
        "subprocess.Popen",
        "signal.pthread_kill",
        "shutil.",
        "socket.",
        "ctypes.",
    ),
    *("resource.setrlimit", "syslog.", "pty.spawn"),
)
_MANY = 65_536  # descriptors that a process may have open where the system does not say
_ANSWER = 65_536  # bytes


class Refused(PermissionError):
    """What was asked for is not to be had in here."""


def was_refused(error: BaseException | None) -> bool:
    """Whether an exception, or one that led to it, is because something is not to be had in here."""
    while error is not None:
        if isinstance(error, Refused) or getattr(error, "errno", None) in (errno.EMFILE, errno.EBADF):
            return True
        error = error.__cause__ or error.__context__
    return False


def in_locked_child(work: Callable[[], Awaitable[str]], seconds: float) -> str | None:
    """What ``work`` says, on an event loop of a child of this process; ``None`` when it says nothing within ``seconds``, or dies.

    Nothing that it does to its memory is seen here.
    """
    reading, writing = os.pipe()
    child = _fork()
    if child == 0:
        _live(work, writing)
    os.close(writing)
    try:
        return _answer(reading, seconds)
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):  # an app may have said that it waits for none
            os.waitpid(child, 0)


def _fork() -> int:
    with warnings.catch_warnings():
        # A thread of the app may hold a lock for ever in the child, which is then killed when its time is over.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _answer(reading: int, seconds: float) -> str | None:
    deadline, answer = time.monotonic() + seconds, b""
    waiting = select.poll()  # select() knows no descriptor above 1023, and an app may have many
    waiting.register(reading, select.POLLIN)
    while waiting.poll(1000 * max(0.0, deadline - time.monotonic())):
        part = os.read(reading, _ANSWER)
        if not part:
            return answer.decode() or None
        answer += part
    return None


# In the child -----------------------------------------------------------------------------------------------------------


def _live(work: Callable[[], Awaitable[str]], writing: int) -> None:
    """Never returns."""
    try:
        _close_all_but(writing)
        loop = asyncio.SelectorEventLoop()  # before the lock, for it opens files; and not another one, which may later
        asyncio.set_event_loop(loop)
        _lock()
        os.write(writing, loop.run_until_complete(_said(work)).encode())
    finally:
        os._exit(0)  # whatever happened: no exit handler of the app's may run


async def _said(work: Callable[[], Awaitable[str]]) -> str:
    return await work()


def _close_all_but(kept: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    last = min(limit, 1 << 20) if limit != resource.RLIM_INFINITY else _MANY
    os.closerange(3, kept)
    os.closerange(kept + 1, last)


def _lock() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_refuse)


def _refuse(event: str, _arguments: Any) -> None:
    if event.startswith(_EVENTS):
        raise Refused(event)
