"""Erasure: what the outbox had stored of a person is gone."""

from __future__ import annotations

from collections.abc import Sequence

from supertokens_events.catalog.base import EventData

__all__ = ["UserDataErased"]


class UserDataErased(EventData):
    """What was stored of a user was erased from the outbox, by a person. Source: ``supertokens-events erase``.

    Whoever got that user's events may have to erase too. It has ids and counts, and nothing else of the user.
    """

    event_type = "user.data_erased"
    example = {
        "user_ids": ["5d2f7c14-3b8e-4f0a-8e21-9a6c0d4b7e35", "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1"],
        "events": 42,
        "deliveries": 1,
        "attempts": 51,
        "records": 3,
    }

    user_ids: Sequence[str]
    """All ids of that user that were found: the event's ``user_id``, those linked with it, and mapped ones."""
    events: int = 0
    """How many events have lost their data."""
    deliveries: int = 0
    """How many of their deliveries had not gone out, and will not."""
    attempts: int = 0
    """Of how many attempts what the sink said is gone."""
    records: int = 0
    """How many rows are gone of what was kept to compare with the core."""
