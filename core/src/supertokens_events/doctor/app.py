"""The app's own ``Events``, found as a server finds an app: by the name of a module and of something in it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from types import FrameType

from supertokens_events.doctor.finding import Finding, problem
from supertokens_events.events import Events
from supertokens_events.log import describe_exception

__all__ = ["AppNotFound", "load_app"]


class AppNotFound(Exception):
    """``finding`` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what)
        self.finding = finding


class _TooLong(BaseException):
    """The import takes longer than it may. Not an ``Exception``: an app may catch those."""


def load_app(name: str, patience: float) -> Events:
    """What ``MODULE:ATTRIBUTE`` names, from the working directory or what is installed, imported within ``patience`` seconds.

    Raises :class:`AppNotFound`.
    """
    module_name, _, attribute = name.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        with _within(patience), redirect_stdout(sys.stderr):  # what it prints is none of our findings
            found = import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except _TooLong:
        raise _not_found(name, f"importing it takes longer than {patience:g} s") from None
    except ImportError as error:
        raise _not_found(name, str(error)) from None  # what is missing, and where
    except (Exception, SystemExit) as error:
        raise _not_found(name, f"importing it raised {describe_exception(error)}") from None
    if not isinstance(found, Events):
        raise _not_found(name, f"it is of the class {type(found).__name__}, and the app's Events is wanted")
    return found


def _not_found(name: str, why: str) -> AppNotFound:
    return AppNotFound(
        problem(
            "app.found",
            f"The app {name} cannot be used: {why}.",
            why="Nothing of the app was looked at: neither capture nor overrides.",
            do="Name the module and the Events in it, such as myapp.main:events, and run the doctor where the app runs.",
        )
    )


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """An app is imported on the main thread, as a server does it; there an alarm can end it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
