"""What capture takes from the SDK's ``User``, the same in every recipe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from supertokens_events.capture.recipe import Fact, Matcher, failure
from supertokens_events.capture.scope import Scope
from supertokens_events.catalog.user import (
    LoginMethod,
    Method,
    SignInFailure,
    SignUpFailure,
    UserReauthenticated,
    UserSignedIn,
)

__all__ = [
    "described",
    "login_method",
    "only",
    "refused",
    "signed_in",
    "tenants_of",
    "third_party_method",
]


def login_method(user: Any, recipe_user_id: str) -> Any:
    """The SDK's ``LoginMethod`` with this id, or ``None``. ``user`` may be ``None`` too."""
    methods = user.login_methods if user else ()
    return next((method for method in methods if method.recipe_user_id.get_as_string() == recipe_user_id), None)


def described(method: Any) -> LoginMethod:
    """A login method as the catalog describes it."""
    third_party = method.third_party
    return LoginMethod(
        method=_method_of(method),
        recipe_user_id=method.recipe_user_id.get_as_string(),
        tenant_ids=list(method.tenant_ids),
        email=method.email,
        phone_number=method.phone_number,
        third_party_id=third_party.id if third_party else None,
        third_party_user_id=third_party.user_id if third_party else None,
        verified=method.verified,
    )


def third_party_method(third_party_id: str) -> Method:
    """SAML is a provider of the recipe ``thirdparty``; the SDK tells it by its id."""
    return Method.SAML if third_party_id.startswith("saml") else Method.THIRDPARTY


def tenants_of(methods: Iterable[Any]) -> list[str]:
    """The tenants of these login methods, each once."""
    return list(dict.fromkeys(tenant for method in methods for tenant in method.tenant_ids))


def only(tenant_ids: Sequence[str]) -> str | None:
    """The tenant of an event that is about a user in one tenant; of one in several, none."""
    return tenant_ids[0] if len(tenant_ids) == 1 else None


def signed_in(
    user: Any, *, method: Method, recipe_user_id: str, tenant_id: str, scope: Scope, **contact: str | None
) -> Fact:
    """With the session of the very same user it is a second factor or a step-up, not a sign-in."""
    session = scope.session
    again = session is not None and login_method(user, session.recipe_user_id) is not None
    data_model = UserReauthenticated if again else UserSignedIn
    data = data_model.model_validate({"method": method, "recipe_user_id": recipe_user_id, **contact})
    return Fact(data, user_id=user.id, tenant_id=tenant_id, by_subject=True)


def refused(kind: type[SignInFailure | SignUpFailure], reasons: Mapping[str, str], *, ok: Iterable[str]) -> Matcher:
    """A sign-in or sign-up that came to anything but ``ok``: for one of the ``reasons`` of its recipe, or for one that
    they all have.
    """
    common = {"LinkingToSessionUserFailedError": kind.LINKING_FAILED, "GeneralErrorResponse": kind.GENERAL_ERROR}
    return failure({**reasons, **common}, ok=ok, other=kind.OTHER, error=kind.ERROR)


def _method_of(method: Any) -> Method:
    if method.third_party:
        return third_party_method(method.third_party.id)
    return Method(method.recipe_id) if method.recipe_id in set(Method) else Method.OTHER
