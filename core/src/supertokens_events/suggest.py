"""The nearest known name to one that is not known: half of all mistakes are typing errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["nearest"]


def nearest(name: str, known: Iterable[str]) -> str:
    """``, did you mean 'url'?``, or nothing when no known name is near."""
    match = next(iter(difflib.get_close_matches(name, list(known), n=1)), None)
    return f", did you mean {match!r}?" if match else ""
