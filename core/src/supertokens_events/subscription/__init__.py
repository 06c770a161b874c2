"""Which events a sink wants: type patterns, tenants and field conditions, compiled once and matched when an event is
appended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from supertokens_events.subscription.conditions import OBJECTS, ConditionError, Conditions
from supertokens_events.subscription.patterns import Patterns, check_pattern

__all__ = ["OBJECTS", "ConditionError", "Conditions", "Patterns", "Subscription", "check_pattern"]


@dataclass(frozen=True)
class Subscription:
    """What one sink wants. ``tenants`` empty: all of them. ``where`` is about the event as it is stored."""

    patterns: Patterns
    tenants: Sequence[str] = ()
    where: Conditions | None = None

    def matches(self, event_type: str, tenant_id: str | None) -> bool:
        """Whether an event of this type and tenant goes to the sink, if it also fulfils :attr:`where`."""
        return (not self.tenants or tenant_id in self.tenants) and self.patterns.matches(event_type)
