"""A place that wants no more events. The outbox is what disables its sink, with the outcome that says so."""

from __future__ import annotations

from collections.abc import Sequence

from supertokens_events.log import get_logger
from supertokens_events.outbox import Settlement
from supertokens_events.sink import Outcome, Rejected

__all__ = ["disabling", "tell_disabled"]

log = get_logger(__name__)


def disabling(outcomes: Sequence[Outcome]) -> bool:
    """Whether one of them disables its sink."""
    return any(isinstance(outcome, Rejected) and outcome.disables for outcome in outcomes)


def tell_disabled(settlements: Sequence[Settlement]) -> None:
    """Log that a sink is disabled, once for all of its outcomes that say so."""
    told = {
        settlement.claim.delivery.sink: settlement.reason for settlement in reversed(settlements) if settlement.disables
    }
    for sink, reason in told.items():
        log.error("A sink is disabled; its deliveries wait until 'supertokens-events enable'.", sink=sink, error=reason)
