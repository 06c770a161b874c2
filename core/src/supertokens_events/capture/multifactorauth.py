"""What happens in the recipe ``multifactorauth``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from supertokens_events.capture.recipe import Fact, Outcome, Recipe, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.catalog.mfa import (
    MfaEnrolled,
    MfaFactorCompleted,
    MfaRequiredFactorsChange,
    MfaRequiredFactorsChanged,
)
from supertokens_events.catalog.user import UserCreated

recipe = Recipe("multifactorauth")
recipe.frame("resync_session_and_fetch_mfa_info_put")
recipe.ignore(
    "get_factors_setup_for_user",
    "get_mfa_requirements_for_auth",
    "get_required_secondary_factors_for_user",
    because="a read",
)
recipe.ignore(
    "assert_allowed_to_setup_factor_else_throw_invalid_claim_error",
    because="a check, which the SDK makes for every factor just to list them",
)

REQUIRED_FACTORS = "required factors stored"

CLAIM = "st-mfa"


@recipe.derive("completed_factors")
def completed_factors(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> list[str]:
    """Of the session after the call: the SDK changes its claim in place."""
    return list(_claim(arguments).get("c") or ())


@recipe.derive("requirements_met")
def requirements_met(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> bool:
    return bool(_claim(arguments).get("v"))


def _claim(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return arguments["session"].get_access_token_payload().get(CLAIM) or {}


@recipe.function("mark_factor_as_complete_in_session", ok())
def factor_completed(
    factor_id: str, completed_factors: list[str], requirements_met: bool, scope: Scope
) -> Iterator[Fact]:
    """The SDK marks the first factor of a session too: that is a sign-in, and says so.

    A user who was made with this very session, and is now its user's, is how a new factor begins.
    """
    session = scope.session
    if session is None:
        return
    fact = partial(Fact, user_id=session.user_id, tenant_id=session.tenant_id)
    if session.session_handle in scope.told(UserCreated.event_type):
        yield fact(MfaEnrolled(factor_id=factor_id))
    if set(completed_factors) - {factor_id}:
        yield fact(MfaFactorCompleted(factor_id=factor_id, requirements_met=requirements_met))


@recipe.function("add_to_required_secondary_factors_for_user", ok())
def required_factor_added(user_id: str, factor_id: str, scope: Scope) -> Fact | None:
    return _required_factors_changed(user_id, factor_id, MfaRequiredFactorsChange.ADDED, scope)


@recipe.function("remove_from_required_secondary_factors_for_user", ok())
def required_factor_removed(user_id: str, factor_id: str, scope: Scope) -> Fact | None:
    return _required_factors_changed(user_id, factor_id, MfaRequiredFactorsChange.REMOVED, scope)


def _required_factors_changed(
    user_id: str, factor_id: str, change: MfaRequiredFactorsChange, scope: Scope
) -> Fact | None:
    """The SDK keeps them in the user's metadata, and stores them only if they change."""
    if scope.recall(REQUIRED_FACTORS, about=user_id) is None:
        return None
    return Fact(MfaRequiredFactorsChanged(factor_id=factor_id, change=change), user_id=user_id)
