"""One thing that is so in the core, or is not, and was told otherwise or not at all."""

from __future__ import annotations

from typing import NamedTuple

from supertokens_events.catalog import EventData
from supertokens_events.core_api import Fact, event_of
from supertokens_events.event import Event
from supertokens_events.outbox import Change

__all__ = ["PURPOSE", "Difference", "Same"]

PURPOSE = "reconcile"

Same = tuple[EventData, str | None, str | None]
"""What makes two differences the same one."""


class Difference(NamedTuple):
    """The event that is missing, as a fact. ``at``: the sequence of what was told last about it. ``change``: what the record
    is to be told when it is said.
    """

    fact: Fact
    at: int
    change: Change

    @property
    def same(self) -> Same:
        """Equal for the same difference, seen twice."""
        return self.fact.data, self.fact.user_id, self.fact.tenant_id

    def event(self, source: str | None) -> Event:
        """The event that says it. Two who find the same make the same event."""
        key = (str(self.at), self.fact.data.model_dump_json())
        return event_of(self.fact, key, origin=PURPOSE, purpose=PURPOSE, source=source)
