"""What an HTTP answer means: a status becomes an outcome, ``Retry-After`` a wait, a body a short text."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx

from supertokens_events.sink import Delivered, Outcome, Rejected, Retry

__all__ = ["Answer", "outcome_of", "parse_retry_after"]

EXCERPT = 500
"""How many characters of an answer are kept with the attempt."""

_LONGEST_WAIT = 366 * 86400.0
_AWAY = (502, 503, 504)  # said by what stands before the place, or by the place of itself; 500 may be one event's fault
_LONG_HEADER = 200  # characters of a header that are kept
# What helps two people to find the same request in two logs. Never a cookie, nor anything that could let somebody in.
_KEPT_HEADERS = {
    name.encode("ascii"): name
    for name in (
        *("server", "retry-after"),
        *("request-id", "x-request-id", "x-correlation-id", "traceparent"),
        *("cf-ray", "x-amzn-requestid", "x-amz-cf-id", "x-azure-ref", "x-cloud-trace-context", "x-vercel-id"),
    )
}
_SHORTEST_SECRET = 8  # hiding shorter ones would only riddle the text


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``body`` holds at most ``MAX_BODY`` bytes, as they came over the wire."""

    host: str
    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        return f"{self.host} answered {_named(self.status)}"

    def excerpt(self, hide: Collection[str] = ()) -> str:
        """The body in at most 500 printable characters, without the texts in ``hide``: a receiver may echo a header."""
        if not self.body or "content-encoding" in self.headers:
            return ""
        return _printable(self.body.decode("utf-8", "replace"), hide, EXCERPT)

    def detail(self, hide: Collection[str] = ()) -> dict[str, Any]:
        """What is kept with the attempt: the status, and where there are any the excerpt and a few headers."""
        detail: dict[str, Any] = {"status": self.status}
        if excerpt := self.excerpt(hide):
            detail["answer"] = excerpt
        if headers := self._kept_headers(hide):
            detail["headers"] = headers
        return detail

    def _kept_headers(self, hide: Collection[str]) -> dict[str, str]:
        return {
            kept: _printable(value.decode("latin-1"), hide, _LONG_HEADER)
            for name, value in self.headers.raw
            if (kept := _KEPT_HEADERS.get(name.lower()))
        }


def outcome_of(answer: Answer, *, hide: Collection[str] = (), now: Callable[[], float] = time.time) -> Outcome:
    """What ``answer`` came to: only 2xx is success, and redirects are failures (Standard Webhooks, "Delivery").

    410 is final and disables the sink; 429 asks for patience and does not use up an attempt; everything else is tried
    again, a 404 too: somebody will fix the receiver. 429, 502, 503 and 504 say that the place is away. ``Retry-After`` is
    heeded wherever it stands. ``hide`` holds secrets that must not be kept with the answer.
    """
    detail = answer.detail(hide)
    after = parse_retry_after(answer.headers.get("retry-after"), now())
    match answer.status // 100, answer.status:
        case 2, _:
            return Delivered(detail)
        case 3, _:
            return Retry(f"{answer}; redirects are not followed: configure the final address", after, detail=detail)
        case _, 410:
            return Rejected(f"{answer}: it wants no more events", detail, disables=True)
        case _, 429:
            return Retry(f"{answer}", after, counts=False, away=True, detail=detail)
        case _:
            return Retry(f"{answer}", after, away=answer.status in _AWAY, detail=detail)


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds from ``Retry-After``, which is a number of them or an HTTP date (RFC 9110, 10.2.3); else ``None``.

    A date that has passed is 0; nothing is longer than a year. ``now`` is in seconds since the epoch.
    """
    text = (value or "").strip()
    wait = float(text) if text.isascii() and text.isdigit() else _seconds_until(text, now)
    return None if wait is None else min(max(wait, 0.0), _LONGEST_WAIT)


def _seconds_until(date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):  # the parser fails in all these ways
        return None


def _printable(text: str, hide: Collection[str], length: int) -> str:
    for secret in hide:
        text = text.replace(secret, "***") if len(secret) >= _SHORTEST_SECRET else text
    short = " ".join(text.split())[:length]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in short)


def _named(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
