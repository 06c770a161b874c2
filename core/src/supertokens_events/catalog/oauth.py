"""The app as an OAuth2 provider: the clients it knows, the users who let them in, the tokens they get. No secret, code,
challenge, token or address to be sent to is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from supertokens_events.catalog.base import EventData

__all__ = [
    "OAuthAuthorizationCompleted",
    "OAuthAuthorizationFailed",
    "OAuthAuthorizationFailure",
    "OAuthClientCreateFailed",
    "OAuthClientCreated",
    "OAuthClientDeleted",
    "OAuthClientFailure",
    "OAuthClientSecretRotated",
    "OAuthClientTokensRevoked",
    "OAuthClientUpdateFailed",
    "OAuthClientUpdated",
    "OAuthConsentAccepted",
    "OAuthConsentRejected",
    "OAuthGrantType",
    "OAuthLoginAccepted",
    "OAuthLoginRejected",
    "OAuthLogoutAccepted",
    "OAuthLogoutRejected",
    "OAuthRejection",
    "OAuthSessionTokensRevoked",
    "OAuthTokenIssueFailed",
    "OAuthTokenIssueFailure",
    "OAuthTokenIssued",
    "OAuthTokenRevokeFailed",
    "OAuthTokenRevokeFailure",
    "OAuthTokenRevoked",
    "OAuthTokenType",
]

_CLIENT = {"client_id": "stcl_0b6c1f9e-5a0d-4e0b-9c55-2f1f5c0d9a11"}
_SCOPES = {"scopes": ["openid", "email", "offline_access"]}
_SESSION = {"session_handle": "9b2c7a40-61c5-4c0e-8f3d-2f0f7a6d1e52"}
_RECIPE_USER = {"recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1"}


class OAuthGrantType(StrEnum):
    """What a token was given for."""

    AUTHORIZATION_CODE = "authorization_code"
    REFRESH_TOKEN = "refresh_token"
    CLIENT_CREDENTIALS = "client_credentials"
    """The client acts for itself: there is no user."""
    IMPLICIT = "implicit"
    """A user's authorization gave the tokens at once, without a code."""
    OTHER = "other"


class OAuthTokenType(StrEnum):
    """A kind of token."""

    ACCESS_TOKEN = "access_token"
    ID_TOKEN = "id_token"
    REFRESH_TOKEN = "refresh_token"


class OAuthClientFailure(StrEnum):
    """Why a client's settings were not stored."""

    ALREADY_EXISTS = "already_exists"
    """There is a client with this id."""
    INVALID_REDIRECT_URI = "invalid_redirect_uri"
    INVALID_REQUEST = "invalid_request"
    """Settings that make no sense."""
    ERROR = "error"
    """Something raised. So does the SDK when there is no client to update."""
    OTHER = "other"


class OAuthRejection(StrEnum):
    """Why a login or a consent was refused."""

    LOGIN_REQUIRED = "login_required"
    """The client wanted no questions asked, and there was no session."""
    CONSENT_REQUIRED = "consent_required"
    INTERACTION_REQUIRED = "interaction_required"
    ACCESS_DENIED = "access_denied"
    INVALID_REQUEST = "invalid_request"
    """Such as a ``max_age`` that is no number."""
    OTHER = "other"
    """A reason of the app's own."""


class OAuthAuthorizationFailure(StrEnum):
    """Why a client was not let in. The names are those of OAuth2 and OpenID Connect, but for the last three."""

    INVALID_REQUEST = "invalid_request"
    """An unknown client, an address it did not register, a user who is gone, or a request that makes no sense."""
    INVALID_CLIENT = "invalid_client"
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    UNSUPPORTED_RESPONSE_TYPE = "unsupported_response_type"
    INVALID_SCOPE = "invalid_scope"
    INVALID_STATE = "invalid_state"
    """The ``state`` is too short to be safe."""
    LOGIN_REQUIRED = "login_required"
    """The client wanted no questions asked, and there was no session."""
    CONSENT_REQUIRED = "consent_required"
    INTERACTION_REQUIRED = "interaction_required"
    ACCESS_DENIED = "access_denied"
    """Refused, or a step of the authorization came a second time or from another browser."""
    SERVER_ERROR = "server_error"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"
    GENERAL_ERROR = "general_error"
    """The app answered with a general error."""
    ERROR = "error"
    OTHER = "other"


class OAuthTokenIssueFailure(StrEnum):
    """Why no token was given. The names are those of OAuth2, but for the last three."""

    INVALID_CLIENT = "invalid_client"
    """An unknown client, or a wrong secret."""
    INVALID_GRANT = "invalid_grant"
    """A code or refresh token that is unknown, used, revoked or another client's, or has expired."""
    UNAUTHORIZED_CLIENT = "unauthorized_client"
    """The client may not ask in this way."""
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    INVALID_SCOPE = "invalid_scope"
    INVALID_REQUEST = "invalid_request"
    SERVER_ERROR = "server_error"
    GENERAL_ERROR = "general_error"
    """The app answered with a general error."""
    ERROR = "error"
    OTHER = "other"


class OAuthTokenRevokeFailure(StrEnum):
    """Why a token was not made void."""

    INVALID_CLIENT = "invalid_client"
    """An unknown client, a wrong secret, or another client's refresh token."""
    INVALID_REQUEST = "invalid_request"
    GENERAL_ERROR = "general_error"
    """The app answered with a general error."""
    ERROR = "error"
    OTHER = "other"


# Clients


class OAuthClientCreated(EventData):
    """An OAuth2 client exists that did not exist before. Source: ``oauth2provider.create_oauth2_client``."""

    event_type = "oauth.client.created"
    example = {
        **_CLIENT,
        "client_name": "Calendar",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        **_SCOPES,
        "redirect_uris": ["https://calendar.example.com/callback"],
        "token_endpoint_auth_method": "client_secret_basic",
    }

    client_id: str
    client_name: str = ""
    grant_types: Sequence[str] = ()
    response_types: Sequence[str] = ()
    scopes: Sequence[str] = ()
    """What it may ask for."""
    redirect_uris: Sequence[str] = ()
    token_endpoint_auth_method: str | None = None
    """``none`` is a client that cannot keep a secret, such as an app in a browser."""


class OAuthClientCreateFailed(EventData):
    """A backend could not create an OAuth2 client. Source: ``oauth2provider.create_oauth2_client``."""

    event_type = "oauth.client.create.failed"
    example = {"reason": "invalid_redirect_uri", "client_name": "Calendar"}

    reason: OAuthClientFailure
    client_id: str | None = None
    """If the app gives clients ids of its own."""
    client_name: str | None = None


class OAuthClientUpdated(EventData):
    """An OAuth2 client's settings were stored, whether they differ or not. Source:
    ``oauth2provider.update_oauth2_client``.
    """

    event_type = "oauth.client.updated"
    example = {**_CLIENT, "client_name": "Calendar", "fields": ["client_name", "redirect_uris"]}

    client_id: str
    client_name: str = ""
    fields: Sequence[str]
    """The settings that were stored. A new secret is told by ``oauth.client.secret_rotated``."""


class OAuthClientUpdateFailed(EventData):
    """A backend could not store an OAuth2 client's settings. Source: ``oauth2provider.update_oauth2_client``."""

    event_type = "oauth.client.update.failed"
    example = {"reason": "invalid_redirect_uri", **_CLIENT}

    reason: OAuthClientFailure
    client_id: str
    """As it was asked for; there may be no such client."""


class OAuthClientSecretRotated(EventData):
    """An OAuth2 client has another secret. Source: ``oauth2provider.update_oauth2_client``."""

    event_type = "oauth.client.secret_rotated"
    example = {**_CLIENT, "client_name": "Calendar"}

    client_id: str
    client_name: str = ""


class OAuthClientDeleted(EventData):
    """An OAuth2 client is gone, and with it all its tokens. Source: ``oauth2provider.delete_oauth2_client``."""

    event_type = "oauth.client.deleted"
    example = {**_CLIENT, "client_name": "Calendar"}

    client_id: str
    client_name: str | None = None
    """Left out when it could not be read before; then there may have been no such client."""


class OAuthClientTokensRevoked(EventData):
    """All tokens of an OAuth2 client were made void, if there were any. Source:
    ``oauth2provider.revoke_tokens_by_client_id``.
    """

    event_type = "oauth.client.tokens_revoked"
    example = _CLIENT

    client_id: str


class OAuthSessionTokensRevoked(EventData):
    """All tokens that clients got through a session were made void, if there were any.

    Source: ``oauth2provider.revoke_tokens_by_session_handle``. Signing out does not do that.
    """

    event_type = "oauth.session.tokens_revoked"
    example = _SESSION

    session_handle: str


# Authorizations


class OAuthLoginAccepted(EventData):
    """A client was told who is signed in; the authorization may still fail.

    Source: ``oauth2provider.accept_login_request``. The same step can be taken again, and is told again.
    """

    event_type = "oauth.login.accepted"
    example = {**_CLIENT, **_SESSION}

    client_id: str | None = None
    session_handle: str | None = None


class OAuthLoginRejected(EventData):
    """A client was told that nobody is signed in. Source: ``oauth2provider.reject_login_request``."""

    event_type = "oauth.login.rejected"
    example = {"reason": "login_required", **_CLIENT}

    reason: OAuthRejection
    client_id: str | None = None


class OAuthConsentAccepted(EventData):
    """A client may have what it asked for; the authorization may still fail.

    Source: ``oauth2provider.accept_consent_request``. The SDK does that by itself, without asking the user. The same step
    can be taken again, and is told again.
    """

    event_type = "oauth.consent.accepted"
    example = {**_CLIENT, **_SCOPES, **_RECIPE_USER, **_SESSION}

    client_id: str | None = None
    scopes: Sequence[str] = ()
    recipe_user_id: str
    session_handle: str


class OAuthConsentRejected(EventData):
    """A client may not have what it asked for. Source: ``oauth2provider.reject_consent_request``, which only an app
    calls.
    """

    event_type = "oauth.consent.rejected"
    example = {"reason": "access_denied", **_CLIENT}

    reason: OAuthRejection
    client_id: str | None = None


class OAuthAuthorizationCompleted(EventData):
    """A user's browser went back to a client with a code or tokens. Source: ``oauth2provider.authorization``.

    Off by default: ``oauth.token.issued`` says what became of it.
    """

    event_type = "oauth.authorization.completed"
    high_volume = True
    example = {**_CLIENT, **_SCOPES, "gave_code": True, **_RECIPE_USER, **_SESSION}

    client_id: str
    scopes: Sequence[str] = ()
    """What was granted."""
    gave_code: bool
    """Whether the client got a code to exchange for tokens, or tokens only."""
    recipe_user_id: str | None = None
    session_handle: str | None = None


class OAuthAuthorizationFailed(EventData):
    """A client asked for an authorization and did not get it. Source: ``oauth2provider.auth_get`` and ``login_get``, or
    ``authorization`` called by a backend.
    """

    event_type = "oauth.authorization.failed"
    example = {"reason": "invalid_scope", **_CLIENT}

    reason: OAuthAuthorizationFailure
    client_id: str | None = None
    """As it was asked for; there may be no such client."""


# Tokens


class OAuthTokenIssued(EventData):
    """A client got tokens.

    Source: ``oauth2provider.token_exchange``; ``oauth2provider.authorization`` for tokens that come without a code. The
    event's ``user_id`` is the user for whom it may act now; when it acts for itself there is none.
    """

    event_type = "oauth.token.issued"
    example = {
        "grant_type": "authorization_code",
        **_CLIENT,
        "token_types": ["access_token", "id_token", "refresh_token"],
        **_SCOPES,
        "expires_in": 3600,
        **_RECIPE_USER,
        **_SESSION,
    }

    grant_type: OAuthGrantType
    client_id: str | None = None
    token_types: Sequence[OAuthTokenType]
    scopes: Sequence[str] = ()
    """What was granted. A client that refreshes may have asked for less of it."""
    expires_in: int | None = None
    """How long the access token is valid, in seconds."""
    recipe_user_id: str | None = None
    session_handle: str | None = None


class OAuthTokenIssueFailed(EventData):
    """A client asked for tokens and got none. Source: ``oauth2provider.token_post``, or ``token_exchange`` called by a
    backend.
    """

    event_type = "oauth.token.issue_failed"
    example = {
        "reason": "invalid_client",
        "grant_type": "client_credentials",
        "claimed_client_id": _CLIENT["client_id"],
    }

    reason: OAuthTokenIssueFailure
    grant_type: OAuthGrantType
    claimed_client_id: str | None = None
    """Who it said it was. Anybody can say so."""


class OAuthTokenRevoked(EventData):
    """A token was made void, if there was such a token.

    Source: ``oauth2provider.revoke_token``. A refresh token takes its access tokens with it, an access token goes alone.
    """

    event_type = "oauth.token.revoked"
    example = {"token_type": "refresh_token", "claimed_client_id": _CLIENT["client_id"]}

    token_type: OAuthTokenType
    claimed_client_id: str | None = None
    """Who asked, by its own word: for an access token nobody checks it."""


class OAuthTokenRevokeFailed(EventData):
    """A client could not make a token void. Source: ``oauth2provider.revoke_token_post``, or ``revoke_token`` called by a
    backend.
    """

    event_type = "oauth.token.revoke.failed"
    example = {"reason": "invalid_client", "token_type": "refresh_token", "claimed_client_id": _CLIENT["client_id"]}

    reason: OAuthTokenRevokeFailure
    token_type: OAuthTokenType
    claimed_client_id: str | None = None
    """Who it said it was. Anybody can say so."""


# Logouts


class OAuthLogoutAccepted(EventData):
    """A user who came from a client is signed out of it, and the tokens of their session are void.

    Source: ``oauth2provider.accept_logout_request``. The same step can be taken again, and is told again.
    """

    event_type = "oauth.logout.accepted"
    example = _SESSION

    session_handle: str | None = None
    """Left out when there was no session any more."""


class OAuthLogoutRejected(EventData):
    """A user chose to stay signed in. Source: ``oauth2provider.reject_logout_request``, which only an app calls."""

    event_type = "oauth.logout.rejected"
    example = {}
