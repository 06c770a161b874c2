"""Which e-mails of which users are verified, and the tokens that prove it."""

from __future__ import annotations

from core_double.state import MailToken, State
from core_double.users import normalise_email
from core_double.wire import OK, Json, Request, Routes

TOKEN_LIFETIME = 24 * 60 * 60 * 1000


def _subject(core: State, req: Request) -> tuple[str, str]:
    return core.inner(req.text("userId")), normalise_email(req.text("email"))


def create_token(core: State, req: Request) -> Json:
    """POST T/recipe/user/email/verify/token"""
    user_id, email = _subject(core, req)
    if (user_id, email) in core.verified:
        return {"status": "EMAIL_ALREADY_VERIFIED_ERROR"}
    token = core.secrets.token()
    core.verification_tokens[token] = MailToken(user_id, email, req.tenant, core.now() + TOKEN_LIFETIME)
    return {**OK, "token": token}


def verify(core: State, req: Request) -> Json:
    """POST T/recipe/user/email/verify; one use ends all tokens for that user and e-mail"""
    found = core.verification_tokens.get(req.text("token"))
    if found is None or found.tenant_id != req.tenant or found.expiry < core.now():
        return {"status": "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR"}
    _forget_tokens(core, found.user_id, found.email)
    core.verified.add((found.user_id, found.email))
    return {**OK, "userId": core.outer(found.user_id), "email": found.email}


def is_verified(core: State, req: Request) -> Json:
    """GET /recipe/user/email/verify"""
    return {**OK, "isVerified": _subject(core, req) in core.verified}


def revoke_tokens(core: State, req: Request) -> Json:
    """POST T/recipe/user/email/verify/token/remove"""
    _forget_tokens(core, *_subject(core, req))
    return OK


def unverify(core: State, req: Request) -> Json:
    """POST /recipe/user/email/verify/remove"""
    core.verified.discard(_subject(core, req))
    return OK


def _forget_tokens(core: State, user_id: str, email: str) -> None:
    for token, other in list(core.verification_tokens.items()):
        if (other.user_id, other.email) == (user_id, email):
            del core.verification_tokens[token]


ROUTES: Routes = {
    ("POST", "/recipe/user/email/verify/token"): create_token,
    ("POST", "/recipe/user/email/verify"): verify,
    ("GET", "/recipe/user/email/verify"): is_verified,
    ("POST", "/recipe/user/email/verify/token/remove"): revoke_tokens,
    ("POST", "/recipe/user/email/verify/remove"): unverify,
}
