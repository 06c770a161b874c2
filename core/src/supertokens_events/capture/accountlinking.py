"""What happens in the recipe ``accountlinking``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supertokens_events.capture import reads
from supertokens_events.capture.recipe import Fact, Recipe, failure, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.capture.users import described, login_method, only, tenants_of
from supertokens_events.catalog.account import (
    AccountLinked,
    AccountLinkFailed,
    AccountLinkFailure,
    AccountUnlinked,
    UserBecamePrimary,
)
from supertokens_events.catalog.user import DeletionExtent, UserDeleted

recipe = Recipe("accountlinking")
recipe.ignore(
    "can_create_primary_user",
    "can_link_accounts",
    "get_user",
    "get_users",
    "list_users_by_account_info",
    because="a read",
)

LINK_FAILED = failure(
    {
        "LinkAccountsRecipeUserIdAlreadyLinkedError": AccountLinkFailure.ALREADY_LINKED,
        "LinkAccountsAccountInfoAlreadyAssociatedError": AccountLinkFailure.ACCOUNT_INFO_TAKEN,
        "LinkAccountsInputUserNotPrimaryError": AccountLinkFailure.NOT_PRIMARY,
    },
    ok=["LinkAccountsOkResult"],
    other=AccountLinkFailure.OTHER,
    error=AccountLinkFailure.ERROR,
)


@recipe.function("create_primary_user", ok("CreatePrimaryUserOkResult"))
def user_became_primary(user: Any, recipe_user_id: str, was_already_a_primary_user: bool) -> Fact | None:
    if was_already_a_primary_user:
        return None
    data = UserBecamePrimary(recipe_user_id=recipe_user_id, tenant_ids=list(user.tenant_ids))
    return Fact(data, user_id=user.id, tenant_id=only(data.tenant_ids), by_subject=True)


@recipe.function("link_accounts", ok("LinkAccountsOkResult"), first=True)
def account_linked(user: Any, recipe_user_id: str, accounts_already_linked: bool) -> Fact | None:
    """Before its e-mail is verified because of it. Linking changes no login method, so the result says what was."""
    if accounts_already_linked:
        return None
    linked = login_method(user, recipe_user_id)
    others = [method for method in user.login_methods if method is not linked]
    data = AccountLinked(
        recipe_user_id=recipe_user_id,
        primary_user_id=user.id,
        linked=described(linked) if linked else None,
        primary_login_methods=[described(method) for method in others],
        primary_tenant_ids=tenants_of(others),
    )
    return Fact(data, user_id=user.id, tenant_id=only(linked.tenant_ids if linked else ()), by_subject=True)


@recipe.function("link_accounts", LINK_FAILED)
def account_link_failed(
    reason: AccountLinkFailure, recipe_user_id: str, primary_user_id: str, scope: Scope
) -> Fact | None:
    """Inside a sign-in the SDK tries again, and then says for itself that it failed."""
    if not scope.outermost:
        return None
    data = AccountLinkFailed(reason=reason, recipe_user_id=recipe_user_id, primary_user_id=primary_user_id)
    return Fact(data, user_id=primary_user_id)


@recipe.read_before("unlink_account", AccountUnlinked)
async def account_before(recipe_user_id: str, user_context: dict[str, Any]) -> Mapping[str, Any]:
    """The result does not even say from whom."""
    return {"user_before": await reads.user(recipe_user_id, user_context)}


@recipe.function("unlink_account", ok("UnlinkAccountOkResult"))
def account_unlinked(
    recipe_user_id: str, was_linked: bool, was_recipe_user_deleted: bool, user_before: Any = None
) -> Fact | None:
    if not was_linked:
        return None
    unlinked = login_method(user_before, recipe_user_id)
    if unlinked is None:
        data = AccountUnlinked(recipe_user_id=recipe_user_id, login_method_deleted=was_recipe_user_deleted)
        return Fact(data, user_id=recipe_user_id)
    data = AccountUnlinked(
        recipe_user_id=recipe_user_id,
        primary_user_id=user_before.id,
        login_method_deleted=was_recipe_user_deleted,
        unlinked=described(unlinked),
        primary_login_methods=[described(method) for method in user_before.login_methods if method is not unlinked],
        primary_tenant_ids=list(user_before.tenant_ids),
    )
    return Fact(data, user_id=user_before.id, tenant_id=only(unlinked.tenant_ids))


@recipe.read_before("delete_user", UserDeleted, vital=True)
async def user_before(user_id: str, user_context: dict[str, Any]) -> Mapping[str, Any]:
    """``None``: there is none, though the core says OK to its deletion."""
    return {"was_read": True, "user_before": await reads.user(user_id, user_context)}


@recipe.function("delete_user", ok())
def user_deleted(
    user_id: str, remove_all_linked_accounts: bool, was_read: bool = False, user_before: Any = None
) -> Fact | None:
    if not was_read:
        return Fact(UserDeleted(), user_id=user_id)
    if user_before is None:
        return None
    methods = user_before.login_methods
    gone = methods if remove_all_linked_accounts else _gone(user_before, user_id)
    if gone is None:
        return None
    remaining = len(methods) - max(len(gone), 1)
    data = UserDeleted(
        extent=DeletionExtent.LOGIN_METHOD if remaining else DeletionExtent.USER,
        recipe_user_id=user_id if remaining else None,
        login_methods=[described(method) for method in gone],
        remaining_login_methods=remaining,
        tenant_ids=tenants_of(gone),
        was_primary=user_before.is_primary_user,
    )
    return Fact(data, user_id=user_before.id, tenant_id=only(data.tenant_ids))


def _gone(user: Any, user_id: str) -> list[Any] | None:
    """What goes with the one login method of this id; ``None`` when a primary user has lost its own already. Under an id
    that was mapped to another the core knows a login method, the result does not say which.
    """
    own = login_method(user, user_id)
    if own is not None:
        return [own]
    if user_id == user.id:
        return None
    return list(user.login_methods) if len(user.login_methods) == 1 else []
