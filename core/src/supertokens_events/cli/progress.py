"""How far a command has come: a bar on a terminal, else a line now and then, always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from supertokens_events.cli.output import counted, span_in_words

__all__ = ["Progress"]

_SAY_EVERY = 10.0  # seconds, where there is no terminal


class Progress:
    """Of ``what``, counted in ``noun``. ``clock`` is a monotonic one."""

    def __init__(self, what: str, noun: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._noun = noun
        self._clock = clock
        self._show: Callable[[int], None] = lambda _done: None

    @contextmanager
    def of(self, total: int) -> Iterator[None]:
        """While it is being done, of ``total``."""
        if sys.stderr.isatty():
            with self._bar(total):
                yield
        else:
            self._lines(total)
            yield

    def reached(self, done: int) -> None:
        """So many are done."""
        self._show(done)

    @contextmanager
    def _bar(self, total: int) -> Iterator[None]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(self._what, total=total)
            self._show = lambda done: bar.update(task, completed=done, total=max(total, done))
            yield

    def _lines(self, total: int) -> None:
        began = said_at = self._clock()
        first: int | None = None

        def show(done: int) -> None:
            nonlocal said_at, first
            first = done if first is None else first
            now = self._clock()
            if now - said_at >= _SAY_EVERY and done > first:
                said_at = now
                left = max(0, total - done) * (now - began) / (done - first)
                about = span_in_words(float(round(left)))
                click.echo(f"{self._what}: {done:,} of {counted(total, self._noun)}, {about} left", err=True)

        self._show = show
