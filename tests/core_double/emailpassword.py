"""Sign-up, sign-in, password reset and updates with e-mail and password."""

from __future__ import annotations

from core_double.state import LoginMethod, MailToken, State
from core_double.users import (
    add_user,
    change_account_info,
    find_method,
    find_user,
    hash_password,
    methods_with,
    normalise_email,
    obstacle_to_change,
    taken,
    user_json,
)
from core_double.wire import OK, Json, Request, Routes

RESET_TOKEN_LIFETIME = 60 * 60 * 1000


def sign_up(core: State, req: Request) -> Json:
    """POST T/recipe/signup"""
    email = normalise_email(req.text("email"))
    password = req.text("password")
    if taken(core, "emailpassword", ("email", email), req.tenant):
        return {"status": "EMAIL_ALREADY_EXISTS_ERROR"}
    method = LoginMethod("emailpassword", core.secrets.uuid(), core.now(), [req.tenant], email)
    method.password_hash = hash_password(password)
    user = add_user(core, method)
    return {**OK, "user": user_json(core, req, user), "recipeUserId": core.outer(method.id)}


def sign_in(core: State, req: Request) -> Json:
    """POST T/recipe/signin"""
    password_hash = hash_password(req.text("password"))
    for method in methods_with(core, ("email", normalise_email(req.text("email"))), req.tenant):
        if method.recipe_id == "emailpassword" and method.password_hash == password_hash:
            user = core.user_of[method.id]
            return {**OK, "user": user_json(core, req, user), "recipeUserId": core.outer(method.id)}
    return {"status": "WRONG_CREDENTIALS_ERROR"}


def create_reset_token(core: State, req: Request) -> Json:
    """POST T/recipe/user/password/reset/token; any user will do, not only one with a password"""
    user_id = req.text("userId")
    if find_user(core, user_id) is None:
        return {"status": "UNKNOWN_USER_ID_ERROR"}
    token = core.secrets.token()
    expiry = core.now() + RESET_TOKEN_LIFETIME
    core.reset_tokens[token] = MailToken(core.inner(user_id), normalise_email(req.text("email")), req.tenant, expiry)
    return {**OK, "token": token}


def consume_reset_token(core: State, req: Request) -> Json:
    """POST T/recipe/user/password/reset/token/consume; one use ends all of the user's tokens"""
    found = core.reset_tokens.get(req.text("token"))
    if found is None or found.tenant_id != req.tenant or found.expiry < core.now():
        return {"status": "RESET_PASSWORD_INVALID_TOKEN_ERROR"}
    for token in [token for token, other in core.reset_tokens.items() if other.user_id == found.user_id]:
        del core.reset_tokens[token]
    return {**OK, "userId": core.outer(found.user_id), "email": found.email}


def update(core: State, req: Request) -> Json:
    """PUT /recipe/user (rid emailpassword)"""
    method = find_method(core, req.text("recipeUserId"), "emailpassword")
    if method is None:
        return {"status": "UNKNOWN_USER_ID_ERROR"}
    if req.has("email"):
        email = normalise_email(req.text("email"))
        refusal = obstacle_to_change(core, method, ("email", email))
        if refusal:
            return refusal
        change_account_info(core, method, email)
    if req.has("password"):
        method.password_hash = hash_password(req.text("password"))
    return OK


ROUTES: Routes = {
    ("POST", "/recipe/signup"): sign_up,
    ("POST", "/recipe/signin"): sign_in,
    ("POST", "/recipe/user/password/reset/token"): create_reset_token,
    ("POST", "/recipe/user/password/reset/token/consume"): consume_reset_token,
}
