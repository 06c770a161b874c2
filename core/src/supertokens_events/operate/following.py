"""Going on with what is stored later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

__all__ = ["following"]

_LOOK_EVERY = 0.5  # seconds

Row = TypeVar("Row")
Cursor = TypeVar("Cursor")


def following(
    read: Callable[[Cursor | None], Sequence[Row]],
    after: Cursor | None,
    *,
    cursor: Callable[[Row], Cursor],
    start: Cursor,
    sleep: Callable[[float], Any] = time.sleep,
) -> Iterator[Sequence[Row]]:
    """What ``read`` finds after a cursor, page by page, for ever. ``start`` is before everything."""
    while True:
        if rows := read(after):
            yield rows
            after = cursor(rows[-1])
        else:
            after = start if after is None else after
            sleep(_LOOK_EVERY)
