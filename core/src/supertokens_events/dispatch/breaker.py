"""The breaker of one lane: when a place seems to be away, only a probe goes out, and what waits uses up no attempts.

The schedule is for single events that fail, the breaker for a place that is away. A first failure makes the lane only
suspect that, and a probe that fails confirms it: an event that fails by itself, over and over, does not hold the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from supertokens_events.outbox import Breaker as OpenBreaker
from supertokens_events.outbox import Claim
from supertokens_events.sink import Outcome, Retry

__all__ = ["Breaker"]

_FAILURES = 5  # different deliveries that fail in a row, if the sink does not say that the place is away
_FIRST_PROBE = 0.5  # seconds until a probe, doubling
_LONGEST_PROBE = 10.0  # seconds; and after the first minutes of an outage,
_OF_THE_OUTAGE = 1 / 120  # of its length, up to
_RARELY = 60.0  # seconds
_LONGEST_PATIENCE = 3600.0  # seconds: whoever asks for more has one event in mind, not all of them


class Breaker:
    """Closed, suspecting, or open. ``open`` is what the outbox knows too; ``closing``: a call has succeeded, and the outbox is
    about to know.

    A probe is a delivery that is due, the next one. So the suspicion that a failure raises may last until its own next attempt,
    when nothing else is due; and that is right: as long as nothing is due, nothing waits behind the breaker, and what failed
    keeps to its schedule. Were it brought forward, one event that always fails would be asked for every few seconds without
    using up attempts. The next event that is stored is the probe, half a second after the failure or at once. An open breaker
    always has something to probe with: the delivery whose probe failed is due.
    """

    def __init__(self) -> None:
        self.open = False
        self.closing = False
        self._suspecting = False
        self._failed: set[str] = set()
        self._failing_since = 0.0
        self._probe_at = 0.0
        self._probes = 0

    @property
    def holds(self) -> bool:
        """Whether nothing but a probe may go out."""
        return self.open or self._suspecting

    @property
    def failing_for(self) -> float:
        """Seconds since the first of the tries that failed began."""
        return anyio.current_time() - self._failing_since

    @property
    def probe_in(self) -> float:
        """Seconds until a probe is due, as far as this lane knows."""
        return max(0.0, self._probe_at - anyio.current_time())

    def heard(self, claims: Sequence[Claim], outcomes: Sequence[Outcome], began: float) -> bool:
        """Take note of what a call that began then came to; returns whether an open breaker is to be closed."""
        failures = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
        if len(failures) < len(outcomes):
            self._failed.clear()
            self._suspecting = False
            closes, self.closing = self.open and not self.closing, self.open
            return closes
        if not self._failed and not self.open:  # else it is known since when
            self._failing_since = began
        self._failed.update(claim.delivery.event_id for claim in claims)
        if not self.holds and (len(self._failed) >= _FAILURES or any(failure.away for failure in failures)):
            self._suspecting = True
            self._next_probe(failures)
        return False

    def probe_failed(self, outcomes: Sequence[Outcome]) -> float:
        """It is away, then; returns the seconds until the next probe. Only once the outbox knows is the breaker open."""
        self._suspecting = not self.open
        self._probes += 1
        self._next_probe([outcome for outcome in outcomes if isinstance(outcome, Retry)])
        return self.probe_in

    def is_news_that_it_is_open(self) -> bool:
        """The outbox knows that it is open; returns whether it was not before."""
        was_open, self.open, self._suspecting = self.open, True, False
        return not was_open

    def found_open(self, stored: OpenBreaker) -> None:
        """Another dispatcher, or an earlier life of this one, has opened it."""
        self.open, self._suspecting = True, False
        self._failing_since = anyio.current_time() - stored.failing_for
        self._probes = stored.probes

    def closed(self) -> None:
        """The place is there, and the outbox knows."""
        self.open, self.closing, self._suspecting, self._probes = False, False, False, 0
        self._failed.clear()

    def _next_probe(self, failures: Sequence[Retry]) -> None:
        asked = min(max((failure.after or 0.0 for failure in failures), default=0.0), _LONGEST_PATIENCE)
        longest = min(max(_LONGEST_PROBE, self.failing_for * _OF_THE_OUTAGE), _RARELY)
        wait = min(_FIRST_PROBE * 2.0 ** min(self._probes, 16), longest)
        self._probe_at = anyio.current_time() + max(wait, asked)
