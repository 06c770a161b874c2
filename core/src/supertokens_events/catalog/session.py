"""Sessions: begun, refreshed, ended, and refresh tokens used twice."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from supertokens_events.catalog.base import EventData

__all__ = [
    "SessionClaimsUpdated",
    "SessionCreated",
    "SessionDataUpdated",
    "SessionRefreshFailed",
    "SessionRefreshFailure",
    "SessionRefreshed",
    "SessionRevoked",
    "SessionTokenTheftDetected",
]

_EXAMPLE = {
    "session_handle": "b1d3b3f1-6f3b-4f19-8d0e-3f7a8a1c2b4d",
    "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
}


class SessionRefreshFailure(StrEnum):
    """Why a session could not be refreshed."""

    UNAUTHORISED = "unauthorised"
    """The session is gone, or the refresh token is missing, expired or not one of ours."""
    ERROR = "error"


class SessionCreated(EventData):
    """A session began. Source: ``session.create_new_session``."""

    event_type = "session.created"
    example = _EXAMPLE

    session_handle: str
    recipe_user_id: str


class SessionRefreshed(EventData):
    """A session's tokens were exchanged for new ones. Source: ``session.refresh_session``."""

    event_type = "session.refreshed"
    high_volume = True
    example = _EXAMPLE

    session_handle: str
    recipe_user_id: str


class SessionRevoked(EventData):
    """A session was ended, by its user or for them. Source: ``revoke_session``, ``revoke_multiple_sessions``,
    ``revoke_all_sessions_for_user``.

    Not told: sessions that expire, and sessions that the core ends by itself (account linking, user deletion).
    """

    event_type = "session.revoked"
    example = _EXAMPLE

    session_handle: str
    recipe_user_id: str | None = None


class SessionTokenTheftDetected(EventData):
    """A refresh token was used a second time: somebody else may hold it. Source: ``TokenTheftError`` of
    ``session.refresh_session``.
    """

    event_type = "session.token_theft_detected"
    example = _EXAMPLE

    session_handle: str
    recipe_user_id: str


class SessionRefreshFailed(EventData):
    """A session could not be refreshed. Source: ``UnauthorisedError`` of ``session.refresh_session``."""

    event_type = "session.refresh.failed"
    example = {"reason": "unauthorised"}

    reason: SessionRefreshFailure


class SessionClaimsUpdated(EventData):
    """What a session's access tokens say was changed by its handle. Source: ``session.merge_into_access_token_payload``.

    Off by default. Not told: changes to the session that a request came with, which the SDK makes all the time.
    """

    event_type = "session.claims.updated"
    high_volume = True
    example = {**_EXAMPLE, "keys": ["plan"], "removed_keys": ["trial"]}

    session_handle: str
    recipe_user_id: str | None = None
    keys: Sequence[str]
    """The top-level keys that were set, whether to another value or not."""
    removed_keys: Sequence[str] = ()
    """The top-level keys that were set to null, which takes them away."""


class SessionDataUpdated(EventData):
    """What an app keeps with a session was replaced. Source: ``session.update_session_data_in_database``."""

    event_type = "session.data.updated"
    high_volume = True
    example = _EXAMPLE

    session_handle: str
    recipe_user_id: str | None = None
