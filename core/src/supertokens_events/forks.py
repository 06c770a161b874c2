"""What it takes to live through a fork, whichever thread of the process makes it.

A child has only the thread that forked. What another thread was in the middle of stays undone in it, and what that thread
held stays locked: a module that was being imported can never be imported in the child, which waits for it for ever.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["no_fork", "while_alive"]

_PATIENCE = 5.0  # seconds that a fork waits


def while_alive(method: Callable[[], None]) -> Callable[[], None]:
    """``method``, and nothing once its object is gone: what is registered for a fork stays registered."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        bound = reference()
        if bound is not None:
            bound()

    return call


class _Guard:
    """Who must not be cut in two, counted. They never wait for each other, only for a fork that is being made."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: dict[int, int] = {}  # by thread
        self._forking: set[int] = set()

    @contextmanager
    def inside(self) -> Iterator[None]:
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def _add(self, n: int) -> None:
        me = threading.get_ident()
        with self._changed:
            self._inside[me] = self._inside.get(me, 0) + n
            if not self._inside[me]:
                del self._inside[me]
            self._changed.notify_all()

    def before(self) -> None:
        """Wait until no other thread is inside, and let none in."""
        if self._changed.acquire(timeout=_PATIENCE):
            me = threading.get_ident()
            self._forking.add(me)
            self._changed.wait_for(lambda: not self._inside.keys() - {me}, _PATIENCE)

    def after_in_parent(self) -> None:
        me = threading.get_ident()
        if me in self._forking:
            self._forking.remove(me)
            self._changed.release()

    def after_in_child(self) -> None:
        """Also where a server forks past Python, and nothing was called before."""
        me = threading.get_ident()
        self._changed, self._forking = threading.Condition(), set()
        self._inside = {me: self._inside[me]} if me in self._inside else {}


_guard = _Guard()
os.register_at_fork(before=_guard.before, after_in_parent=_guard.after_in_parent, after_in_child=_guard.after_in_child)

no_fork = _guard.inside
"""While this is entered, a fork by another thread waits, for a few seconds at most. For imports, and nothing that may wait for
anything else.
"""
