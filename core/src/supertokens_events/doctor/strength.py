"""How much work it is to guess a secret, judged by its looks: what is made up by a person, or stands in for one."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

__all__ = ["weakness"]

_ENOUGH = 56.0  # bits; twenty random hex digits look like 64 or so
_KEY = 16  # bytes; a shorter text is base64 by chance
_PLACEHOLDER = re.compile(
    rb"change.?me|password|example|secret.?key|your.?secret|placeholder|test.?secret|xxxx", re.IGNORECASE
)


def weakness(secret: str) -> str | None:
    """Why a secret is easily guessed, as the end of a sentence; ``None`` when it does not look so. Never repeats any of it."""
    values = list(_readings(secret))
    if any(map(_PLACEHOLDER.search, values)):
        return "looks like a placeholder"
    bits = min(_bits(reading) for value in values for reading in (value, _steps(value)))
    if bits < _ENOUGH:
        return f"has a pattern: it is worth about {bits:.0f} bits, and 128 random ones are usual"
    return None


def _readings(secret: str) -> Iterator[bytes]:
    """The text, and what a key such as ``whsec_…`` says in base64."""
    text = re.sub(r"^[a-z]+_", "", secret) or secret
    yield text.encode()
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return
    if len(decoded) >= _KEY:
        yield decoded


def _bits(value: Sequence[int]) -> float:
    """Shannon's entropy of its symbols, of one period if it repeats itself."""
    period = value[: _period(value)]
    counts = Counter(period)
    return sum(-n * math.log2(n / len(period)) for n in counts.values())


def _period(value: Sequence[int]) -> int:
    for length in range(1, len(value) // 2 + 1):
        if all(value[at] == value[at % length] for at in range(length, len(value))):
            return length
    return len(value)


def _steps(value: Sequence[int]) -> list[int]:
    """From each symbol to the next: a row such as ``abcdef`` is one step again and again."""
    return [(after - before) % 256 for before, after in pairwise(value)]
