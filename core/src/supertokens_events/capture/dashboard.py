"""What happens in the recipe ``dashboard``.

Its API has no interface: everything comes through one method of the recipe itself, in which the functions of other
recipes then say what an admin did.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from supertokens_events.capture import reads
from supertokens_events.capture.recipe import Fact, Outcome, Recipe, failure, ok, raised
from supertokens_events.capture.scope import Scope
from supertokens_events.catalog.dashboard import (
    DashboardAccessDenial,
    DashboardAccessDenied,
    DashboardAdminSignedIn,
    DashboardAdminSignedOut,
    DashboardAdminSignInFailed,
    DashboardAdminSignInFailure,
)
from supertokens_events.event import Actor

recipe = Recipe("dashboard")
recipe.ignore("get_dashboard_bundle_location", because="a read")

SIGN_IN = "/api/signin"
SIGN_OUT = "/api/signout"
UNLINK = "/api/user/unlink"  # changes a user, by GET

REFUSALS = {
    "INVALID_CREDENTIALS_ERROR": DashboardAdminSignInFailure.WRONG_CREDENTIALS,
    "USER_SUSPENDED_ERROR": DashboardAdminSignInFailure.SUSPENDED,
}
NOBODY = Actor()


@recipe.function("should_allow_access", ok())
def access_denied(result: bool) -> Fact | None:
    return None if result else Fact(DashboardAccessDenied(reason=DashboardAccessDenial.UNAUTHORISED), actor=NOBODY)


@recipe.function("should_allow_access", raised("DashboardOperationNotAllowedError"))
def operation_not_allowed() -> Fact:
    return Fact(DashboardAccessDenied(reason=DashboardAccessDenial.NOT_ALLOWED))


@recipe.read_before("handle_api_request", needs=["request"])
async def admin_before(
    request_id: str, request: Any, method: str, user_context: dict[str, Any], scope: Scope
) -> Mapping[str, Any]:
    """Who wants to change something. The SDK asks the core too, and keeps the answer to itself."""
    if method == "get" and request_id != UNLINK:
        return {}
    email = await reads.dashboard_admin(request.get_header("authorization"), user_context)
    if email is not None:
        scope.name_admin(email)
    return {"admin_email": email}


@recipe.read_after("handle_api_request", ok(), DashboardAdminSignedIn, DashboardAdminSignInFailed, needs=["request"])
async def email_after(request_id: str, request: Any) -> Mapping[str, Any]:
    """What was typed. The SDK has read the body by now, and every framework keeps it."""
    if request_id != SIGN_IN:
        return {}
    email = (await request.json() or {}).get("email")
    return {"typed_email": email if isinstance(email, str) else None}


@recipe.derive("status")
def status(arguments: Mapping[str, Any], outcome: Outcome, _scope: Scope) -> str | None:
    """What the answer's JSON says. The rest of it can be a session's id."""
    if arguments["request_id"] not in {SIGN_IN, SIGN_OUT}:
        return None
    response = getattr(outcome.value, "response", None)
    bodies = (getattr(response, name, None) for name in ("body", "data", "content"))  # in FastAPI, Flask, Django
    body = next((body for body in bodies if isinstance(body, bytes) and body), b"{}")
    said = json.loads(body).get("status")
    return said if isinstance(said, str) else None


@recipe.method("handle_api_request", ok())
def signed_in_or_out(
    request_id: str, *, status: str | None, typed_email: str | None = None, admin_email: str | None = None
) -> Fact | None:
    """With an API key nobody is signed in, and signing out is answered with OK all the same."""
    if request_id == SIGN_IN:
        return _signed_in(typed_email) if status == "OK" else _refused(status, typed_email)
    if request_id == SIGN_OUT and status == "OK" and not reads.dashboard_has_api_key():
        return Fact(DashboardAdminSignedOut(email=admin_email))
    return None


@recipe.method(
    "handle_api_request",
    failure(
        {},
        ok=["BaseResponse", "NoneType"],
        other=DashboardAdminSignInFailure.OTHER,
        error=DashboardAdminSignInFailure.ERROR,
        but_not=["BadInputError"],
    ),
)
def sign_in_broke(request_id: str, reason: DashboardAdminSignInFailure) -> Fact | None:
    return Fact(DashboardAdminSignInFailed(reason=reason), actor=NOBODY) if request_id == SIGN_IN else None


def _signed_in(email: str | None) -> Fact:
    return Fact(DashboardAdminSignedIn(email=email), actor=Actor(type="admin", email=email))


def _refused(status: str | None, email: str | None) -> Fact:
    reason = REFUSALS.get(status or "", DashboardAdminSignInFailure.OTHER)
    return Fact(DashboardAdminSignInFailed(reason=reason, email=email), actor=NOBODY)
