"""Which types a sink wants: patterns, compiled once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["Patterns", "check_pattern"]

_PATTERN = re.compile(r"!?(\*|[a-z0-9_]+)(\.(\*|[a-z0-9_]+))*")


def check_pattern(pattern: str) -> str:
    """``pattern`` itself when it is one: ``user.created``, ``user.*``, ``*.failed``, ``*``, each with ``!`` before it
    to exclude.

    Raises ``ValueError`` otherwise.
    """
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(
            f"{pattern!r} is not an event pattern: expected a type such as 'user.created', "
            "with '*' for one or more parts and '!' in front to exclude, such as 'user.*' or '!session.refreshed'"
        )
    return pattern


class Patterns:
    """An ordered list of patterns. The last one that matches decides; where none matches, the type is not wanted.

    ``*`` stands for one or more whole parts, so ``user.*`` is also ``user.sign_in.failed``. A list that only excludes
    starts from everything.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(check_pattern(pattern) for pattern in patterns)
        self._rules = [(not pattern.startswith("!"), _compile(pattern.lstrip("!"))) for pattern in self.patterns]
        self._otherwise = bool(self._rules) and not any(wanted for wanted, _ in self._rules)
        self._decided = lru_cache(maxsize=1024)(self._decide)  # there are about a hundred types

    def matches(self, event_type: str) -> bool:
        """Whether an event of this type is wanted."""
        return self._decided(event_type)

    def deciding(self, event_type: str) -> str | None:
        """The pattern that decides about a type, for or against it; ``None`` when none matches."""
        matching = (
            pattern
            for pattern, (_, rule) in zip(reversed(self.patterns), reversed(self._rules), strict=True)
            if rule.fullmatch(event_type)
        )
        return next(matching, None)

    def _decide(self, event_type: str) -> bool:
        for wanted, rule in reversed(self._rules):
            if rule.fullmatch(event_type):
                return wanted
        return self._otherwise

    def __repr__(self) -> str:
        return f"Patterns({list(self.patterns)!r})"


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(
        r"\.".join(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*" if part == "*" else part for part in pattern.split("."))
    )
