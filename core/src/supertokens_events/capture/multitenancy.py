"""What happens in the recipe ``multitenancy``. Of settings the names are taken, of providers the public ids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supertokens_events.capture import reads, users
from supertokens_events.capture.recipe import Fact, Outcome, Recipe, failure, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.catalog.tenant import (
    TenantCreated,
    TenantDeleted,
    TenantProviderCreated,
    TenantProviderDeleted,
    TenantProviderUpdated,
    TenantUpdated,
    TenantUserAssociated,
    TenantUserAssociationFailed,
    TenantUserAssociationFailure,
    TenantUserDisassociated,
)

recipe = Recipe("multitenancy")
recipe.ignore("get_tenant", "list_all_tenants", "login_methods_get", because="a read")
recipe.ignore("get_tenant_id", because="asked of every request; it changes nothing")

ASSOCIATION_FAILED = failure(
    {
        "AssociateUserToTenantUnknownUserIdError": TenantUserAssociationFailure.UNKNOWN_USER,
        "AssociateUserToTenantEmailAlreadyExistsError": TenantUserAssociationFailure.EMAIL_TAKEN,
        "AssociateUserToTenantPhoneNumberAlreadyExistsError": TenantUserAssociationFailure.PHONE_NUMBER_TAKEN,
        "AssociateUserToTenantThirdPartyUserAlreadyExistsError": TenantUserAssociationFailure.THIRD_PARTY_ACCOUNT_TAKEN,
        "AssociateUserToTenantNotAllowedError": TenantUserAssociationFailure.NOT_ALLOWED,
    },
    ok=["AssociateUserToTenantOkResult"],
    other=TenantUserAssociationFailure.OTHER,
    error=TenantUserAssociationFailure.ERROR,
)

PUBLIC = "public"  # what the SDK takes for a tenant that is not named


# Tenants


@recipe.derive("settings")
def settings(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> Mapping[str, Any]:
    """What was given to be stored."""
    config = arguments["config"]
    if config is None:
        return {}
    given: dict[str, Any] = {"core_config_keys": list(config.core_config)}
    if not config.is_first_factors_unchanged():
        given["first_factors"] = config.get_first_factors_for_update()
    if not config.is_required_secondary_factors_unchanged():
        given["required_secondary_factors"] = config.get_required_secondary_factors_for_update()
    return given


@recipe.function("create_or_update_tenant", ok("CreateOrUpdateTenantOkResult"))
def tenant_saved(tenant_id: str, settings: Mapping[str, Any], created_new: bool) -> Fact:
    data_model = TenantCreated if created_new else TenantUpdated
    return Fact(data_model.model_validate(settings), tenant_id=tenant_id)


@recipe.function("delete_tenant", ok("DeleteTenantOkResult"))
def tenant_deleted(tenant_id: str, did_exist: bool) -> Fact | None:
    return Fact(TenantDeleted(), tenant_id=tenant_id) if did_exist else None


# Providers


@recipe.derive("provider")
def provider(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> Mapping[str, Any]:
    config = arguments["config"]
    client_ids = [client.client_id for client in config.clients or ()]
    return {"third_party_id": config.third_party_id, "name": config.name, "client_ids": client_ids}


@recipe.function("create_or_update_third_party_config", ok("CreateOrUpdateThirdPartyConfigOkResult"))
def provider_saved(tenant_id: str | None, provider: Mapping[str, Any], created_new: bool) -> Fact:
    data_model = TenantProviderCreated if created_new else TenantProviderUpdated
    return Fact(data_model.model_validate(provider), tenant_id=tenant_id or PUBLIC)


@recipe.function("delete_third_party_config", ok("DeleteThirdPartyConfigOkResult"))
def provider_deleted(tenant_id: str | None, third_party_id: str, did_config_exist: bool) -> Fact | None:
    if not did_config_exist:
        return None
    return Fact(TenantProviderDeleted(third_party_id=third_party_id), tenant_id=tenant_id or PUBLIC)


# Users


@recipe.function("associate_user_to_tenant", ok("AssociateUserToTenantOkResult"))
def user_associated(
    tenant_id: str | None, recipe_user_id: str, was_already_associated: bool, scope: Scope
) -> Fact | None:
    """Inside a sign-in it is the session's user who proves a second factor; a backend names the recipe user only."""
    if was_already_associated:
        return None
    user_id = scope.session.user_id if scope.session else recipe_user_id
    return Fact(TenantUserAssociated(recipe_user_id=recipe_user_id), user_id=user_id, tenant_id=tenant_id or PUBLIC)


@recipe.function("associate_user_to_tenant", ASSOCIATION_FAILED)
def user_association_failed(
    reason: TenantUserAssociationFailure, tenant_id: str | None, recipe_user_id: str, scope: Scope
) -> Fact | None:
    if not scope.outermost:
        return None
    data = TenantUserAssociationFailed(reason=reason, recipe_user_id=recipe_user_id)
    return Fact(data, user_id=recipe_user_id, tenant_id=tenant_id or PUBLIC)


@recipe.read_before("disassociate_user_from_tenant", TenantUserDisassociated)
async def user_before(recipe_user_id: str, user_context: dict[str, Any]) -> Mapping[str, Any]:
    return {"user_before": await reads.user(recipe_user_id, user_context)}


@recipe.function("disassociate_user_from_tenant", ok("DisassociateUserFromTenantOkResult"))
def user_disassociated(
    tenant_id: str | None, recipe_user_id: str, was_associated: bool, user_before: Any = None
) -> Fact | None:
    if not was_associated:
        return None
    methods = user_before.login_methods if user_before else ()
    data = TenantUserDisassociated(
        recipe_user_id=recipe_user_id,
        login_methods=[users.described(method) for method in methods],
        tenant_ids=users.tenants_of(methods),
    )
    return Fact(data, user_id=user_before.id if user_before else recipe_user_id, tenant_id=tenant_id or PUBLIC)
