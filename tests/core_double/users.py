"""Users: their JSON, looking them up, adding, changing and deleting them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable

from core_double.state import AccountInfo, LoginMethod, State, User
from core_double.wire import OK, Json, Request, Routes


def normalise_email(email: str) -> str:
    return email.strip().lower()


def hash_password(password: str) -> str:
    """Fast on purpose: a slow hash would make every sign-in of every test slow and protect nobody."""
    return hashlib.sha256(password.encode()).hexdigest()


# --- JSON ---------------------------------------------------------------------------------------------------------


def user_json(core: State, req: Request, user: User) -> Json:
    """A user as CDI shows it; ``webauthn`` came with CDI 5.3."""
    result: Json = {
        "id": core.outer(user.id),
        "isPrimaryUser": user.is_primary,
        "tenantIds": tenants_of(user),
        "timeJoined": time_joined(user),
        "emails": _distinct(method.email for method in user.methods),
        "phoneNumbers": _distinct(method.phone_number for method in user.methods),
        "thirdParty": [_third_party(method) for method in user.methods if method.third_party],
        "webauthn": {"credentialIds": [key for method in user.methods for key in method.credential_ids]},
        "loginMethods": [_method_json(core, req, method) for method in user.methods],
    }
    if req.cdi < (5, 3):
        del result["webauthn"]
    return result


def tenants_of(user: User) -> list[str]:
    return _distinct(tenant for method in user.methods for tenant in method.tenant_ids)


def time_joined(user: User) -> int:
    return min(method.time_joined for method in user.methods)


def _method_json(core: State, req: Request, method: LoginMethod) -> Json:
    result: Json = {
        "recipeId": method.recipe_id,
        "recipeUserId": core.outer(method.id),
        "tenantIds": list(method.tenant_ids),
        "timeJoined": method.time_joined,
        "verified": is_verified(core, method),
    }
    if method.email is not None:
        result["email"] = method.email
    if method.phone_number is not None:
        result["phoneNumber"] = method.phone_number
    if method.third_party is not None:
        result["thirdParty"] = _third_party(method)
    if method.recipe_id == "webauthn" and req.cdi >= (5, 3):
        result["webauthn"] = {"credentialIds": list(method.credential_ids)}
    return result


def is_verified(core: State, method: LoginMethod) -> bool:
    """A phone number is verified by the sign-in itself; an e-mail by a fact kept per user and address."""
    return method.email is None or (method.id, method.email) in core.verified


def _third_party(method: LoginMethod) -> Json:
    assert method.third_party is not None
    return {"id": method.third_party[0], "userId": method.third_party[1]}


def _distinct(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value is not None))


# --- looking up ---------------------------------------------------------------------------------------------------


def find_user(core: State, user_id: str) -> User | None:
    """The user with this id, or with a login method of this id."""
    inner = core.inner(user_id)
    return core.user_of.get(inner) or core.users.get(inner)


def find_method(core: State, recipe_user_id: str, recipe_id: str | None = None) -> LoginMethod | None:
    method = core.methods.get(core.inner(recipe_user_id))
    return method if method and recipe_id in (None, method.recipe_id) else None


def methods_with(core: State, info: AccountInfo, tenant_id: str) -> list[LoginMethod]:
    found = (core.methods[key] for key in core.by_account_info.get(info, {}))
    return [method for method in found if tenant_id in method.tenant_ids]


def users_with(core: State, info: AccountInfo, tenant_id: str) -> list[User]:
    users = {core.user_of[method.id].id: core.user_of[method.id] for method in methods_with(core, info, tenant_id)}
    return sorted(users.values(), key=time_joined)


def taken(core: State, recipe_id: str, info: AccountInfo, tenant_id: str, but: str = "") -> bool:
    """Whether another login method of the same recipe has this account info in this tenant."""
    return any(m.recipe_id == recipe_id and m.id != but for m in methods_with(core, info, tenant_id))


def already_associated(info: AccountInfo) -> str:
    """What the core says when two primary users would share this account info."""
    words = {"email": "email", "phone": "phone number", "thirdparty": "third party login", "webauthn": "credential"}
    return f"This user's {words[info[0]]} is already associated with another user ID"


def other_primary(core: State, user: User, info: AccountInfo, tenant_ids: list[str]) -> User | None:
    """Another primary user that has this account info in one of these tenants."""
    for tenant_id in tenant_ids:
        for other in users_with(core, info, tenant_id):
            if other.is_primary and other is not user:
                return other
    return None


# --- changing -----------------------------------------------------------------------------------------------------


def add_user(core: State, method: LoginMethod) -> User:
    user = User(method.id, False, [method])
    core.users[user.id] = core.user_of[method.id] = user
    core.methods[method.id] = method
    index(core, method)
    return user


def index(core: State, method: LoginMethod) -> None:
    for info in method.account_infos:
        core.by_account_info[info][method.id] = None


def unindex(core: State, method: LoginMethod) -> None:
    for info in method.account_infos:
        core.by_account_info[info].pop(method.id, None)


def obstacle_to_change(core: State, method: LoginMethod, info: AccountInfo) -> Json | None:
    """Why a login method may not have this e-mail or phone number, as the core says it."""
    user = core.user_of[method.id]
    name, word = {"email": ("EMAIL", "email"), "phone": ("PHONE_NUMBER", "phone number")}[info[0]]
    if any(taken(core, method.recipe_id, info, tenant_id, but=method.id) for tenant_id in method.tenant_ids):
        return {"status": f"{name}_ALREADY_EXISTS_ERROR"}
    if user.is_primary and other_primary(core, user, info, tenants_of(user)):
        reason = f"New {word} is associated with another primary user ID"
        return {"status": f"{name}_CHANGE_NOT_ALLOWED_ERROR", "reason": reason}
    return None


def change_account_info(core: State, method: LoginMethod, email: str | None, phone_number: str | None = None) -> None:
    unindex(core, method)
    method.email, method.phone_number = email, phone_number
    index(core, method)


def delete_method(core: State, method: LoginMethod) -> None:
    """Takes a login method away, and the user with its last one."""
    unindex(core, method)
    for credential in [one for one in core.credentials.values() if one.user_id == method.id]:
        del core.credentials[credential.relying_party_id, credential.id]
    del core.methods[method.id]
    user = core.user_of.pop(method.id)
    user.methods.remove(method)
    if not user.methods:
        del core.users[user.id]


def forget_user_id(core: State, user_id: str) -> None:
    """Everything outside of sign-in that is kept under a user id, whether it was kept under the external one or not."""
    for key in {user_id, core.outer(user_id)}:
        forget_sessions(core, key)
        core.metadata.pop(key, None)
        core.totp_devices.pop(key, None)
        core.used_totps.pop(key, None)
        for owner in [owner for owner in core.user_roles if owner[1] == key]:
            del core.user_roles[owner]
        core.verified -= {pair for pair in core.verified if pair[0] == key}
    mapping = core.mappings.pop(user_id, None)
    if mapping:
        del core.internal_ids[mapping.external_id]


def forget_sessions(core: State, user_id: str) -> None:
    for handle in core.sessions_of.pop(user_id, {}):
        del core.sessions[handle]


# --- handlers -----------------------------------------------------------------------------------------------------


def by_id(core: State, req: Request) -> Json:
    """GET /user/id"""
    user = find_user(core, req.text("userId"))
    return {**OK, "user": user_json(core, req, user)} if user else {"status": "UNKNOWN_USER_ID_ERROR"}


def by_account_info(core: State, req: Request) -> Json:
    """GET T/users/by-accountinfo"""
    found = [users_with(core, info, req.tenant) for info in _asked_infos(req)]
    users = {user.id: user for user in itertools.chain.from_iterable(found)}
    if not req.flag("doUnionOfAccountInfo", False):
        users = {key: user for key, user in users.items() if all(user in some for some in found)}
    return {**OK, "users": [user_json(core, req, user) for user in sorted(users.values(), key=time_joined)]}


def _asked_infos(req: Request) -> list[AccountInfo]:
    infos: list[AccountInfo] = []
    if req.has("email"):
        infos.append(("email", normalise_email(req.text("email"))))
    if req.has("phoneNumber"):
        infos.append(("phone", req.text("phoneNumber")))
    if req.has("thirdPartyId"):
        infos.append(("thirdparty", req.text("thirdPartyId"), req.text("thirdPartyUserId")))
    if req.has("webauthnCredentialId"):
        infos.append(("webauthn", req.text("webauthnCredentialId")))
    return infos


def remove(core: State, req: Request) -> Json:
    """POST /user/remove"""
    user = find_user(core, req.text("userId"))
    if user is None:
        forget_user_id(core, req.text("userId"))
        return OK
    if req.flag("removeAllLinkedAccounts", True):
        for method in list(user.methods):
            _delete_member(core, user, method)
        return OK
    member = find_method(core, req.text("userId"))
    if member:
        _delete_member(core, user, member)
    return OK


def _delete_member(core: State, user: User, method: LoginMethod) -> None:
    delete_method(core, method)
    if method.id != user.id:
        forget_user_id(core, method.id)
    else:
        forget_sessions(core, method.id)
    if not user.methods:
        forget_user_id(core, user.id)


ROUTES: Routes = {
    ("GET", "/user/id"): by_id,
    ("GET", "/users/by-accountinfo"): by_account_info,
    ("POST", "/user/remove"): remove,
}
