"""Numbers, times and spans in words."""

from __future__ import annotations

import time
from datetime import UTC, datetime

__all__ = [
    "age_in_words",
    "counted",
    "duration_in_words",
    "iso_time",
    "rate_in_words",
    "size_in_words",
    "span_in_words",
    "time_in_words",
]

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_OLD = 7 * 86400  # seconds, after which a date says more than "12 d ago"


def counted(n: int, noun: str, plural: str = "") -> str:
    """``1 event``, ``1,042 events``."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def iso_time(seconds: float | None) -> str | None:
    """Seconds since the epoch as ISO 8601 in UTC; ``None`` stays."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_in_words(seconds: float | None, *, now: float | None = None) -> str:
    """``3 min ago``, ``in 2 h``, ``now``; the date when that is more than a week away; ``-`` for ``None``."""
    if seconds is None:
        return "-"
    past = (time.time() if now is None else now) - seconds
    if abs(past) > _OLD:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    if abs(past) < 1:
        return "now"
    rounded = next(f"{abs(past) // size:.0f} {unit}" for size, unit in _UNITS if abs(past) >= size)
    return f"{rounded} ago" if past > 0 else f"in {rounded}"


def span_in_words(seconds: float) -> str:
    """``5 s``, ``75 h 35 min 5 s``, ``0.25 s``. Days stay hours: a schedule is compared in hours."""
    rest, parts = seconds, []
    for size, unit in _UNITS[1:]:
        whole = rest if size == 1 else rest // size
        rest -= whole * size
        parts += [f"{round(whole, 3):g} {unit}"] if whole else []
    return " ".join(parts) or "0 s"


def age_in_words(seconds: float) -> str:
    """``90 d``; as a span when it is not whole days."""
    days, rest = divmod(seconds, 86400)
    return span_in_words(seconds) if rest or not days else f"{days:,.0f} d"


def duration_in_words(seconds: float) -> str:
    """``12 µs``, ``3.4 ms``, ``1.2 s``, ``5 min 10 s``: two figures below a minute."""
    for unit, size in (("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)):
        value = seconds / size
        if value < 9.95:
            return f"{value:.1f} {unit}"
        if round(value) < (60 if unit == "s" else 1000):
            return f"{value:.0f} {unit}"
    return span_in_words(round(seconds))


def rate_in_words(rate: float) -> str:
    """``10 calls a second``, ``30 calls a minute``: in the shortest span in which there are some."""
    spans = (("second", 1), ("minute", 60), ("hour", 3600), ("day", 86400))
    unit, seconds = next((span for span in spans if rate * span[1] >= 1), spans[-1])
    return f"{rate * seconds:,g} {'call' if rate * seconds == 1 else 'calls'} a {unit}"


def size_in_words(size: float) -> str:
    """``512 B``, ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
