"""Backfill: history for a sink that is new, made from the core's own list of users."""

from supertokens_events.backfill.filling import Filling, Refused
from supertokens_events.backfill.position import Include, Position, Range, next_position
from supertokens_events.backfill.tally import Tally

__all__ = ["Filling", "Include", "Position", "Range", "Refused", "Tally", "next_position"]
