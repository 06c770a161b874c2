"""User metadata: that it changed, and under which keys. Its values are never told."""

from __future__ import annotations

from collections.abc import Sequence

from supertokens_events.catalog.base import EventData

__all__ = ["UserMetadataCleared", "UserMetadataUpdated"]


class UserMetadataUpdated(EventData):
    """Metadata was stored for a user, or some keys of it taken away. Source: ``usermetadata.update_user_metadata``."""

    event_type = "user.metadata.updated"
    example = {"keys": ["first_name", "plan"], "removed_keys": ["trial_ends"]}

    keys: Sequence[str]
    """The top-level keys that were set, whether to another value or not."""
    removed_keys: Sequence[str] = ()
    """The top-level keys that were set to null, which takes them away."""


class UserMetadataCleared(EventData):
    """All metadata of a user was taken away, if there was any. Source: ``usermetadata.clear_user_metadata``."""

    event_type = "user.metadata.cleared"
    example = {}
