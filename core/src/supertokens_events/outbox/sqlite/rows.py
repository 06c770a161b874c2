"""Many rows in one statement: Python gives up its lock for each, and a busy event loop does not give it back at once.

A statement stays prepared, and holds on to its values until it is used again. So there are few: their numbers of rows are
powers of two, and what is left over is NULL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

__all__ = ["in_parts", "places", "rows_of"]

_AT_ONCE = 256  # rows in one statement

T = TypeVar("T")


def in_parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as go into one statement."""
    for begin in range(0, len(rows), _AT_ONCE):
        yield rows[begin : begin + _AT_ONCE]


def rows_of(rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """What stands behind ``VALUES``, and the values; the last rows may be NULL throughout. ``rows`` are one at least."""
    row = f"({', '.join('?' * len(rows[0]))})"
    left_over = _size(len(rows)) - len(rows)
    values = [value for one in rows for value in one]
    return ", ".join([row] * _size(len(rows))), values + [None] * (left_over * len(rows[0]))


def places(values: Sequence[int]) -> tuple[str, list[int | None]]:
    """What stands between the brackets of ``IN (…)``, and the values; the last ones may be NULL, which equals nothing."""
    size = _size(len(values))
    return ", ".join("?" * size), [*values, *[None] * (size - len(values))]


def _size(count: int) -> int:
    return 1 << (count - 1).bit_length()
