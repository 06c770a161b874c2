"""An authorization, step by step: /oauth/auth → login → /oauth/auth → consent → /oauth/auth → code or tokens.

Each step ends in a redirect. Login and consent are asked for with a challenge and answered with a verifier, and each
verifier opens the next step once, in the browser that has the step's cookie.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from core_double import oauth_clients, oauth_tokens
from core_double.oauth_clients import public_json
from core_double.oauth_errors import describe, known_error, not_found
from core_double.state import OauthClient, OauthCode, OauthGrant, OauthRequest, State
from core_double.wire import OK, Json, Request, Routes

MIN_STATE_LENGTH = 8
CODE_LIFETIME = 10 * 60 * 1000
COOKIE_SECONDS = 1800
HYDRA_URL = "http://localhost:4444/oauth2/auth"
FORGET = "Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; SameSite=Lax"


# --- /oauth/auth --------------------------------------------------------------------------------------------------


def authorize(core: State, req: Request) -> Json:
    """POST /recipe/oauth/auth"""
    params = {name: str(value) for name, value in req.object("params").items() if value is not None}
    client = core.oauth_clients.get(params.get("client_id", ""))
    if client is None:
        return oauth_clients.NOT_FOUND
    redirect_uri = _redirect_uri(client, params)
    if redirect_uri is None:
        hint = "The 'redirect_uri' parameter does not match any of the OAuth 2.0 Client's pre-registered redirect urls."
        return known_error("invalid_request", hint)
    wrong = _wrong(client, params)
    if wrong:
        return _failed(redirect_uri, params, *wrong)
    cookies = SimpleCookie(req.nullable_text("cookies") or "")
    had = {name: morsel.value for name, morsel in cookies.items()}
    if "consent_verifier" in params:
        return _finish(core, client, params, redirect_uri, had)
    if "login_verifier" in params:
        return _ask_consent(core, client, params, redirect_uri, had)
    return _ask_login(core, client, params, req.text("iss"))


def _redirect_uri(client: OauthClient, params: Mapping[str, str]) -> str | None:
    known: list[str] = client.given.get("redirectUris") or []
    asked = params.get("redirect_uri")
    if asked is None:
        return known[0] if len(known) == 1 else None
    return asked if asked in known else None


def _wrong(client: OauthClient, params: Mapping[str, str]) -> tuple[str, str] | None:
    """The error and its hint, if the client may not ask so."""
    if len(params.get("state", "")) < MIN_STATE_LENGTH:
        needed = f"must be at least be {MIN_STATE_LENGTH} characters long to ensure sufficient entropy."
        return "invalid_state", f"Request parameter 'state' {needed}"
    asked = params.get("response_type", "")
    if set(asked.split()) not in [set(known.split()) for known in oauth_clients.response_types(client)]:
        return "unsupported_response_type", f"The client is not allowed to request response_type '{asked}'."
    for scope in params.get("scope", "").split():
        if scope not in oauth_clients.scopes(client):
            return "invalid_scope", f"The OAuth 2.0 Client is not allowed to request scope '{scope}'."
    return None


def _failed(redirect_uri: str, params: Mapping[str, str], error: str, hint: str = "") -> Json:
    return _refused(redirect_uri, params, error, describe(error, hint))


def _refused(redirect_uri: str, params: Mapping[str, str], error: str, description: str) -> Json:
    query = {"error": error, "error_description": description, "state": params.get("state", "")}
    return {**OK, "redirectTo": f"{redirect_uri}?{urlencode(query)}&", "cookies": []}


def _ask_login(core: State, client: OauthClient, params: dict[str, str], issuer: str) -> Json:
    request = OauthRequest(
        client_id=client.id,
        params=params,
        login_challenge=core.secrets.opaque(64),
        login_csrf=core.secrets.opaque(32),
        session_id=core.secrets.uuid(),
        login_id=core.secrets.uuid().replace("-", ""),
        issuer=issuer,
    )
    core.oauth_logins[request.login_challenge] = request
    return {
        **OK,
        "redirectTo": f"{{apiDomain}}/oauth/login?{urlencode({'login_challenge': request.login_challenge})}&",
        "cookies": [_cookie(core, _csrf_name("login", client), request.login_csrf)],
    }


def _ask_consent(
    core: State, client: OauthClient, params: dict[str, str], redirect_uri: str, had: Mapping[str, str]
) -> Json:
    verifier = params["login_verifier"]
    request = next((one for one in core.oauth_logins.values() if one.login_verifier == verifier), None)
    if request is None or request.client_id != client.id:
        return _failed(redirect_uri, params, "access_denied", "The login verifier is not known.")
    if request.login_used:
        return _failed(redirect_uri, params, "access_denied", "The login verifier has already been used.")
    if had.get(_csrf_name("login", client)) != request.login_csrf:
        return _failed(redirect_uri, params, "access_denied", "No CSRF value available in the session cookie.")
    request.login_used = True
    if request.refusal:
        return _refused(redirect_uri, params, *request.refusal)
    request.consent_challenge, request.consent_csrf = core.secrets.opaque(64), core.secrets.opaque(32)
    core.oauth_consents[request.consent_challenge] = request
    return {
        **OK,
        "redirectTo": f"{{apiDomain}}/oauth/consent?{urlencode({'consent_challenge': request.consent_challenge})}&",
        "cookies": [
            f"st_oauth_session_dev={core.secrets.opaque(32)}; {FORGET}",
            _cookie(core, _csrf_name("consent", client), request.consent_csrf),
        ],
    }


def _finish(
    core: State, client: OauthClient, params: dict[str, str], redirect_uri: str, had: Mapping[str, str]
) -> Json:
    verifier = params["consent_verifier"]
    request = next((one for one in core.oauth_consents.values() if one.consent_verifier == verifier), None)
    if request is None or request.client_id != client.id:
        return _failed(redirect_uri, params, "access_denied", "The consent verifier is not known.")
    if request.consent_used:
        return _failed(redirect_uri, params, "access_denied", "The consent verifier has already been used.")
    if had.get(_csrf_name("consent", client)) != request.consent_csrf:
        return _failed(redirect_uri, params, "access_denied", "No CSRF value available in the session cookie.")
    request.consent_used = True
    if request.refusal or request.grant is None:
        return _refused(redirect_uri, params, *(request.refusal or ("access_denied", describe("access_denied"))))
    return {**OK, "redirectTo": _success(core, params, redirect_uri, request.grant), "cookies": []}


def _success(core: State, params: Mapping[str, str], redirect_uri: str, grant: OauthGrant) -> str:
    """A code goes into the query, tokens of an implicit grant into the fragment."""
    grant.redirect_uri = redirect_uri
    grant.code_challenge = params.get("code_challenge", "")
    grant.code_challenge_method = params.get("code_challenge_method", "plain")
    grant.nonce = params.get("nonce", "")
    core.oauth_grants[grant.id] = grant
    wanted, common = params["response_type"].split(), {"scope": " ".join(grant.scopes), "state": params["state"]}
    answer: dict[str, str] = {}
    if "code" in wanted:
        code = f"st_ac_{core.secrets.opaque(32).rstrip('=')}.{core.secrets.opaque(32).rstrip('=')}"
        core.oauth_codes[code] = OauthCode(grant, core.now() + CODE_LIFETIME)
        answer["code"] = code
    if "token" in wanted:
        access_token = oauth_tokens.access_token(core, grant, grant.access_token_payload)
        answer |= {"access_token": access_token, "expires_in": str(oauth_tokens.EXPIRES_IN), "token_type": "bearer"}
    if "id_token" in wanted:
        payload = grant.id_token_payload
        answer["id_token"] = oauth_tokens.id_token(core, grant, payload, answer.get("access_token", ""))
    query = urlencode(dict(sorted({**answer, **common}.items())))
    return f"{redirect_uri}?{query}&" if wanted == ["code"] else f"{redirect_uri}#{query}"


# --- cookies ------------------------------------------------------------------------------------------------------


def _csrf_name(step: str, client: OauthClient) -> str:
    return f"st_oauth_{step}_csrf_dev_{zlib.crc32(client.id.encode())}"


def _cookie(core: State, name: str, value: str) -> str:
    end = datetime.fromtimestamp(core.now() // 1000 + COOKIE_SECONDS, UTC)
    expires = end.strftime("%a, %d %b %Y %H:%M:%S GMT")
    return f"{name}={value}; Path=/; Expires={expires}; Max-Age={COOKIE_SECONDS}; HttpOnly; SameSite=Lax"


# --- login and consent --------------------------------------------------------------------------------------------


def _back(request: OauthRequest, name: str, verifier: str) -> Json:
    """Back to /oauth/auth with a verifier; the parameters are the first request's, by name."""
    query = urlencode(dict(sorted({**request.params, name: verifier}.items())))
    return {**OK, "redirectTo": f"{{apiDomain}}/oauth/auth?{query}&"}


def _request_url(request: OauthRequest) -> str:
    return f"{HYDRA_URL}?{urlencode(request.params)}"


def _context(request: OauthRequest) -> Json:
    return {"loginHint": request.params["login_hint"]} if "login_hint" in request.params else {}


def _login(core: State, req: Request) -> OauthRequest | None:
    return core.oauth_logins.get(req.query.get("loginChallenge", ""))


def _consent(core: State, req: Request) -> OauthRequest | None:
    return core.oauth_consents.get(req.query.get("consentChallenge", ""))


def read_login(core: State, req: Request) -> Json:
    """GET /recipe/oauth/auth/requests/login"""
    request = _login(core, req)
    if request is None:
        return not_found()
    client = core.oauth_clients[request.client_id]
    secrets = {"enableRefreshTokenRotation": client.rotates, "clientSecret": client.secret}
    return {
        **OK,
        "challenge": request.login_challenge,
        "requestedScope": request.params.get("scope", "").split(),
        "requestedAccessTokenAudience": [],
        "skip": False,
        "subject": "",
        "oidcContext": _context(request),
        "client": {**public_json(client), **secrets},
        "requestUrl": _request_url(request),
        "sessionId": request.session_id,
    }


def accept_login(core: State, req: Request) -> Json:
    """PUT /recipe/oauth/auth/requests/login/accept; a second time opens nothing, but is answered the same"""
    request = _login(core, req)
    if request is None:
        return not_found()
    request.subject, request.auth_time = req.text("subject"), core.now() // 1000
    request.login_verifier = request.login_verifier or core.secrets.opaque(64)
    return _back(request, "login_verifier", request.login_verifier)


def reject_login(core: State, req: Request) -> Json:
    """PUT /recipe/oauth/auth/requests/login/reject"""
    request = _login(core, req)
    if request is None:
        return not_found()
    request.refusal = _refusal(req)
    request.login_verifier = request.login_verifier or core.secrets.opaque(64)
    return _back(request, "login_verifier", request.login_verifier)


def _refusal(req: Request) -> tuple[str, str]:
    return req.nullable_text("error") or "access_denied", req.nullable_text("errorDescription") or ""


def read_consent(core: State, req: Request) -> Json:
    """GET /recipe/oauth/auth/requests/consent"""
    request = _consent(core, req)
    if request is None:
        return not_found()
    return {
        **OK,
        "challenge": request.consent_challenge,
        "requestedScope": request.params.get("scope", "").split(),
        "requestedAccessTokenAudience": [],
        "skip": False,
        "subject": request.subject,
        "oidcContext": _context(request),
        "client": public_json(core.oauth_clients[request.client_id]),
        "requestUrl": _request_url(request),
        "loginChallenge": request.login_id,
        "loginSessionId": request.session_id,
        "acr": "",
        "amr": [],
        "context": None,
    }


def accept_consent(core: State, req: Request) -> Json:
    """PUT /recipe/oauth/auth/requests/consent/accept"""
    request = _consent(core, req)
    if request is None:
        return not_found()
    request.grant = OauthGrant(
        id=core.secrets.uuid(),
        client_id=request.client_id,
        issuer=req.text("iss"),
        scopes=req.texts("grantScope"),
        subject=request.subject,
        auth_time=request.auth_time,
        session={
            "sessionHandle": req.text("sessionHandle"),
            "tId": req.text("tId"),
            "rsub": req.text("rsub"),
        },
        access_token_payload=req.object("initialAccessTokenPayload"),
        id_token_payload=req.object("initialIdTokenPayload"),
    )
    request.consent_verifier = request.consent_verifier or core.secrets.opaque(64)
    return _back(request, "consent_verifier", request.consent_verifier)


def reject_consent(core: State, req: Request) -> Json:
    """PUT /recipe/oauth/auth/requests/consent/reject"""
    request = _consent(core, req)
    if request is None:
        return not_found()
    request.refusal = _refusal(req)
    request.consent_verifier = request.consent_verifier or core.secrets.opaque(64)
    return _back(request, "consent_verifier", request.consent_verifier)


ROUTES: Routes = {
    ("POST", "/recipe/oauth/auth"): authorize,
    ("GET", "/recipe/oauth/auth/requests/login"): read_login,
    ("PUT", "/recipe/oauth/auth/requests/login/accept"): accept_login,
    ("PUT", "/recipe/oauth/auth/requests/login/reject"): reject_login,
    ("GET", "/recipe/oauth/auth/requests/consent"): read_consent,
    ("PUT", "/recipe/oauth/auth/requests/consent/accept"): accept_consent,
    ("PUT", "/recipe/oauth/auth/requests/consent/reject"): reject_consent,
}
