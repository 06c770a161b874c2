"""The nearest known name to one that is not known: half of all mistakes are typing errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = ["few", "nearest", "nearest_few"]

_FEW = 3
_AS_THEY_ARE = 12  # names that a line can hold; the high-volume types are no more


def nearest(name: str, known: Iterable[str]) -> str:
    """``, did you mean 'url'?``, or nothing when no known name is near."""
    match = next(iter(nearest_few(name, known, n=1)), None)
    return f", did you mean {match!r}?" if match else ""


def nearest_few(name: str, known: Iterable[str], n: int = _FEW) -> list[str]:
    """The known names that are near, the nearest first."""
    return difflib.get_close_matches(name, list(known), n=n)


def few(names: Sequence[str], *, like: Iterable[str] = (), at_most: int = _AS_THEY_ARE) -> tuple[Sequence[str], int]:
    """``names`` when they are at most so many, else a few of them, those nearest to one of ``like`` first; and how many are
    left out.
    """
    if len(names) <= at_most:
        return names, 0
    near = [match for name in like for match in nearest_few(name, names)]
    shown = list(dict.fromkeys([*near, *names]))[:_FEW]
    return shown, len(names) - len(shown)
