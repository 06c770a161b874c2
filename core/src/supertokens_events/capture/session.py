"""What happens in the recipe ``session`` (map sections 1.6 and 2.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from supertokens_events.capture import reads
from supertokens_events.capture.recipe import Fact, Recipe, failure, ok, raised
from supertokens_events.capture.scope import Scope, SessionFacts
from supertokens_events.catalog.session import (
    SessionCreated,
    SessionRefreshed,
    SessionRefreshFailed,
    SessionRefreshFailure,
    SessionRevoked,
    SessionTokenTheftDetected,
)

recipe = Recipe("session")
recipe.frame("refresh_post", "signout_post", "verify_session")


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


def _revoked(session_handle: str, session: SessionFacts | None) -> Fact:
    if session is None:
        return Fact(SessionRevoked(session_handle=session_handle))
    data = SessionRevoked(session_handle=session_handle, recipe_user_id=session.recipe_user_id)
    return Fact(data, user_id=session.user_id, tenant_id=session.tenant_id)
