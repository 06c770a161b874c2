"""What an event's id says by itself."""

from __future__ import annotations

import re

__all__ = ["made_at"]

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ID = re.compile(rf"evt_([0-7][{_ALPHABET}]{{25}})")


def made_at(event_id: str) -> float | None:
    """When it was made, in seconds since the epoch: an id begins with its time. ``None`` for what is no id."""
    match = _ID.fullmatch(event_id)
    if match is None:
        return None
    number = 0
    for character in match[1]:
        number = number * 32 + _ALPHABET.index(character)
    return (number >> 80) / 1000
