"""When to try again: a schedule of waits, its jitter, and how durations are written in TOML."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["Duration", "RetryPolicy", "parse_duration"]

_LONGEST = 100 * 365 * 86400.0  # what Python's own timeouts can hold, and more than anybody means
_LEAST_PATIENCE = 1.0  # seconds: a place that asks for patience and says "0" is not asked again at once
_CATCHING_UP = 0.5  # of the last wait: more than this is not jitter but a dispatcher that was away
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def parse_duration(value: object) -> float:
    """Seconds from a number of seconds or a text such as ``"500ms"``, ``"5s"``, ``"30m"``, ``"2h"``, ``"7d"``.

    Raises ``ValueError`` for anything else, such as a negative number or more than a hundred years.
    """
    seconds = _seconds(value)
    if seconds is None or not 0 <= seconds <= _LONGEST:
        raise ValueError(f"expected a duration such as '500ms', '5s', '30m', '2h' or '7d', got {value!r}")
    return float(seconds)


def _seconds(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return float(match[1]) * _UNITS[match[2]]
    return None


Duration = Annotated[float, BeforeValidator(parse_duration)]


class RetryPolicy(BaseModel):
    """A sink's schedule. A sink type brings its own; ``retry`` in a sink's TOML table may change it.

    ``schedule`` holds the waits in seconds *between* attempts, so there are ``len(schedule) + 1`` attempts. The default
    is ten attempts over 75 h 35 m 5 s, as Standard Webhooks suggests ("multiple days").
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: tuple[Duration, ...] = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    jitter: float = Field(default=0.2, ge=0, le=1)
    max_retry_after: Duration = 86400.0

    @property
    def attempts(self) -> int:
        """How many attempts a delivery has before it is given up."""
        return len(self.schedule) + 1

    @property
    def span(self) -> float:
        """Seconds from the first attempt to the last."""
        return sum(self.schedule)

    @property
    def patience(self) -> float:
        """Seconds after the first try when a place that only asks for patience is asked no more; and for how long a delivery
        waits for a place that is away.

        At least ``max_retry_after``: a short schedule, or one without a wait, is about an event that fails. What has not even
        been tried does not fail.
        """
        return max(self.span, self.max_retry_after)

    def wait_after(
        self,
        attempts: int,
        retry_after: float | None = None,
        *,
        age: float | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> float | None:
        """Seconds to wait when ``attempts`` attempts were used up; ``None`` when the schedule is at its end.

        The wait is the schedule's, moved by ±``jitter``. The last one makes up for what the others were moved, if ``age``
        says how many seconds ago the first attempt began: the last attempt comes at the end of :attr:`span`. A receiver's
        ``retry_after`` (seconds, capped at ``max_retry_after``) makes a wait longer, never shorter: the schedule's span is
        what was promised.
        """
        if attempts > len(self.schedule):
            return None
        planned = self.schedule[max(attempts - 1, 0)] if self.schedule else 0.0
        wait = planned * uniform(1 - self.jitter, 1 + self.jitter)
        if age is not None and attempts == len(self.schedule):
            wait = min(max(self.span - age, planned * (1 - _CATCHING_UP)), planned * (1 + _CATCHING_UP))
        return max(wait, min(retry_after or 0.0, self.max_retry_after))

    def wait_uncounted(self, attempts: int, retry_after: float | None = None) -> float:
        """Seconds to wait after a try that did not use up an attempt: the receiver asked for patience
        (``Retry.counts``).

        What it asked for, up to ``max_retry_after``, else the schedule's wait; never less than a second, as nothing
        else ends such tries.
        """
        wait = self.wait_after(max(attempts, 1)) if retry_after is None else retry_after
        return max(_LEAST_PATIENCE, min(self.max_retry_after if wait is None else wait, self.max_retry_after))
