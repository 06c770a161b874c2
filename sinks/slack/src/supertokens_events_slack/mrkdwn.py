"""Slack's markup, and what may stand in it: a value that came from outside is text there, and never markup.

Slack gives three characters a meaning that must be escaped, ``&``, ``<`` and ``>``: ``<!channel>`` in somebody's name would
call everybody ("Formatting text for app surfaces"). Beyond that nothing here may hide or turn around what stands beside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

__all__ = ["UNKNOWN", "code", "date", "escaped", "in_words", "link", "plain", "url_part"]

UNKNOWN = "unknown"
"""What stands for a value that an event does not have."""

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "\N{MODIFIER LETTER GRAVE ACCENT}"})
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # parts of words in Persian and of emoji
_CUT = "…"


def plain(value: Any, longest: int) -> str:
    """``value`` as one line of at most ``longest`` characters. What cannot be seen, or turns the direction of the text, is
    shown as a replacement character; what is nothing but spaces is unknown.
    """
    line = " ".join(in_words(value).split()) or UNKNOWN
    seen = "".join(
        sign if sign.isprintable() or sign in _JOINERS else "\N{REPLACEMENT CHARACTER}" for sign in line[: longest + 1]
    )
    return seen if len(seen) <= longest else seen[: longest - 1] + _CUT


def in_words(value: Any) -> str:
    """A value of JSON as a person writes it: a list with commas, what is deeper as JSON."""
    match value:
        case None | "" | []:
            return UNKNOWN
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return str(value)
        case Sequence() if all(isinstance(item, str | int | float) for item in value):
            return ", ".join(in_words(item) for item in value)
        case _:
            return json.dumps(value, ensure_ascii=False, default=str)


def escaped(value: Any, longest: int) -> str:
    """``value`` for a text in markup. It may stand between backticks: it has none itself. At most five times ``longest``
    characters.
    """
    return plain(value, longest).translate(_ESCAPES)


def code(value: Any, longest: int) -> str:
    """``value`` as it is, letter by letter: within code Slack looks for no emphasis, emoji or address."""
    return f"`{escaped(value, longest)}`"


def date(moment: datetime) -> str:
    """A time that each reader sees in their own time zone, and in UTC where Slack's markup is not read."""
    return f"<!date^{int(moment.timestamp())}^{{date_short}}, {{time_secs}}|{moment:%Y-%m-%d %H:%M:%S} UTC>"


def link(url: str, label: str) -> str:
    """``url`` holds none of ``<>|``."""
    return f"<{url.replace('&', '&amp;')}|{label}>"


def url_part(value: Any) -> str:
    """``value`` as a part of a path or a query."""
    return quote(in_words(value).encode("utf-8", "replace"), safe="")
