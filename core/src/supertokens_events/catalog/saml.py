"""SAML: identity providers that people may come from, and what those said. A sign-in itself is told as any other, with
the method ``saml``.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from supertokens_events.catalog.base import EventData

__all__ = [
    "SamlClientFailure",
    "SamlClientRemoved",
    "SamlClientSaveFailed",
    "SamlClientSaved",
    "SamlLoginFailed",
    "SamlLoginFailure",
    "SamlLoginStarted",
    "SamlResponseRejected",
    "SamlResponseRejection",
    "SamlResponseVerified",
]

_CLIENT = {"client_id": "st_saml_0b6c1f9e-5a0d-4e0b-9c55-2f1f5c0d9a11"}


class SamlClientFailure(StrEnum):
    """Why an identity provider's settings were not stored."""

    INVALID_METADATA = "invalid_metadata"
    """What the identity provider says of itself cannot be read."""
    DUPLICATE_IDP = "duplicate_idp"
    """Another client of the tenant has this identity provider."""
    ERROR = "error"
    """Something raised. So does the SDK for some metadata that cannot be read."""
    OTHER = "other"


class SamlLoginFailure(StrEnum):
    """Why nobody was sent to the identity provider."""

    INVALID_CLIENT = "invalid_client"
    """No such SAML client, or it does not have the address to come back to."""
    GENERAL_ERROR = "general_error"
    """The app answered with a general error."""
    ERROR = "error"
    OTHER = "other"


class SamlResponseRejection(StrEnum):
    """Why what an identity provider said was not believed."""

    VERIFICATION_FAILED = "verification_failed"
    """Not signed with the identity provider's key, not for us, too late, or not a success."""
    INVALID_RELAY_STATE = "invalid_relay_state"
    """It does not belong to a sign-in that was begun here, or comes too late."""
    INVALID_CLIENT = "invalid_client"
    """The SAML client is gone."""
    IDP_LOGIN_DISALLOWED = "idp_login_disallowed"
    """Nobody had asked, and the SAML client takes only answers."""
    GENERAL_ERROR = "general_error"
    """The app answered with a general error."""
    ERROR = "error"
    OTHER = "other"


class SamlClientSaved(EventData):
    """An identity provider's settings were stored, whether they differ or not.

    Source: ``saml.create_or_update_client``.
    """

    event_type = "saml.client.saved"
    example = {
        **_CLIENT,
        "created": True,
        "idp_entity_id": "https://idp.example.com",
        "redirect_uris": ["https://app.example.com/auth/callback/saml"],
        "allow_idp_initiated_login": False,
        "enable_request_signing": True,
    }

    client_id: str
    created: bool | None = None
    """Whether it is a new one. Left out when it could not be read before."""
    idp_entity_id: str
    redirect_uris: Sequence[str]
    allow_idp_initiated_login: bool
    """Whether people may come without having been sent."""
    enable_request_signing: bool


class SamlClientSaveFailed(EventData):
    """A backend could not store an identity provider's settings. Source: ``saml.create_or_update_client``."""

    event_type = "saml.client.save.failed"
    example = {"reason": "duplicate_idp", **_CLIENT}

    reason: SamlClientFailure
    client_id: str | None = None
    """If it was said."""


class SamlClientRemoved(EventData):
    """Nobody can sign in through an identity provider any more. Source: ``saml.remove_client``."""

    event_type = "saml.client.removed"
    example = _CLIENT

    client_id: str


class SamlLoginStarted(EventData):
    """Somebody was sent to an identity provider to sign in. Source: ``saml.create_login_request``."""

    event_type = "saml.login.started"
    high_volume = True
    example = _CLIENT

    client_id: str


class SamlLoginFailed(EventData):
    """Somebody could not be sent to an identity provider. Source: ``saml.login_get``, or ``create_login_request`` called by
    a backend.
    """

    event_type = "saml.login.failed"
    example = {"reason": "invalid_client", **_CLIENT}

    reason: SamlLoginFailure
    client_id: str
    """As it was asked for; there may be no such client."""


class SamlResponseVerified(EventData):
    """An identity provider vouched for somebody; the sign-in itself is still to come.

    Source: ``saml.verify_saml_response``. Who it is shows when the code it gave is used: ``user.created`` or
    ``user.signed_in``, or ``user.sign_in.failed``.
    """

    event_type = "saml.response.verified"
    example = {"idp_initiated": False}

    idp_initiated: bool
    """Whether it came without having been asked for."""


class SamlResponseRejected(EventData):
    """What claims to come from an identity provider was not believed. Source: ``saml.callback_post``, or
    ``verify_saml_response`` called by a backend.
    """

    event_type = "saml.response.rejected"
    example = {"reason": "verification_failed", "idp_initiated": False}

    reason: SamlResponseRejection
    idp_initiated: bool
    """Whether it came without having been asked for."""
