"""What happens in the recipe ``session``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from supertokens_events.capture import reads
from supertokens_events.capture.recipe import Fact, Outcome, Recipe, failure, ok, raised
from supertokens_events.capture.scope import Scope, SessionFacts
from supertokens_events.catalog import EventData
from supertokens_events.catalog.session import (
    SessionClaimsUpdated,
    SessionCreated,
    SessionDataUpdated,
    SessionRefreshed,
    SessionRefreshFailed,
    SessionRefreshFailure,
    SessionRevoked,
    SessionTokenTheftDetected,
)

recipe = Recipe("session")
recipe.frame("refresh_post", "signout_post", "verify_session")
recipe.ignore(
    "get_session",
    "get_session_information",
    "get_all_session_handles_for_user",
    "get_claim_value",
    "get_global_claim_validators",
    because="a read",
)
recipe.ignore("validate_claims", because="a check")
recipe.ignore(
    "set_claim_value",
    "remove_claim",
    "fetch_and_set_claim",
    because="it calls `merge_into_access_token_payload`, which says so",
)
recipe.ignore(
    "regenerate_access_token", because="the session stays what it is; its token is made anew with what has changed"
)


@recipe.function("create_new_session", ok())
def session_created(session_handle: str, user_id: str, recipe_user_id: str, tenant_id: str) -> Fact:
    data = SessionCreated(session_handle=session_handle, recipe_user_id=recipe_user_id)
    return Fact(data, user_id=user_id, tenant_id=tenant_id, by_subject=True)


@recipe.function("refresh_session", ok())
def session_refreshed(session_handle: str, user_id: str, recipe_user_id: str, tenant_id: str) -> Fact:
    data = SessionRefreshed(session_handle=session_handle, recipe_user_id=recipe_user_id)
    return Fact(data, user_id=user_id, tenant_id=tenant_id, by_subject=True)


@recipe.function("refresh_session", raised("TokenTheftError"))
def token_theft_detected(session_handle: str, user_id: str, recipe_user_id: str) -> Fact:
    """Whoever sent the token: its owner or a thief. So nobody is named as the actor."""
    return Fact(
        SessionTokenTheftDetected(session_handle=session_handle, recipe_user_id=recipe_user_id), user_id=user_id
    )


@recipe.function(
    "refresh_session",
    failure(
        {"UnauthorisedError": SessionRefreshFailure.UNAUTHORISED},
        ok=["SessionContainer"],
        other=SessionRefreshFailure.ERROR,
        error=SessionRefreshFailure.ERROR,
        but_not=["TokenTheftError"],
    ),
)
def session_refresh_failed(reason: SessionRefreshFailure) -> Fact:
    return Fact(SessionRefreshFailed(reason=reason))


@recipe.read_before("revoke_session", SessionRevoked)
@recipe.read_before("merge_into_access_token_payload", SessionClaimsUpdated)
@recipe.read_before("update_session_data_in_database", SessionDataUpdated)
async def session_before(session_handle: str, user_context: dict[str, Any], scope: Scope) -> Mapping[str, Any]:
    """Whose session it is. At sign-out the call around this one was given it; a backend names only the handle."""
    session = scope.session
    if session is None or session.session_handle != session_handle:
        session = await reads.session(session_handle, user_context)
    return {"session_before": session}


@recipe.function("revoke_session", ok())
def session_revoked(session_handle: str, result: bool, session_before: SessionFacts | None = None) -> Fact | None:
    """``False``: there was no such session any more."""
    return _revoked(session_handle, session_before) if result else None


@recipe.function("revoke_multiple_sessions", ok())
def sessions_revoked(result: list[str]) -> Iterator[Fact]:
    """Whose they were is not said: it would cost a read for each."""
    return (_revoked(handle, None) for handle in result)


@recipe.function("revoke_all_sessions_for_user", ok())
def user_sessions_revoked(
    result: list[str], user_id: str, tenant_id: str, revoke_across_all_tenants: bool
) -> Iterator[Fact]:
    tenant = None if revoke_across_all_tenants else tenant_id
    return (Fact(SessionRevoked(session_handle=handle), user_id=user_id, tenant_id=tenant) for handle in result)


@recipe.derive("keys")
def keys(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> list[str]:
    return [key for key, value in arguments["access_token_payload_update"].items() if value is not None]


@recipe.derive("removed_keys")
def removed_keys(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> list[str]:
    return [key for key, value in arguments["access_token_payload_update"].items() if value is None]


@recipe.function("merge_into_access_token_payload", ok())
def claims_updated(
    *,
    session_handle: str,
    result: bool,
    keys: list[str],
    removed_keys: list[str],
    session_before: SessionFacts | None = None,
) -> Fact | None:
    """``False``: there was no such session any more."""
    if not result:
        return None
    data = SessionClaimsUpdated(
        session_handle=session_handle,
        recipe_user_id=session_before.recipe_user_id if session_before else None,
        keys=keys,
        removed_keys=removed_keys,
    )
    return _of(session_before, data)


@recipe.function("update_session_data_in_database", ok())
def data_updated(session_handle: str, result: bool, session_before: SessionFacts | None = None) -> Fact | None:
    if not result:
        return None
    recipe_user_id = session_before.recipe_user_id if session_before else None
    return _of(session_before, SessionDataUpdated(session_handle=session_handle, recipe_user_id=recipe_user_id))


def _revoked(session_handle: str, session: SessionFacts | None) -> Fact:
    recipe_user_id = session.recipe_user_id if session else None
    return _of(session, SessionRevoked(session_handle=session_handle, recipe_user_id=recipe_user_id))


def _of(session: SessionFacts | None, data: EventData) -> Fact:
    """A fact about the session's user, if it is known whose session it is."""
    return Fact(data, user_id=session.user_id, tenant_id=session.tenant_id) if session else Fact(data)
