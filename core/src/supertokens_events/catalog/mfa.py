"""Multi-factor authentication: factors set up, proven and asked for, and authenticator apps. No code and no secret is
told.
"""

from __future__ import annotations

from enum import StrEnum

from supertokens_events.catalog.base import EventData

__all__ = [
    "MfaChallengeFailed",
    "MfaChallengeFailure",
    "MfaChallengePassed",
    "MfaEnrolled",
    "MfaEnrollmentFailed",
    "MfaEnrollmentFailure",
    "MfaFactorCompleted",
    "MfaRequiredFactorsChange",
    "MfaRequiredFactorsChanged",
    "MfaTotpDeviceCreated",
    "MfaTotpDeviceRemoved",
    "MfaTotpDeviceRenamed",
]

_DEVICE = {"device_name": "Ada's phone"}
_ATTEMPTS = {"failed_attempts": 2, "max_attempts": 5}


class MfaChallengeFailure(StrEnum):
    """Why a code of an authenticator app was refused."""

    INVALID_CODE = "invalid_code"
    """Wrong, too late or used before."""
    LIMIT_REACHED = "limit_reached"
    """Too many wrong codes: none is looked at until some time has passed."""
    NO_DEVICE = "no_device"
    """The user has no authenticator app."""
    ERROR = "error"
    OTHER = "other"


class MfaEnrollmentFailure(StrEnum):
    """Why an authenticator app could not be set up."""

    INVALID_CODE = "invalid_code"
    """The app shows another code, or this one was used before."""
    LIMIT_REACHED = "limit_reached"
    """Too many wrong codes: none is looked at until some time has passed."""
    NO_DEVICE = "no_device"
    """The user has no authenticator app of this name."""
    ERROR = "error"
    OTHER = "other"


class MfaRequiredFactorsChange(StrEnum):
    """Which way the factors that a user must have changed."""

    ADDED = "added"
    REMOVED = "removed"


class MfaEnrolled(EventData):
    """A user has one more factor to sign in with.

    Source: ``totp.verify_device`` the first time for a device; ``multifactorauth.mark_factor_as_complete_in_session``
    for a passkey, password, code or provider with which a user was created and linked to the session's.
    """

    event_type = "mfa.enrolled"
    example = {"factor_id": "totp", **_DEVICE}

    factor_id: str
    """The SDK's: ``totp``, ``otp-email``, ``webauthn``, or one of the app's own."""
    device_name: str | None = None
    """Of an authenticator app."""


class MfaFactorCompleted(EventData):
    """A user proved one more factor in a session that had another already.

    Source: ``multifactorauth.mark_factor_as_complete_in_session``. The first factor of a session is its sign-in.
    """

    event_type = "mfa.factor.completed"
    example = {"factor_id": "totp", "requirements_met": True}

    factor_id: str
    requirements_met: bool
    """Whether the session has all the factors now that it must have."""


class MfaChallengeFailed(EventData):
    """A code of an authenticator app was refused. Source: ``totp.verify_totp``."""

    event_type = "mfa.challenge.failed"
    example = {"factor_id": "totp", "reason": "invalid_code", **_ATTEMPTS}

    factor_id: str
    reason: MfaChallengeFailure
    failed_attempts: int | None = None
    """How many wrong codes there were so far, of ``max_attempts``."""
    max_attempts: int | None = None
    retry_after_ms: int | None = None
    """How long no code is looked at, in milliseconds, when the limit is reached."""


class MfaChallengePassed(EventData):
    """A code of an authenticator app was right, and no session has anything of it. Source: ``totp.verify_totp`` called by a
    backend.

    In the frontend API the factor counts for the session: ``mfa.factor.completed`` says so.
    """

    event_type = "mfa.challenge.passed"
    high_volume = True
    example = {"factor_id": "totp"}

    factor_id: str


class MfaEnrollmentFailed(EventData):
    """An authenticator app could not be set up. Source: ``totp.verify_device``."""

    event_type = "mfa.enrollment.failed"
    example = {"factor_id": "totp", "reason": "invalid_code", **_DEVICE, **_ATTEMPTS}

    factor_id: str
    reason: MfaEnrollmentFailure
    device_name: str
    failed_attempts: int | None = None
    """How many wrong codes there were so far, of ``max_attempts``."""
    max_attempts: int | None = None
    retry_after_ms: int | None = None
    """How long no code is looked at, in milliseconds, when the limit is reached."""


class MfaRequiredFactorsChanged(EventData):
    """A user must have one factor more, or one less, from now on.

    Source: ``multifactorauth.add_to_required_secondary_factors_for_user``,
    ``remove_from_required_secondary_factors_for_user``.
    """

    event_type = "mfa.required_factors.changed"
    example = {"factor_id": "totp", "change": "added"}

    factor_id: str
    change: MfaRequiredFactorsChange


class MfaTotpDeviceCreated(EventData):
    """An authenticator app was begun to be set up; ``mfa.enrolled`` says when it works. Source: ``totp.create_device``."""

    event_type = "mfa.totp_device.created"
    example = _DEVICE

    device_name: str


class MfaTotpDeviceRenamed(EventData):
    """An authenticator app has another name. Source: ``totp.update_device``."""

    event_type = "mfa.totp_device.renamed"
    example = {**_DEVICE, "previous_device_name": "TOTP Device 0"}

    device_name: str
    previous_device_name: str


class MfaTotpDeviceRemoved(EventData):
    """An authenticator app can no longer be used. Source: ``totp.remove_device``."""

    event_type = "mfa.totp_device.removed"
    example = _DEVICE

    device_name: str
