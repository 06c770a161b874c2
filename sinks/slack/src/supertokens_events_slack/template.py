"""Texts with the fields of an event in them: ``Token theft detected for {who}``.

Of ``str.format`` only the braces: a field is a path into the event's JSON, looked up key by key in plain tables, so that no
text can reach an attribute, an index or a method of anything. There are no conversions and no format specifications.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from supertokens_events.catalog import EventData
from supertokens_events_slack.fields import Document, field, happened_at, problem_with
from supertokens_events_slack.mrkdwn import date, escaped, url_part

__all__ = ["ROOM", "Template", "UrlTemplate"]

ROOM = 1200
"""Characters that a text may come to, whatever an event holds: a few of them fit into one message."""

_PATH = re.compile(r"[a-z_][a-z0-9_]*(\.[A-Za-z0-9_-]+)*")  # an app names the fields of its own types
_LONGEST = 200  # characters of a value
_LONGEST_URL = 800  # characters, each `&` as the five that it is sent as
_SHORTEST = 20  # characters that each value must have room for
_ESCAPED = 5  # characters that one may become: `&amp;`
_URL = re.compile(r"https?://[^/?#\s]+([/?#].*)?")
_NOT_IN_URLS = re.compile(r"[<>|\s]")


@dataclass(frozen=True)
class Template:
    """A text in Slack's markup; what comes from an event is escaped in it."""

    parts: Sequence[tuple[str, Sequence[str]]]
    """Each a piece of text and the paths, the first that is there counts, that follow it; none at the end."""
    longest: int
    """Characters of each value."""

    @classmethod
    def parse(cls, text: str, data_model: type[EventData] | None = None) -> Template:
        """Raises ``ValueError``, a sentence, for a field that no event of the type has, and for anything that is not such a text.
        ``data_model`` ``None``: a type that is not in the catalog.
        """
        parts = _parse(text)
        for _, paths in parts:
            for path in paths:
                if problem := problem_with(path, data_model):
                    raise ValueError(problem)
        literal, fields = sum(len(before) for before, _ in parts), sum(1 for _, paths in parts if paths)
        if not text.strip():
            raise ValueError("is empty")
        if literal + fields * _SHORTEST * _ESCAPED > ROOM:
            raise ValueError(f"is too long: with its values it must fit into {ROOM} characters")
        return cls(parts, min(_LONGEST, (ROOM - literal) // (_ESCAPED * max(fields, 1))))

    def render(self, document: Document) -> str:
        """At most :data:`ROOM` characters."""
        return _filled(self.parts, document, lambda path, value: self._value(document, path, value))

    def _value(self, document: Document, path: str | None, value: Any) -> str:
        if path == "timestamp" and (moment := happened_at(document)):
            return date(moment)
        return escaped(value, self.longest)


@dataclass(frozen=True)
class UrlTemplate:
    """A URL in which fields stand, each as one part of a path or a query."""

    parts: Sequence[tuple[str, Sequence[str]]]

    @classmethod
    def parse(cls, text: str) -> UrlTemplate:
        """Raises ``ValueError``, a sentence."""
        parts = _parse(text)
        before, paths = parts[0]
        start = _URL.fullmatch(before)
        if start is None or (paths and not start[1]):
            raise ValueError("expected a URL such as 'https://admin.example.com/users/{user_id}'")
        if any(_NOT_IN_URLS.search(before) for before, _ in parts):
            raise ValueError("a URL holds no spaces and none of '<', '>' and '|'")
        for _, paths in parts:
            for path in paths:
                if problem := problem_with(path, None):
                    raise ValueError(problem)
        return cls(parts)

    def render(self, document: Document) -> str | None:
        """The URL; ``None`` when the event lacks what belongs into it, or has it so long that it cannot be meant."""
        if any(paths and _first(document, paths)[1] is None for _, paths in self.parts):
            return None
        url = _filled(self.parts, document, lambda _, value: url_part(value))
        return url if len(url) + 4 * url.count("&") <= _LONGEST_URL else None


def _parse(text: str) -> Sequence[tuple[str, Sequence[str]]]:
    try:
        found = list(Formatter().parse(text))
    except ValueError:
        raise ValueError("a brace has no counterpart; for a brace itself write two, '{{' or '}}'") from None
    parts: list[tuple[str, Sequence[str]]] = []
    for before, name, specification, conversion in found:
        if specification or conversion:
            raise ValueError(f"in {{{name}…}}: a field is a path and nothing else, such as {{data.email}}")
        paths = [] if name is None else name.split("|")
        if odd := [path for path in paths if not _PATH.fullmatch(path)]:
            raise ValueError(
                f"{odd[0]!r} is not a field: expected a path such as {{user_id}} or {{data.email|user_id}}"
            )
        parts.append((before, paths))
    return parts or [("", [])]


def _filled(
    parts: Sequence[tuple[str, Sequence[str]]], document: Document, shown: Callable[[str | None, Any], str]
) -> str:
    return "".join(before + (shown(*_first(document, paths)) if paths else "") for before, paths in parts)


def _first(document: Document, paths: Sequence[str]) -> tuple[str | None, Any]:
    """The first of ``paths`` that the event has something at, and what."""
    found = ((path, field(document, path)) for path in paths)
    return next(((path, value) for path, value in found if value not in (None, "", [])), (None, None))
