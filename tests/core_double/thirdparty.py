"""Sign-in with somebody else's account."""

from __future__ import annotations

from core_double.state import LoginMethod, State
from core_double.users import (
    add_user,
    change_account_info,
    methods_with,
    normalise_email,
    other_primary,
    tenants_of,
    user_json,
)
from core_double.wire import OK, Json, Request, Routes


def sign_in_up(core: State, req: Request) -> Json:
    """POST T/recipe/signinup: an e-mail that changed at the provider changes here too"""
    third_party = (req.text("thirdPartyId"), req.text("thirdPartyUserId"))
    email = normalise_email(req.object("email")["id"])
    found = methods_with(core, ("thirdparty", *third_party), req.tenant)
    method = found[0] if found else None
    if method is None:
        method = LoginMethod("thirdparty", core.secrets.uuid(), core.now(), [req.tenant], email, None, third_party)
        add_user(core, method)
    elif method.email != email:
        user = core.user_of[method.id]
        if user.is_primary and other_primary(core, user, ("email", email), tenants_of(user)):
            reason = "Email already associated with another primary user."
            return {"status": "EMAIL_CHANGE_NOT_ALLOWED_ERROR", "reason": reason}
        change_account_info(core, method, email)
    if req.object("email").get("isVerified"):
        core.verified.add((method.id, email))
    return {
        **OK,
        "createdNewUser": not found,
        "user": user_json(core, req, core.user_of[method.id]),
        "recipeUserId": core.outer(method.id),
    }


ROUTES: Routes = {("POST", "/recipe/signinup"): sign_in_up}
