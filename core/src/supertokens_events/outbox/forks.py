"""What both stores need to live through a fork."""

from __future__ import annotations

import weakref
from collections.abc import Callable

__all__ = ["while_alive"]


def while_alive(method: Callable[[], None]) -> Callable[[], None]:
    """``method``, and nothing once its object is gone: what is registered for a fork stays registered."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        bound = reference()
        if bound is not None:
            bound()

    return call
