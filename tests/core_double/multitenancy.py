"""Tenants, their third-party providers, and which user is in which."""

from __future__ import annotations

from core_double.sessions import end_session
from core_double.state import PUBLIC, AccountInfo, LoginMethod, State, Tenant
from core_double.users import already_associated, find_method, other_primary, taken
from core_double.wire import OK, CoreError, Json, Request, Routes

TAKEN_STATUS = {
    "email": "EMAIL_ALREADY_EXISTS_ERROR",
    "phone": "PHONE_NUMBER_ALREADY_EXISTS_ERROR",
    "thirdparty": "THIRD_PARTY_USER_ALREADY_EXISTS_ERROR",
}


def _tenant_json(tenant: Tenant) -> Json:
    result: Json = {
        "tenantId": tenant.id,
        "thirdParty": {"providers": list(tenant.providers.values())},
        "coreConfig": tenant.core_config,
    }
    if tenant.first_factors is not None:
        result["firstFactors"] = list(tenant.first_factors)
    if tenant.required_secondary_factors is not None:
        result["requiredSecondaryFactors"] = list(tenant.required_secondary_factors)
    return result


def read(core: State, req: Request) -> Json:
    """GET T/recipe/multitenancy/tenant/v2"""
    tenant = core.tenants.get(req.tenant)
    return {**OK, **_tenant_json(tenant)} if tenant else {"status": "TENANT_NOT_FOUND_ERROR"}


def list_all(core: State, req: Request) -> Json:
    """GET /recipe/multitenancy/tenant/list/v2"""
    return {**OK, "tenants": [_tenant_json(tenant) for tenant in core.tenants.values()]}


def put(core: State, req: Request) -> Json:
    """PUT /recipe/multitenancy/tenant/v2: what is left out stays as it is"""
    tenant_id = req.text("tenantId").strip().lower()
    is_new = tenant_id not in core.tenants
    tenant = core.tenants.setdefault(tenant_id, Tenant(tenant_id, first_factors=[]))
    if "firstFactors" in req.body:
        tenant.first_factors = _factors(req, "firstFactors")
    if "requiredSecondaryFactors" in req.body:
        tenant.required_secondary_factors = _factors(req, "requiredSecondaryFactors")
    changes = req.object("coreConfig") if req.has("coreConfig") else {}
    merged = {**tenant.core_config, **changes}
    tenant.core_config = {key: value for key, value in merged.items() if value is not None}
    return {**OK, "createdNew": is_new}


def _factors(req: Request, name: str) -> list[str] | None:
    if req.body[name] is None:
        return None
    factors = list(dict.fromkeys(req.texts(name)))
    if not factors:
        raise CoreError(f"{name} cannot be empty. Set null instead to remove {name}.")
    return factors


def remove(core: State, req: Request) -> Json:
    """POST /recipe/multitenancy/tenant/remove"""
    tenant_id = req.text("tenantId")
    if tenant_id == PUBLIC:
        raise CoreError("Cannot delete public tenant, use remove app API instead", 403)
    existed = core.tenants.pop(tenant_id, None) is not None
    for method in core.methods.values():
        if tenant_id in method.tenant_ids:
            method.tenant_ids.remove(tenant_id)
    return {**OK, "didExist": existed}


def put_provider(core: State, req: Request) -> Json:
    """PUT T/recipe/multitenancy/config/thirdparty"""
    config = req.object("config")
    providers = core.tenants[req.tenant].providers
    is_new = config["thirdPartyId"] not in providers
    user_info_map = {"fromIdTokenPayload": {}, "fromUserInfoAPI": {}, **config.get("userInfoMap", {})}
    providers[config["thirdPartyId"]] = {**config, "userInfoMap": user_info_map}
    return {**OK, "createdNew": is_new}


def remove_provider(core: State, req: Request) -> Json:
    """POST T/recipe/multitenancy/config/thirdparty/remove"""
    existed = core.tenants[req.tenant].providers.pop(req.text("thirdPartyId"), None) is not None
    return {**OK, "didConfigExist": existed}


def associate(core: State, req: Request) -> Json:
    """POST T/recipe/multitenancy/tenant/user"""
    method = find_method(core, req.text("recipeUserId"))
    if method is None:
        return {"status": "UNKNOWN_USER_ID_ERROR"}
    if req.tenant in method.tenant_ids:
        return {**OK, "wasAlreadyAssociated": True}
    refusal = _obstacle(core, method, req.tenant)
    if refusal:
        return refusal
    method.tenant_ids.append(req.tenant)
    return {**OK, "wasAlreadyAssociated": False}


def _obstacle(core: State, method: LoginMethod, tenant_id: str) -> Json | None:
    """Why a login method may not enter a tenant: it is there already for somebody else, or its group's like is."""
    for info in _identity(method):
        if taken(core, method.recipe_id, info, tenant_id):
            return {"status": TAKEN_STATUS[info[0]]}
    user = core.user_of[method.id]
    for info in (info for member in user.methods for info in member.account_infos):
        if user.is_primary and other_primary(core, user, info, [tenant_id]):
            return {"status": "ASSOCIATION_NOT_ALLOWED_ERROR", "reason": already_associated(info)}
    return None


def _identity(method: LoginMethod) -> list[AccountInfo]:
    """What must be unique within the login method's recipe; with third parties that is not the e-mail."""
    if method.third_party is not None:
        return [("thirdparty", *method.third_party)]
    return [info for info in method.account_infos if info[0] in TAKEN_STATUS]


def disassociate(core: State, req: Request) -> Json:
    """POST T/recipe/multitenancy/tenant/user/remove; the user's sessions and roles in the tenant go too"""
    method = find_method(core, req.text("recipeUserId"))
    if method is None or req.tenant not in method.tenant_ids:
        return {**OK, "wasAssociated": False}
    method.tenant_ids.remove(req.tenant)
    for handle in list(core.sessions_of.get(method.id, {})):
        if core.sessions[handle].tenant_id == req.tenant:
            end_session(core, handle)
    core.user_roles.pop((req.tenant, core.outer(method.id)), None)
    return {**OK, "wasAssociated": True}


ROUTES: Routes = {
    ("GET", "/recipe/multitenancy/tenant/v2"): read,
    ("PUT", "/recipe/multitenancy/tenant/v2"): put,
    ("GET", "/recipe/multitenancy/tenant/list/v2"): list_all,
    ("POST", "/recipe/multitenancy/tenant/remove"): remove,
    ("PUT", "/recipe/multitenancy/config/thirdparty"): put_provider,
    ("POST", "/recipe/multitenancy/config/thirdparty/remove"): remove_provider,
    ("POST", "/recipe/multitenancy/tenant/user"): associate,
    ("POST", "/recipe/multitenancy/tenant/user/remove"): disassociate,
}
