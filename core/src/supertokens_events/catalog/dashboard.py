"""The dashboard: admins who come and go, and those who are not let in. What admins do there says itself, with the actor
``admin``.
"""

from __future__ import annotations

from enum import StrEnum

from supertokens_events.catalog.base import EventData

__all__ = [
    "DashboardAccessDenial",
    "DashboardAccessDenied",
    "DashboardAdminSignInFailed",
    "DashboardAdminSignInFailure",
    "DashboardAdminSignedIn",
    "DashboardAdminSignedOut",
]

_ADMIN = {"email": "grace@example.com"}


class DashboardAdminSignInFailure(StrEnum):
    """Why somebody could not sign in to the dashboard."""

    WRONG_CREDENTIALS = "wrong_credentials"
    SUSPENDED = "suspended"
    """There are more dashboard users than the licence allows, and this is one of those beyond."""
    ERROR = "error"
    OTHER = "other"


class DashboardAccessDenial(StrEnum):
    """Why a request of the dashboard was refused."""

    UNAUTHORISED = "unauthorised"
    """No session at the dashboard, one that has ended, or the wrong API key."""
    NOT_ALLOWED = "not_allowed"
    """A dashboard user who is not among the ``admins`` tried to change something."""


class DashboardAdminSignedIn(EventData):
    """Somebody signed in to the dashboard. Source: the dashboard's API ``signin``."""

    event_type = "dashboard.admin.signed_in"
    example = _ADMIN

    email: str | None = None


class DashboardAdminSignInFailed(EventData):
    """Somebody tried to sign in to the dashboard and was refused. Source: the dashboard's API ``signin``."""

    event_type = "dashboard.admin.sign_in.failed"
    example = {"reason": "wrong_credentials", **_ADMIN}

    reason: DashboardAdminSignInFailure
    email: str | None = None
    """As it was typed."""


class DashboardAdminSignedOut(EventData):
    """Somebody signed out of the dashboard. Source: the dashboard's API ``signout``."""

    event_type = "dashboard.admin.signed_out"
    example = _ADMIN

    email: str | None = None


class DashboardAccessDenied(EventData):
    """A request of the dashboard was refused. Source: ``dashboard.should_allow_access``."""

    event_type = "dashboard.access.denied"
    example = {"reason": "unauthorised"}

    reason: DashboardAccessDenial
