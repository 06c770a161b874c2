"""Mapped user ids: another name for a user, which the SDK then says instead of its own."""

from __future__ import annotations

from enum import StrEnum

from supertokens_events.catalog.base import EventData

__all__ = ["UserIdMappingCreated", "UserIdMappingDeleted", "UserIdMappingInfoChanged", "UserIdType"]


class UserIdType(StrEnum):
    """Which of a user's two ids an id is."""

    SUPERTOKENS = "supertokens"
    EXTERNAL = "external"
    ANY = "any"
    """One or the other: whoever asked did not say."""


class UserIdMappingCreated(EventData):
    """A user got an id of the app's own, which every later event says. Source: ``create_user_id_mapping``."""

    event_type = "user.id_mapping.created"
    example = {"supertokens_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1", "external_user_id": "customer-4711"}

    supertokens_user_id: str
    external_user_id: str


class UserIdMappingDeleted(EventData):
    """A user lost the id of the app's own, and has that of SuperTokens again. Source: ``delete_user_id_mapping``."""

    event_type = "user.id_mapping.deleted"
    example = {"user_id_type": "external"}

    user_id_type: UserIdType
    """What the event's ``user_id`` is."""


class UserIdMappingInfoChanged(EventData):
    """The note that an app keeps with a mapped id was replaced, or taken away. Source:
    ``update_or_delete_user_id_mapping_info``.
    """

    event_type = "user.id_mapping.info_changed"
    example = {"user_id_type": "supertokens", "removed": False}

    user_id_type: UserIdType
    """What the event's ``user_id`` is."""
    removed: bool
