"""What Segment's answer means for a batch."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from supertokens_events.http import Answer, parse_retry_after
from supertokens_events.sink import Delivered, Outcome, Rejected, Retry

__all__ = ["Refused", "meaning"]

_OF_ONE_EVENT = (400, 413, 422)
_KEY = (401, 403)
_LATER = (408, 410, 429, 460)  # these and nearly all of 5xx are what Segment's libraries try again
_NEVER = (501, 505)
_MAY_BE_ONE_EVENT = 500
_SUCCESS = ("success", "ok")
_ERROR = ("error", "errors")


@dataclass(frozen=True, slots=True)
class Refused:
    """Something in the batch, or its size, is why it was not taken."""

    reason: str
    detail: dict[str, Any] = field(default_factory=dict)


def meaning(answer: Answer, *, hide: Collection[str], now: float) -> Outcome | Refused:
    """The outcome of every event in the batch, or :class:`Refused` when it is to be looked for in parts of it.

    Segment also answers 200 for events that it drops afterwards: those are kept from it before. What says 200 and is not
    Segment is not believed. ``hide`` holds secrets that must not be kept; ``now`` is in seconds since the epoch.
    """
    detail = answer.detail(hide)
    after = _wait(answer, now)
    match answer.status // 100, answer.status:
        case 2, status:
            if _is_from_segment(answer):
                return Delivered({"status": status})
            return Retry(
                f"{answer}, but what it said is not Segment's: what stands there?", after, away=True, detail=detail
            )
        case _, status if status in _OF_ONE_EVENT:
            return Refused(f"{answer}", detail)
        case _, status if status in _KEY:
            return Retry(f"{answer}: is write_key the key of this source?", after, away=True, detail=detail)
        case 3, _:
            reason = f"{answer}; redirects are not followed: configure the final address"
            return Retry(reason, after, away=True, detail=detail)
        case _, 429:
            return Retry(f"{answer}", after, counts=False, away=True, detail=detail)
        case family, status if status in _LATER or (family == 5 and status not in _NEVER):
            return Retry(f"{answer}", after, away=status != _MAY_BE_ONE_EVENT, detail=detail)
        case _:
            return Rejected(f"{answer}: is endpoint that of Segment?", detail, disables=True)


def _is_from_segment(answer: Answer) -> bool:
    """Whether it said success, or nothing against it: ``{"success": true}``, ``{}``, "ok", nothing at all. An object that
    names an error, or a success that is not ``true``, is none, whatever else it says.
    """
    text = answer.body.strip()
    if not text:
        return True
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return text.lower() == b"ok"
    if isinstance(said, dict):
        return all(said.get(name, True) is True for name in _SUCCESS) and not any(said.get(name) for name in _ERROR)
    return isinstance(said, str) and said.lower() == "ok"


def _wait(answer: Answer, now: float) -> float | None:
    """Seconds that it asks for; ``X-RateLimit-Reset`` says the same as ``Retry-After``."""
    wait = parse_retry_after(answer.headers.get("retry-after"), now)
    return parse_retry_after(answer.headers.get("x-ratelimit-reset"), now) if wait is None else wait
