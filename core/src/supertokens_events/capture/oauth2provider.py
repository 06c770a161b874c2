"""What happens in the recipe ``oauth2provider``.

Whether a browser comes back with a code, with tokens or with an error, only the address says to which it is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from supertokens_events.capture import oauth_answers, reads
from supertokens_events.capture.recipe import Fact, Outcome, Recipe, ok
from supertokens_events.capture.scope import Scope, SessionFacts
from supertokens_events.catalog import EventData
from supertokens_events.catalog.oauth import (
    OAuthAuthorizationCompleted,
    OAuthAuthorizationFailed,
    OAuthAuthorizationFailure,
    OAuthClientCreated,
    OAuthClientCreateFailed,
    OAuthClientDeleted,
    OAuthClientFailure,
    OAuthClientSecretRotated,
    OAuthClientTokensRevoked,
    OAuthClientUpdated,
    OAuthClientUpdateFailed,
    OAuthConsentAccepted,
    OAuthConsentRejected,
    OAuthGrantType,
    OAuthLoginAccepted,
    OAuthLoginRejected,
    OAuthLogoutAccepted,
    OAuthLogoutRejected,
    OAuthRejection,
    OAuthSessionTokensRevoked,
    OAuthTokenIssued,
    OAuthTokenIssueFailed,
    OAuthTokenIssueFailure,
    OAuthTokenRevoked,
    OAuthTokenRevokeFailed,
    OAuthTokenRevokeFailure,
    OAuthTokenType,
)

recipe = Recipe("oauth2provider")
recipe.frame("end_session_get", "end_session_post", "logout_post")
recipe.ignore(
    "get_oauth2_clients",
    "get_oauth2_client",
    "validate_oauth2_access_token",
    "introspect_token",
    "introspect_token_post",
    "login_info_get",
    "user_info_get",
    because="a read",
)
recipe.ignore(
    "get_requested_scopes",
    "build_access_token_payload",
    "build_id_token_payload",
    "build_user_info",
    "get_frontend_redirection_url",
    because="a step of the SDK's own, which only computes",
)
recipe.ignore("end_session", because="it only asks; `accept_logout_request` and `session.revoke_session` do it")

CLIENT = "client of an authorization"

REDIRECTS = ("RedirectResponse", "FrontendRedirectResponse")
EXCHANGES = (OAuthGrantType.AUTHORIZATION_CODE, OAuthGrantType.REFRESH_TOKEN, OAuthGrantType.CLIENT_CREDENTIALS)

AUTHORIZATION_FAILED = oauth_answers.refused(OAuthAuthorizationFailure, *REDIRECTS)
TOKEN_FAILED = oauth_answers.refused(OAuthTokenIssueFailure, "TokenInfoResponse")
REVOKE_FAILED = oauth_answers.refused(OAuthTokenRevokeFailure, "RevokeTokenOkResponse")
CLIENT_FAILED = oauth_answers.refused(OAuthClientFailure, "CreatedOAuth2ClientResponse", "UpdatedOAuth2ClientResponse")


# Plain fields


@recipe.derive("asked_client_id")
def asked_client_id(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> str | None:
    """Of an authorization's parameters, which have its state and its challenges too, or of a client's settings."""
    return _text(_get(arguments.get("params"), "client_id"))


@recipe.derive("asked_client_name")
def asked_client_name(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> str | None:
    return _text(_get(arguments["params"], "client_name"))


@recipe.derive("claimed_client_id")
def claimed_client_id(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> str | None:
    """Of the form or the header with which a client says who it is, beside its secret."""
    form = arguments.get("body") or arguments.get("params") or arguments
    header = arguments.get("authorization_header") or _get(form, "authorization_header")
    return oauth_answers.basic_client_id(header) or _text(_get(form, "client_id"))


@recipe.derive("reached_client_id")
def reached_client_id(_arguments: Mapping[str, Any], outcome: Outcome, _scope: Scope) -> str | None:
    """Of a login or consent request, which may hold the client's secret."""
    return _text(_get(outcome.value.client, "client_id"))


@recipe.derive("client")
def client(_arguments: Mapping[str, Any], outcome: Outcome, _scope: Scope) -> Mapping[str, Any]:
    """Of the client that was stored, what is neither secret nor the app's own metadata."""
    stored = outcome.value.client
    return {
        "client_id": stored.client_id,
        "client_name": stored.client_name,
        "grant_types": list(stored.grant_types or ()),
        "response_types": list(stored.response_types or ()),
        "scopes": stored.scope.split(),
        "redirect_uris": list(stored.redirect_uris or ()),
        "token_endpoint_auth_method": stored.token_endpoint_auth_method,
    }


@recipe.derive("given")
def given(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> list[str]:
    """The names of a client's settings that were given to be stored."""
    settings = vars(arguments["params"])
    return [name for name, value in settings.items() if name != "client_id" and type(value).__name__ != "NotSet"]


@recipe.derive("gave_secret")
def gave_secret(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> bool:
    return isinstance(arguments["params"].client_secret, str)


@recipe.derive("error_reason")
def error_reason(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> StrEnum:
    """The error with which a step is rejected, which may be any text of the app's."""
    return oauth_answers.reason_of(OAuthRejection, arguments["error"].error)


@recipe.derive("grant_type")
def grant_type(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> OAuthGrantType:
    asked = _get(arguments["body"], "grant_type")
    return OAuthGrantType(asked) if asked in EXCHANGES else OAuthGrantType.OTHER


@recipe.derive("token_type")
def token_type(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> OAuthTokenType:
    """The core's refresh tokens begin so; what it does not know, it takes for an access token."""
    token = arguments["params"].token if "params" in arguments else arguments["token"]
    is_refresh_token = isinstance(token, str) and token.startswith("st_rt_")
    return OAuthTokenType.REFRESH_TOKEN if is_refresh_token else OAuthTokenType.ACCESS_TOKEN


@recipe.derive("granted")
def granted(_arguments: Mapping[str, Any], outcome: Outcome, _scope: Scope) -> Mapping[str, Any]:
    return oauth_answers.granted(outcome)


@recipe.derive("holder")
def holder(_arguments: Mapping[str, Any], outcome: Outcome, _scope: Scope) -> Mapping[str, str]:
    return oauth_answers.holder(outcome.value.access_token)


def _get(of: Any, name: str) -> Any:
    """What a client sends is a mapping; what a backend calls with may be an object."""
    return of.get(name) if isinstance(of, Mapping) else getattr(of, name, None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


# Clients


@recipe.function("create_oauth2_client", ok("CreatedOAuth2ClientResponse"))
def client_created(client: Mapping[str, Any]) -> Fact:
    return Fact(OAuthClientCreated.model_validate(client))


@recipe.function("update_oauth2_client", ok("UpdatedOAuth2ClientResponse"))
def client_updated(client: Mapping[str, Any], given: list[str], gave_secret: bool) -> Iterator[Fact]:
    """A new secret is another fact than new settings, and one call can bring both."""
    name = {"client_id": client["client_id"], "client_name": client["client_name"]}
    if fields := [field for field in given if field != "client_secret"]:
        yield Fact(OAuthClientUpdated(**name, fields=fields))
    if gave_secret:
        yield Fact(OAuthClientSecretRotated(**name))


@recipe.function("create_oauth2_client", CLIENT_FAILED)
def client_create_failed(
    reason: OAuthClientFailure, asked_client_id: str | None, asked_client_name: str | None
) -> Fact:
    data = OAuthClientCreateFailed(reason=reason, client_id=asked_client_id, client_name=asked_client_name)
    return Fact(data)


@recipe.function("update_oauth2_client", CLIENT_FAILED)
def client_update_failed(reason: OAuthClientFailure, asked_client_id: str) -> Fact:
    return Fact(OAuthClientUpdateFailed(reason=reason, client_id=asked_client_id))


@recipe.read_before("delete_oauth2_client", OAuthClientDeleted)
async def client_before(client_id: str, user_context: dict[str, Any]) -> Mapping[str, Any]:
    """A client that is not there is deleted with OK all the same."""
    found = await reads.oauth_client(client_id, user_context)
    return {"existed": found is not None, "name_before": found.client_name if found else None}


@recipe.function("delete_oauth2_client", ok("DeleteOAuth2ClientOkResponse"))
def client_deleted(client_id: str, existed: bool = True, name_before: str | None = None) -> Fact | None:
    return Fact(OAuthClientDeleted(client_id=client_id, client_name=name_before)) if existed else None


@recipe.function("revoke_tokens_by_client_id", ok())
def client_tokens_revoked(client_id: str) -> Fact:
    return Fact(OAuthClientTokensRevoked(client_id=client_id))


@recipe.function("revoke_tokens_by_session_handle", ok())
def session_tokens_revoked(session_handle: str) -> Fact:
    return Fact(OAuthSessionTokensRevoked(session_handle=session_handle))


# Authorizations


@recipe.function("get_login_request", ok("LoginRequestResponse"))
@recipe.function("get_consent_request", ok("ConsentRequestResponse"))
def client_reached(reached_client_id: str | None, scope: Scope) -> None:
    """No event: which client the steps that follow are for."""
    if reached_client_id is not None:
        scope.remember(CLIENT, about=reached_client_id)


@recipe.function("accept_login_request", ok("RedirectResponse"))
def login_accepted(subject: str, identity_provider_session_id: str | None, scope: Scope) -> Fact:
    data = OAuthLoginAccepted(client_id=_reached(scope), session_handle=identity_provider_session_id)
    return Fact(data, user_id=subject, tenant_id=scope.session.tenant_id if scope.session else None)


@recipe.function("reject_login_request", ok("RedirectResponse"))
def login_rejected(error_reason: OAuthRejection, scope: Scope) -> Fact:
    return Fact(OAuthLoginRejected(reason=error_reason, client_id=_reached(scope)))


@recipe.function("accept_consent_request", ok("RedirectResponse"))
def consent_accepted(
    grant_scope: list[str] | None, rsub: str, session_handle: str, tenant_id: str, scope: Scope
) -> Fact:
    data = OAuthConsentAccepted(
        client_id=_reached(scope),
        scopes=grant_scope or (),
        recipe_user_id=rsub,
        session_handle=session_handle,
    )
    return Fact(data, user_id=scope.session.user_id if scope.session else None, tenant_id=tenant_id)


@recipe.function("reject_consent_request", ok("RedirectResponse"))
def consent_rejected(error_reason: OAuthRejection, scope: Scope) -> Fact:
    return Fact(OAuthConsentRejected(reason=error_reason, client_id=_reached(scope)))


@recipe.function("authorization", oauth_answers.completed)
def authorization_completed(
    asked_client_id: str, granted: Mapping[str, Any], gave_code: bool, scope: Scope
) -> Iterator[Fact]:
    """The SDK calls this up to three times for one authorization; the last one has the answer.

    Tokens that come without a code are given here: no ``token_exchange`` follows for them.
    """
    about = {"client_id": asked_client_id, **_ids(scope.session)}
    completed = {**about, "scopes": granted["scopes"], "gave_code": gave_code}
    yield _of_user(OAuthAuthorizationCompleted.model_validate(completed), scope.session)
    if granted["token_types"]:
        issued = {**about, **granted, "grant_type": OAuthGrantType.IMPLICIT}
        yield _of_user(OAuthTokenIssued.model_validate(issued), scope.session)


@recipe.api("auth_get", AUTHORIZATION_FAILED)
@recipe.api("login_get", AUTHORIZATION_FAILED)
@recipe.function("authorization", AUTHORIZATION_FAILED, outside_api=True)
def authorization_failed(reason: OAuthAuthorizationFailure, asked_client_id: str | None, scope: Scope) -> Fact:
    """From the API function: it goes on where a step sends the browser to another of ours."""
    data = OAuthAuthorizationFailed(reason=reason, client_id=asked_client_id or _reached(scope))
    return _of_user(data, scope.session)


def _of_user(data: EventData, session: SessionFacts | None) -> Fact:
    return Fact(data, user_id=session.user_id, tenant_id=session.tenant_id) if session else Fact(data)


def _ids(session: SessionFacts | None) -> Mapping[str, str]:
    return {"recipe_user_id": session.recipe_user_id, "session_handle": session.session_handle} if session else {}


def _reached(scope: Scope) -> str | None:
    """The client that this outermost call is about, if it has been read already."""
    client_id = scope.recall(CLIENT, about="")
    if client_id is not None:
        scope.remember(CLIENT, about=client_id)
    return client_id


# Tokens


@recipe.function("token_exchange", ok("TokenInfoResponse"))
def token_issued(
    grant_type: OAuthGrantType, granted: Mapping[str, Any], holder: Mapping[str, str], claimed_client_id: str | None
) -> Fact:
    """By now the client has proved who it is. One that acts for itself is the subject of its token, and no user."""
    data = OAuthTokenIssued(
        grant_type=grant_type,
        client_id=holder.get("client_id", claimed_client_id),
        **granted,
        recipe_user_id=holder.get("rsub"),
        session_handle=holder.get("sessionHandle"),
    )
    user_id = holder.get("sub") if grant_type is not OAuthGrantType.CLIENT_CREDENTIALS else None
    return Fact(data, user_id=user_id, tenant_id=holder.get("tId"))


@recipe.api("token_post", TOKEN_FAILED)
@recipe.function("token_exchange", TOKEN_FAILED, outside_api=True)
def token_issue_failed(
    reason: OAuthTokenIssueFailure, grant_type: OAuthGrantType, claimed_client_id: str | None
) -> Fact:
    data = OAuthTokenIssueFailed(reason=reason, grant_type=grant_type, claimed_client_id=claimed_client_id)
    return Fact(data)


@recipe.function("revoke_token", ok("RevokeTokenOkResponse"))
def token_revoked(token_type: OAuthTokenType, claimed_client_id: str | None) -> Fact:
    return Fact(OAuthTokenRevoked(token_type=token_type, claimed_client_id=claimed_client_id))


@recipe.api("revoke_token_post", REVOKE_FAILED)
@recipe.function("revoke_token", REVOKE_FAILED, outside_api=True)
def token_revoke_failed(
    reason: OAuthTokenRevokeFailure, token_type: OAuthTokenType, claimed_client_id: str | None
) -> Fact:
    data = OAuthTokenRevokeFailed(reason=reason, token_type=token_type, claimed_client_id=claimed_client_id)
    return Fact(data)


# Logouts


@recipe.function("accept_logout_request", ok("RedirectResponse"))
def logout_accepted(scope: Scope) -> Fact:
    session = scope.session
    return _of_user(OAuthLogoutAccepted(session_handle=session.session_handle if session else None), session)


@recipe.function("reject_logout_request", ok())
def logout_rejected() -> Fact:
    return Fact(OAuthLogoutRejected())
