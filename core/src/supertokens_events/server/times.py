"""Times as the API says and takes them."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["moment", "seconds_of"]


def moment(seconds: float) -> datetime:
    """Seconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def seconds_of(when: datetime | None) -> float | None:
    """A time as seconds since the epoch; in UTC unless it says otherwise."""
    return None if when is None else (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
