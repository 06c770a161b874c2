"""The one table of (method, path without tenant) → handler, and how a request finds its line in it."""

from __future__ import annotations

import re

from core_double import (
    about,
    accountlinking,
    dashboard,
    emailpassword,
    emailverification,
    metadata,
    multitenancy,
    oauth_clients,
    oauth_flow,
    oauth_logout,
    oauth_tokens,
    passwordless,
    roles,
    saml,
    sessions,
    thirdparty,
    totp,
    user_id_mapping,
    user_lists,
    users,
    webauthn,
)
from core_double.state import PUBLIC, State
from core_double.users import find_method
from core_double.wire import CoreError, Handler, Json, Request, Routes


def update_user(core: State, req: Request) -> Json:
    """PUT /recipe/user: one path for two recipes, told apart by the ``rid`` header, else by the login method"""
    method = find_method(core, req.text("recipeUserId"))
    recipe_id = req.rid if req.rid in ("emailpassword", "passwordless") else method and method.recipe_id
    return passwordless.update(core, req) if recipe_id == "passwordless" else emailpassword.update(core, req)


TABLE: Routes = {
    ("PUT", "/recipe/user"): update_user,
    **about.ROUTES,
    **accountlinking.ROUTES,
    **dashboard.ROUTES,
    **emailpassword.ROUTES,
    **emailverification.ROUTES,
    **metadata.ROUTES,
    **multitenancy.ROUTES,
    **oauth_clients.ROUTES,
    **oauth_flow.ROUTES,
    **oauth_logout.ROUTES,
    **oauth_tokens.ROUTES,
    **passwordless.ROUTES,
    **roles.ROUTES,
    **saml.ROUTES,
    **sessions.ROUTES,
    **thirdparty.ROUTES,
    **totp.ROUTES,
    **user_id_mapping.ROUTES,
    **user_lists.ROUTES,
    **users.ROUTES,
    **webauthn.ROUTES,
}
PATHS = {path for _, path in TABLE}
READ_TENANT = "/recipe/multitenancy/tenant/v2"


def split_tenant(path: str) -> tuple[str, str]:
    """``/t1/recipe/signin`` → ("t1", "/recipe/signin"); a path without a tenant is the public tenant's."""
    if path in PATHS:
        return PUBLIC, path
    match = re.fullmatch(r"/([^/]+)(/.+)", path)
    if match and match[2] in PATHS:
        return match[1].lower(), match[2]
    return PUBLIC, path


def handler_for(core: State, req: Request) -> Handler:
    handler = TABLE.get((req.method, req.path))
    if handler is None and req.path in PATHS:
        raise CoreError("Method not supported", 405)
    if handler is None:
        raise CoreError("Not found", 404)
    if req.tenant not in core.tenants and req.path != READ_TENANT:
        what = "Tenant with the following connectionURIDomain, appId and tenantId combination"
        raise CoreError(f"AppId or tenantId not found => {what} not found: (, public, {req.tenant})")
    return handler
