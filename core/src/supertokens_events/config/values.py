"""How sizes, rates and ages are written in TOML."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

from supertokens_events.retry import parse_duration

__all__ = ["Age", "Rate", "Size", "parse_age", "parse_rate", "parse_size"]

_NUMBER = r"(\d+(?:\.\d+)?)"
_SIZE = re.compile(_NUMBER + r"\s*(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)")
_BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_LARGEST = 2**63 - 1  # bytes: what a store can count
_RATE = re.compile(_NUMBER + r"\s*/\s*(s|m|h|d)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FASTEST = 1e6  # calls a second


def parse_size(value: object) -> int:
    """Bytes from a number of bytes or a text such as ``"500MB"`` (10⁶) or ``"2GiB"`` (2³⁰).

    Raises ``ValueError`` for anything else, such as nothing at all.
    """
    size = value if isinstance(value, int) and not isinstance(value, bool) else 0
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        size = int(float(match[1]) * _BYTES[match[2]]) if len(match[1]) < 20 else 0
    if not 0 < size <= _LARGEST:
        raise ValueError(f"expected a size such as '500MB' or '2GiB', got {value!r}")
    return size


def parse_rate(value: object) -> float:
    """Calls a second from a text such as ``"10/s"``, ``"60/m"``, ``"1000/h"``.

    Raises ``ValueError`` for anything else, such as a rate of nothing.
    """
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    rate = float(match[1]) / _SECONDS[match[2]] if match else 0.0
    if not 0 < rate <= _FASTEST:
        raise ValueError(f"expected a rate such as '10/s', '60/m' or '1000/h', got {value!r}")
    return rate


def parse_age(value: object) -> float | None:
    """Seconds from what :func:`~supertokens_events.retry.parse_duration` takes; ``None`` from ``"forever"``.

    Raises ``ValueError`` for anything else.
    """
    if value is None or value == "forever":
        return None
    try:
        return parse_duration(value)
    except ValueError:
        raise ValueError(f"expected a duration such as '12h' or '90d', or 'forever', got {value!r}") from None


Size = Annotated[int, BeforeValidator(parse_size)]
Rate = Annotated[float, BeforeValidator(parse_rate)]
Age = Annotated[float | None, BeforeValidator(parse_age)]
