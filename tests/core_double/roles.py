"""Roles with their permissions, app-wide; who has them, per tenant."""

from __future__ import annotations

from core_double.state import State
from core_double.wire import OK, Json, Request, Routes

UNKNOWN_ROLE: Json = {"status": "UNKNOWN_ROLE_ERROR"}


def create(core: State, req: Request) -> Json:
    """PUT /recipe/role: makes the role or adds permissions to it"""
    role = req.text("role")
    is_new = role not in core.roles
    permissions = core.roles.setdefault(role, [])
    wanted = req.texts("permissions") if req.has("permissions") else []
    permissions += [permission for permission in dict.fromkeys(wanted) if permission not in permissions]
    return {**OK, "createdNewRole": is_new}


def delete(core: State, req: Request) -> Json:
    """POST /recipe/role/remove"""
    role = req.text("role")
    for held in core.user_roles.values():
        if role in held:
            held.remove(role)
    return {**OK, "didRoleExist": core.roles.pop(role, None) is not None}


def permissions(core: State, req: Request) -> Json:
    """GET /recipe/role/permissions"""
    found = core.roles.get(req.text("role"))
    return UNKNOWN_ROLE if found is None else {**OK, "permissions": list(found)}


def remove_permissions(core: State, req: Request) -> Json:
    """POST /recipe/role/permissions/remove: those named, or all"""
    found = core.roles.get(req.text("role"))
    if found is None:
        return UNKNOWN_ROLE
    gone = req.texts("permissions") if req.has("permissions") else list(found)
    found[:] = [permission for permission in found if permission not in gone]
    return OK


def with_permission(core: State, req: Request) -> Json:
    """GET /recipe/permission/roles"""
    permission = req.text("permission")
    return {**OK, "roles": [role for role, granted in core.roles.items() if permission in granted]}


def all_roles(core: State, req: Request) -> Json:
    """GET /recipe/roles"""
    return {**OK, "roles": list(core.roles)}


def grant(core: State, req: Request) -> Json:
    """PUT T/recipe/user/role"""
    user_id, role = req.text("userId"), req.text("role")
    if role not in core.roles:
        return UNKNOWN_ROLE
    held = core.user_roles[req.tenant, user_id]
    had = role in held
    if not had:
        held.append(role)
    return {**OK, "didUserAlreadyHaveRole": had}


def take(core: State, req: Request) -> Json:
    """POST T/recipe/user/role/remove"""
    user_id, role = req.text("userId"), req.text("role")
    if role not in core.roles:
        return UNKNOWN_ROLE
    held = core.user_roles.get((req.tenant, user_id), [])
    had = role in held
    if had:
        held.remove(role)
    return {**OK, "didUserHaveRole": had}


def of_user(core: State, req: Request) -> Json:
    """GET T/recipe/user/roles"""
    return {**OK, "roles": list(core.user_roles.get((req.tenant, req.text("userId")), []))}


def users_with(core: State, req: Request) -> Json:
    """GET T/recipe/role/users"""
    role = req.text("role")
    if role not in core.roles:
        return UNKNOWN_ROLE
    holders = [user for (tenant, user), held in core.user_roles.items() if tenant == req.tenant and role in held]
    return {**OK, "users": holders}


ROUTES: Routes = {
    ("PUT", "/recipe/role"): create,
    ("POST", "/recipe/role/remove"): delete,
    ("GET", "/recipe/role/permissions"): permissions,
    ("POST", "/recipe/role/permissions/remove"): remove_permissions,
    ("GET", "/recipe/permission/roles"): with_permission,
    ("GET", "/recipe/roles"): all_roles,
    ("PUT", "/recipe/user/role"): grant,
    ("POST", "/recipe/user/role/remove"): take,
    ("GET", "/recipe/user/roles"): of_user,
    ("GET", "/recipe/role/users"): users_with,
}
