"""A place that wants no more events. The outbox is what disables its sink, with the outcome that says so."""

from __future__ import annotations

from collections.abc import Sequence

from supertokens_events.log import get_logger
from supertokens_events.sink import Outcome, Rejected

__all__ = ["heeds"]

log = get_logger(__name__)


def heeds(outcomes: Sequence[Outcome], sink: str) -> bool:
    """Whether one of them disables ``sink``; then that is logged."""
    for outcome in outcomes:
        if isinstance(outcome, Rejected) and outcome.disables:
            log.error(
                "A sink is disabled; its deliveries wait until 'supertokens-events enable'.",
                sink=sink,
                error=outcome.reason,
            )
            return True
    return False
