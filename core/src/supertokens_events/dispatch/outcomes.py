"""What a sink returned: outcomes that can be written down, or a breach of its contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from supertokens_events.sink import Delivered, Outcome, Rejected, Retry

__all__ = ["BrokenContract", "checked"]

_OUTCOMES = (Delivered, Retry, Rejected)
_PLAIN = (str, int, float, type(None))


class BrokenContract(Exception):
    """A sink returned something else than outcomes. The text says what is expected and tells nothing of what came."""


def checked(outcomes: Any, count: int) -> Sequence[Outcome]:
    """``outcomes``, when they are what :meth:`Sink.deliver` promises, so that they can be written down.

    Raises :class:`BrokenContract`.
    """
    if not isinstance(outcomes, Sequence) or len(outcomes) != count:
        raise BrokenContract(f"deliver() must return one outcome for each delivery, here a list of {count}")
    for outcome in outcomes:
        if not isinstance(outcome, _OUTCOMES):
            raise BrokenContract("an outcome is a Delivered, a Retry or a Rejected")
        if isinstance(outcome, Retry) and not isinstance(outcome.after, int | float | None):
            raise BrokenContract("Retry.after is a number of seconds, or None")
        if not _is_plain(outcome.detail):
            _check_detail(outcome.detail)
    return outcomes


def _is_plain(detail: Any) -> bool:
    """Whether it is so simple that JSON can hold it; true of nearly all."""
    return type(detail) is dict and all(type(key) is str and type(value) in _PLAIN for key, value in detail.items())


def _check_detail(detail: Mapping[str, Any]) -> None:
    try:
        json.dumps(dict(detail), default=str)
    except (TypeError, ValueError):
        raise BrokenContract("the detail of an outcome is a mapping of text to JSON values") from None
