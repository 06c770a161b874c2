"""Primary users and the login methods linked to them.

No two primary users of one tenant may share an e-mail, a phone number, a third-party account or a credential.
"""

from __future__ import annotations

from core_double.state import LoginMethod, State, User
from core_double.users import (
    already_associated,
    delete_method,
    find_method,
    find_user,
    forget_sessions,
    other_primary,
    tenants_of,
    user_json,
)
from core_double.wire import OK, CoreError, Json, Request, Routes


def _unknown(req: Request, name: str) -> CoreError:
    return CoreError(f"Unknown user ID provided: {req.text(name)}")


def _method(core: State, req: Request) -> LoginMethod:
    method = find_method(core, req.text("recipeUserId"))
    if method is None:
        raise _unknown(req, "recipeUserId")
    return method


def _conflict(core: State, user: User, methods: list[LoginMethod], tenant_ids: list[str]) -> Json | None:
    """The refusal if another primary user of these tenants has some account info of these login methods."""
    for method in methods:
        for info in method.account_infos:
            other = other_primary(core, user, info, tenant_ids)
            if other:
                return {
                    "status": "ACCOUNT_INFO_ALREADY_ASSOCIATED_WITH_ANOTHER_PRIMARY_USER_ID_ERROR",
                    "primaryUserId": core.outer(other.id),
                    "description": already_associated(info),
                }
    return None


# --- primary users ------------------------------------------------------------------------------------------------


def _primary_obstacle(core: State, user: User, method: LoginMethod) -> Json | None:
    if user.is_primary and user.id != method.id:
        return {
            "status": "RECIPE_USER_ID_ALREADY_LINKED_WITH_PRIMARY_USER_ID_ERROR",
            "primaryUserId": core.outer(user.id),
            "description": "This user ID is already linked to another user ID",
        }
    return None if user.is_primary else _conflict(core, user, [method], method.tenant_ids)


def can_make_primary(core: State, req: Request) -> Json:
    """GET /recipe/accountlinking/user/primary/check"""
    method = _method(core, req)
    user = core.user_of[method.id]
    return _primary_obstacle(core, user, method) or {**OK, "wasAlreadyAPrimaryUser": user.is_primary}


def make_primary(core: State, req: Request) -> Json:
    """POST /recipe/accountlinking/user/primary"""
    method = _method(core, req)
    user = core.user_of[method.id]
    refusal = _primary_obstacle(core, user, method)
    if refusal:
        return refusal
    was_primary, user.is_primary = user.is_primary, True
    return {**OK, "wasAlreadyAPrimaryUser": was_primary, "user": user_json(core, req, user)}


# --- linking ------------------------------------------------------------------------------------------------------


def _pair(core: State, req: Request) -> tuple[LoginMethod, User]:
    primary = find_user(core, req.text("primaryUserId"))
    if primary is None:
        raise _unknown(req, "primaryUserId")
    return _method(core, req), primary


def _link_obstacle(core: State, req: Request, method: LoginMethod, primary: User) -> Json | None:
    user = core.user_of[method.id]
    if not primary.is_primary:
        return {"status": "INPUT_USER_IS_NOT_A_PRIMARY_USER", "description": "The input user is not a primary user"}
    if user.is_primary and user is not primary:
        return {
            "status": "RECIPE_USER_ID_ALREADY_LINKED_WITH_ANOTHER_PRIMARY_USER_ID_ERROR",
            "primaryUserId": core.outer(user.id),
            "description": "The input recipe user ID is already linked to another user ID",
            "user": user_json(core, req, user),
        }
    if user is primary:
        return None
    return _conflict(core, primary, [*primary.methods, method], [*tenants_of(user), *tenants_of(primary)])


def can_link(core: State, req: Request) -> Json:
    """GET /recipe/accountlinking/user/link/check"""
    method, primary = _pair(core, req)
    refusal = _link_obstacle(core, req, method, primary)
    if refusal:
        return {name: value for name, value in refusal.items() if name != "user"}
    return {**OK, "accountsAlreadyLinked": core.user_of[method.id] is primary}


def link(core: State, req: Request) -> Json:
    """POST /recipe/accountlinking/user/link; the login method's own sessions end"""
    method, primary = _pair(core, req)
    refusal = _link_obstacle(core, req, method, primary)
    if refusal:
        return refusal
    already = core.user_of[method.id] is primary
    if not already:
        del core.users[method.id]
        core.user_of[method.id] = primary
        primary.methods.append(method)
        primary.methods.sort(key=lambda member: member.time_joined)
        forget_sessions(core, method.id)
    return {**OK, "accountsAlreadyLinked": already, "user": user_json(core, req, primary)}


def unlink(core: State, req: Request) -> Json:
    """POST /recipe/accountlinking/user/unlink

    The login method that gave a group its id cannot leave it and keep the id, so it is deleted.
    """
    method = _method(core, req)
    user = core.user_of[method.id]
    if not user.is_primary:
        return {**OK, "wasRecipeUserDeleted": False, "wasLinked": False}
    forget_sessions(core, method.id)
    if user.id == method.id and len(user.methods) > 1:
        delete_method(core, method)
        return {**OK, "wasRecipeUserDeleted": True, "wasLinked": True}
    if user.id == method.id:
        user.is_primary = False
    else:
        user.methods.remove(method)
        core.users[method.id] = core.user_of[method.id] = User(method.id, False, [method])
    return {**OK, "wasRecipeUserDeleted": False, "wasLinked": True}


ROUTES: Routes = {
    ("GET", "/recipe/accountlinking/user/primary/check"): can_make_primary,
    ("POST", "/recipe/accountlinking/user/primary"): make_primary,
    ("GET", "/recipe/accountlinking/user/link/check"): can_link,
    ("POST", "/recipe/accountlinking/user/link"): link,
    ("POST", "/recipe/accountlinking/user/unlink"): unlink,
}
