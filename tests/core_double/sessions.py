"""Sessions: access tokens that are real JWTs, and refresh tokens whose reuse is theft.

A session remembers the hash of the refresh token in use. A refresh makes a child token that names its parent; the
child takes over the first time it, or an access token made with it, is used. Any other token is stolen.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import NamedTuple

from core_double import keys
from core_double.state import PUBLIC, Session, State
from core_double.users import find_user
from core_double.wire import OK, CoreError, Json, Request, Routes

ACCESS_LIFETIME = 60 * 60 * 1000
REFRESH_LIFETIME = 100 * 24 * 60 * 60 * 1000
CLAIMS_OF_THE_CORE = (
    "sub", "iat", "exp", "sessionHandle", "refreshTokenHash1", "parentRefreshTokenHash1", "antiCsrfToken", "rsub",
    "tId",
)  # fmt: skip
_REFRESH_KEY = secrets.token_bytes(32)


class RefreshToken(NamedTuple):
    """What a refresh token carries. ``parent_hash`` is ``None`` for the first of a session."""

    handle: str
    nonce: str
    parent_hash: str | None
    anti_csrf: str | None

    def __str__(self) -> str:
        body = base64.b64encode(json.dumps(self).encode()).decode()
        return f"{body}.{_seal(body)}.V2"


def _read_refresh_token(text: str) -> RefreshToken | None:
    body, _, rest = text.partition(".")
    if not hmac.compare_digest(rest.encode(), f"{_seal(body)}.V2".encode()):
        return None
    return RefreshToken(*json.loads(base64.b64decode(body)))


def _seal(body: str) -> str:
    return hmac.new(_REFRESH_KEY, body.encode(), hashlib.sha256).hexdigest()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- answers ------------------------------------------------------------------------------------------------------


def _unauthorised(message: str) -> Json:
    return {"status": "UNAUTHORISED", "message": message}


def _try_refresh(message: str) -> Json:
    return {"status": "TRY_REFRESH_TOKEN", "message": message}


def _primary_id(core: State, session: Session) -> str:
    user = find_user(core, session.user_id)
    return core.outer(user.id) if user else core.outer(session.user_id)


def _session_json(core: State, session: Session) -> Json:
    return {
        "handle": session.handle,
        "userId": _primary_id(core, session),
        "recipeUserId": core.outer(session.user_id),
        "userDataInJWT": session.data_in_jwt,
        "tenantId": session.tenant_id,
    }


def _access_token(
    core: State, session: Session, refresh_hash: str, parent_hash: str | None, anti_csrf: str | None, expiry: int = 0
) -> Json:
    created = core.now() // 1000
    expiry = expiry or created + ACCESS_LIFETIME // 1000
    payload: Json = {
        **session.data_in_jwt,
        "iat": created,
        "exp": expiry,
        "sub": _primary_id(core, session),
        "tId": session.tenant_id,
        "rsub": core.outer(session.user_id),
        "sessionHandle": session.handle,
        "refreshTokenHash1": refresh_hash,
        "parentRefreshTokenHash1": parent_hash,
        "antiCsrfToken": anti_csrf,
    }
    token = keys.sign(payload, dynamic=session.dynamic_key, version="5")
    return {"token": token, "expiry": expiry * 1000, "createdTime": created * 1000}


def _issue(core: State, session: Session, parent_hash: str | None, anti_csrf: bool) -> Json:
    """A new access and refresh token, and the session they belong to."""
    csrf = core.secrets.uuid() if anti_csrf else None
    now = core.now()
    refresh_token = str(RefreshToken(session.handle, core.secrets.opaque(16), parent_hash, csrf))
    if parent_hash is None:
        session.refresh_hash = _hash(_hash(refresh_token))
    answer: Json = {
        **OK,
        "session": _session_json(core, session),
        "accessToken": _access_token(core, session, _hash(refresh_token), parent_hash, csrf),
        "refreshToken": {"token": refresh_token, "expiry": now + REFRESH_LIFETIME, "createdTime": now},
    }
    if csrf:
        answer["antiCsrfToken"] = csrf
    return answer


def live_session(core: State, handle: str) -> Session | None:
    session = core.sessions.get(handle)
    return session if session and session.expiry > core.now() else None


def end_session(core: State, handle: str) -> None:
    session = core.sessions.pop(handle)
    core.sessions_of[session.user_id].pop(handle, None)


# --- handlers -----------------------------------------------------------------------------------------------------


def _handle(core: State, tenant_id: str) -> str:
    """A new session handle; outside of the public tenant it ends in the tenant's id."""
    handle = core.secrets.uuid()
    return handle if tenant_id == PUBLIC else f"{handle}_{tenant_id}"


def create(core: State, req: Request) -> Json:
    """POST T/recipe/session"""
    now = core.now()
    session = Session(
        handle=_handle(core, req.tenant),
        user_id=core.inner(req.text("userId")),
        tenant_id=req.tenant,
        data_in_jwt=req.object("userDataInJWT"),
        data_in_database=req.object("userDataInDatabase"),
        created=now,
        expiry=now + REFRESH_LIFETIME,
        refresh_hash="",
        dynamic_key=req.flag("useDynamicSigningKey", True),
    )
    core.sessions[session.handle] = session
    core.sessions_of[session.user_id][session.handle] = None
    return _issue(core, session, None, req.flag("enableAntiCsrf"))


def verify(core: State, req: Request) -> Json:
    """POST /recipe/session/verify"""
    claims = keys.read(req.text("accessToken"))
    if claims is None:
        return _try_refresh("Could not verify JWT")
    if claims["exp"] * 1000 < core.now():
        return _try_refresh("Access token expired")
    csrf = claims.get("antiCsrfToken")
    if req.flag("enableAntiCsrf") and req.flag("doAntiCsrfCheck") and csrf != req.nullable_text("antiCsrfToken"):
        return _try_refresh("anti-csrf check failed")
    if claims["parentRefreshTokenHash1"] is None and not req.flag("checkDatabase", False):
        return {**OK, "session": _session_of_claims(claims)}
    return _verify_in_database(core, claims)


def _session_of_claims(claims: Json) -> Json:
    custom = {name: value for name, value in claims.items() if name not in CLAIMS_OF_THE_CORE}
    return {
        "handle": claims["sessionHandle"],
        "userId": claims["sub"],
        "recipeUserId": claims["rsub"],
        "userDataInJWT": custom,
        "tenantId": claims["tId"],
    }


def _verify_in_database(core: State, claims: Json) -> Json:
    session = live_session(core, claims["sessionHandle"])
    if session is None:
        return _unauthorised("Either the session has ended or has been blacklisted")
    own, parent = claims["refreshTokenHash1"], claims["parentRefreshTokenHash1"]
    if parent is not None and session.refresh_hash == _hash(parent):
        session.refresh_hash = _hash(own)
        session.expiry = core.now() + REFRESH_LIFETIME
    if session.refresh_hash != _hash(own):
        return _unauthorised("Using access token whose refresh token is no more.")
    answer: Json = {**OK, "session": _session_json(core, session)}
    if parent is not None:
        answer["accessToken"] = _access_token(core, session, own, None, claims.get("antiCsrfToken"))
    return answer


def refresh(core: State, req: Request) -> Json:
    """POST /recipe/session/refresh"""
    text = req.text("refreshToken")
    token = _read_refresh_token(text)
    if token is None:
        return _unauthorised("Invalid refresh token")
    session = live_session(core, token.handle)
    if session is None:
        return _unauthorised("Session missing in db or has expired")
    if token.parent_hash is not None and session.refresh_hash == _hash(token.parent_hash):
        session.refresh_hash = _hash(_hash(text))
        session.expiry = core.now() + REFRESH_LIFETIME
    if session.refresh_hash != _hash(_hash(text)):
        known = _session_json(core, session)
        return {
            "status": "TOKEN_THEFT_DETECTED",
            "session": {name: known[name] for name in ("handle", "userId", "recipeUserId")},
        }
    if req.flag("enableAntiCsrf") and token.anti_csrf != req.nullable_text("antiCsrfToken"):
        return _unauthorised("Anti CSRF token missing, or not matching")
    session.dynamic_key = req.flag("useDynamicSigningKey", session.dynamic_key)
    return _issue(core, session, _hash(text), req.flag("enableAntiCsrf"))


def regenerate(core: State, req: Request) -> Json:
    """POST /recipe/session/regenerate; an expired access token gets new data but no successor"""
    claims = keys.read(req.text("accessToken"))
    session = live_session(core, claims["sessionHandle"]) if claims else None
    if claims is None or session is None:
        return _unauthorised("Session does not exist.")
    if req.has("userDataInJWT"):
        session.data_in_jwt = req.object("userDataInJWT")
    answer: Json = {**OK, "session": _session_json(core, session)}
    if claims["exp"] * 1000 > core.now():
        own, parent, csrf = (claims[name] for name in ("refreshTokenHash1", "parentRefreshTokenHash1", "antiCsrfToken"))
        answer["accessToken"] = _access_token(core, session, own, parent, csrf, claims["exp"])
    return answer


def information(core: State, req: Request) -> Json:
    """GET /recipe/session"""
    session = live_session(core, req.text("sessionHandle"))
    if session is None:
        return _unauthorised("Session does not exist.")
    return {
        **OK,
        "sessionHandle": session.handle,
        "userId": _primary_id(core, session),
        "recipeUserId": core.outer(session.user_id),
        "userDataInDatabase": session.data_in_database,
        "userDataInJWT": session.data_in_jwt,
        "expiry": session.expiry,
        "timeCreated": session.created,
        "tenantId": session.tenant_id,
    }


def remove(core: State, req: Request) -> Json:
    """POST [T]/recipe/session/remove, by handles or by user"""
    if req.has("sessionHandles"):
        handles = [handle for handle in req.texts("sessionHandles") if handle in core.sessions]
    elif req.has("userId"):
        everywhere = req.flag("revokeAcrossAllTenants", False)
        handles = _handles(core, req, req.flag("revokeSessionsForLinkedAccounts", True), everywhere)
    else:
        raise CoreError("Invalid JSON input - use one of userId or sessionHandles array")
    for handle in handles:
        end_session(core, handle)
    return {**OK, "sessionHandlesRevoked": handles}


def of_user(core: State, req: Request) -> Json:
    """GET [T]/recipe/session/user"""
    linked = req.flag("fetchSessionsForAllLinkedAccounts", True)
    return {**OK, "sessionHandles": _handles(core, req, linked, req.flag("fetchAcrossAllTenants", False))}


def _handles(core: State, req: Request, linked: bool, everywhere: bool) -> list[str]:
    user_id = core.inner(req.text("userId"))
    user = find_user(core, user_id)
    owners = {user_id: None, **({method.id: None for method in user.methods} if user and linked else {})}
    live = (live_session(core, handle) for owner in owners for handle in core.sessions_of.get(owner, {}))
    found = [session for session in live if session and (everywhere or session.tenant_id == req.tenant)]
    return [session.handle for session in sorted(found, key=lambda session: session.created)]


def set_data(core: State, req: Request) -> Json:
    """PUT /recipe/session/data"""
    session = live_session(core, req.text("sessionHandle"))
    if session is None:
        return _unauthorised("Session does not exist.")
    session.data_in_database = req.object("userDataInDatabase")
    return OK


def set_claims(core: State, req: Request) -> Json:
    """PUT /recipe/jwt/data"""
    session = live_session(core, req.text("sessionHandle"))
    if session is None:
        return _unauthorised("Session does not exist.")
    session.data_in_jwt = req.object("userDataInJWT")
    return OK


ROUTES: Routes = {
    ("POST", "/recipe/session"): create,
    ("POST", "/recipe/session/verify"): verify,
    ("POST", "/recipe/session/refresh"): refresh,
    ("POST", "/recipe/session/regenerate"): regenerate,
    ("GET", "/recipe/session"): information,
    ("POST", "/recipe/session/remove"): remove,
    ("GET", "/recipe/session/user"): of_user,
    ("PUT", "/recipe/session/data"): set_data,
    ("PUT", "/recipe/jwt/data"): set_claims,
}
