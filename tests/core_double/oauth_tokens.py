"""OAuth2 tokens: issued for a code, a refresh token or a client's own credentials; introspected; revoked."""

from __future__ import annotations

import base64
import binascii
import hashlib

from core_double import keys, oauth_clients
from core_double.oauth_errors import known_error
from core_double.state import OauthClient, OauthGrant, OauthRefreshToken, State
from core_double.wire import OK, CoreError, Json, Request, Routes

EXPIRES_IN = 3600
REFRESH_LIFETIME = 30 * 24 * 60 * 60 * 1000
ACCESS_TOKEN, ID_TOKEN = 1, 2
INACTIVE: Json = {**OK, "active": False}


# --- making tokens ------------------------------------------------------------------------------------------------


def access_token(core: State, grant: OauthGrant, custom: Json) -> str:
    now = core.now() // 1000
    payload: Json = {
        "iat": now,
        "exp": now + EXPIRES_IN,
        "client_id": grant.client_id,
        "iss": grant.issuer,
        "jti": core.secrets.uuid(),
        "nbf": now,
        "scp": grant.scopes,
        "sub": grant.subject,
        "stt": ACCESS_TOKEN,
        "gid": grant.id,
        **grant.session,
    }
    return keys.sign({**custom, **payload}, dynamic=False)


def id_token(core: State, grant: OauthGrant, custom: Json, with_access_token: str) -> str:
    now = core.now() // 1000
    payload: Json = {
        "iat": now,
        "exp": now + EXPIRES_IN,
        "aud": grant.client_id,
        "auth_time": grant.auth_time,
        "iss": grant.issuer,
        "jti": core.secrets.uuid(),
        "rat": grant.auth_time,
        "sid": grant.session.get("sessionHandle"),
        "sub": grant.subject,
        "stt": ID_TOKEN,
        "gid": core.secrets.uuid(),
    }
    if with_access_token:
        half = hashlib.sha256(with_access_token.encode()).digest()[:16]
        payload["at_hash"] = base64.urlsafe_b64encode(half).decode().rstrip("=")
    if grant.nonce:
        payload["nonce"] = grant.nonce
    return keys.sign({**custom, **payload}, dynamic=False)


def _refresh_token(core: State, grant: OauthGrant) -> str:
    token = f"st_rt_{core.secrets.opaque(32).rstrip('=')}.{core.secrets.opaque(32).rstrip('=')}"
    core.oauth_refresh_tokens[token] = OauthRefreshToken(grant, core.now(), core.now() + REFRESH_LIFETIME)
    return token


def _tokens(core: State, grant: OauthGrant, access_payload: Json, id_payload: Json) -> Json:
    access = access_token(core, grant, access_payload)
    answer: Json = {
        **OK,
        "access_token": access,
        "expires_in": EXPIRES_IN,
        "scope": " ".join(grant.scopes),
        "token_type": "bearer",
    }
    if "openid" in grant.scopes:
        answer["id_token"] = id_token(core, grant, id_payload, access)
    return answer


# --- who is asking ------------------------------------------------------------------------------------------------


def _basic(header: str) -> tuple[str, str]:
    """Id and secret in a Basic header. What is no such header makes the core stumble, each in its own way."""
    text = header.removeprefix("Basic ").strip()
    try:
        client_id, colon, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        bad = next((char for char in text if not (char.isalnum() or char in "+/=")), " ")
        raise CoreError(f"java.lang.IllegalArgumentException: Illegal base64 character {ord(bad):x}", 500) from None
    if not colon or not secret:
        raise CoreError("java.lang.ArrayIndexOutOfBoundsException: Index 1 out of bounds for length 1", 500)
    return client_id, secret


def _authenticated(core: State, header: str | None, client_id: str | None, secret: str | None) -> OauthClient | Json:
    """The client, if it is who it says in the way it was registered for; the refusal otherwise."""
    method = "client_secret_basic" if header is not None else "client_secret_post" if secret else "none"
    if header is not None:
        client_id, secret = _basic(header)
    client = core.oauth_clients.get(client_id or "")
    if client is None:
        return oauth_clients.NOT_FOUND
    expected = oauth_clients.auth_method(client)
    if expected != method:
        hint = (
            f"The OAuth 2.0 Client supports client authentication method '{expected}', but method '{method}' was"
            " requested. You must configure the OAuth 2.0 client's 'token_endpoint_auth_method' value to accept"
            f" '{method}'."
        )
        return known_error("invalid_client", hint)
    if client.secret != secret and expected != "none":
        return known_error("invalid_client")
    return client


# --- /oauth/token -------------------------------------------------------------------------------------------------


def issue(core: State, req: Request) -> Json:
    """POST /recipe/oauth/token"""
    body: Json = req.object("inputBody")
    grant_type = body.get("grant_type")
    if not isinstance(grant_type, str):
        raise CoreError("Field name 'grant_type' is invalid in JSON input")
    if grant_type != "authorization_code":
        req.object("access_token")
    header = req.nullable_text("authorizationHeader")
    client = _authenticated(core, header, body.get("client_id"), body.get("client_secret"))
    if not isinstance(client, OauthClient):
        return client
    if grant_type not in oauth_clients.grant_types(client):
        hint = f"The OAuth 2.0 Client is not allowed to use authorization grant '{grant_type}'."
        return known_error("unauthorized_client", hint)
    if grant_type == "authorization_code":
        return _for_code(core, client, body)
    if grant_type == "refresh_token":
        return _for_refresh_token(core, client, body, req)
    return _for_client(core, client, body, req)


def _for_code(core: State, client: OauthClient, body: Json) -> Json:
    code = core.oauth_codes.get(str(body.get("code")))
    if code is None or code.expiry < core.now() or code.grant.revoked:
        return known_error("invalid_grant")
    grant = code.grant
    if grant.client_id != client.id:
        hint = "The OAuth 2.0 Client ID from this request does not match the one from the authorize request."
        return known_error("invalid_grant", hint)
    if code.used:
        # A code that comes twice was stolen once, so what it gave is taken back (RFC 6749, 4.1.2).
        grant.revoked = True
        return known_error("invalid_grant", "The authorization code has already been used.")
    if body.get("redirect_uri", grant.redirect_uri) != grant.redirect_uri:
        hint = "The 'redirect_uri' from this request does not match the one from the authorize request."
        return known_error("invalid_grant", hint)
    if grant.code_challenge and not _proves(grant, str(body.get("code_verifier", ""))):
        return known_error("invalid_grant", "The PKCE code challenge did not match the code verifier.")
    code.used = True
    answer = _tokens(core, grant, grant.access_token_payload, grant.id_token_payload)
    offline = {"offline_access", "offline"} & set(grant.scopes)
    if offline and "refresh_token" in oauth_clients.grant_types(client):
        answer["refresh_token"] = _refresh_token(core, grant)
    return answer


def _proves(grant: OauthGrant, verifier: str) -> bool:
    """PKCE (RFC 7636)."""
    if grant.code_challenge_method == "plain":
        return verifier == grant.code_challenge
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=") == grant.code_challenge


def _for_refresh_token(core: State, client: OauthClient, body: Json, req: Request) -> Json:
    token = str(body.get("refresh_token"))
    known = _live(core, token)
    if known is None:
        return known_error("invalid_grant")
    grant = known.grant
    if grant.client_id != client.id:
        hint = "The OAuth 2.0 Client ID from this request does not match the ID during the initial token issuance."
        return known_error("invalid_grant", hint)
    for scope in str(body.get("scope") or "").split():
        if scope not in grant.scopes:
            return known_error("invalid_scope", f"The requested scope '{scope}' was not originally granted.")
    answer = _tokens(core, grant, req.object("access_token"), req.object("id_token"))
    if client.rotates:
        del core.oauth_refresh_tokens[token]
        answer["refresh_token"] = _refresh_token(core, grant)
    else:
        known.issued, known.expiry = core.now(), core.now() + REFRESH_LIFETIME
    return answer


def _for_client(core: State, client: OauthClient, body: Json, req: Request) -> Json:
    asked = str(body.get("scope") or "").split()
    for scope in asked:
        if scope not in oauth_clients.scopes(client):
            return known_error("invalid_scope", f"The OAuth 2.0 Client is not allowed to request scope '{scope}'.")
    for audience in str(body.get("audience") or "").split():
        if audience not in (client.given.get("audience") or []):
            hint = f"Requested audience '{audience}' has not been whitelisted by the OAuth 2.0 Client."
            return known_error("invalid_request", hint)
    payloads = req.object("access_token"), req.object("id_token")
    issuer, now = req.text("iss"), core.now() // 1000
    grant = OauthGrant(core.secrets.uuid(), client.id, issuer, asked, client.id, now, {}, *payloads)
    core.oauth_grants[grant.id] = grant
    return _tokens(core, grant, *payloads)


def _live(core: State, token: str) -> OauthRefreshToken | None:
    known = core.oauth_refresh_tokens.get(token)
    return known if known and not known.grant.revoked and known.expiry > core.now() else None


# --- introspection ------------------------------------------------------------------------------------------------


def introspect(core: State, req: Request) -> Json:
    """POST /recipe/oauth/introspect"""
    token, asked = req.text("token"), set((req.nullable_text("scope") or "").split())
    return (
        _introspect_refresh(core, token, asked)
        if token.startswith("st_rt_")
        else _introspect_access(core, token, asked)
    )


def _introspect_refresh(core: State, token: str, asked: set[str]) -> Json:
    known = _live(core, token)
    if known is None or asked - set(known.grant.scopes):
        return INACTIVE
    grant = known.grant
    return {
        **OK,
        "active": True,
        "scope": " ".join(grant.scopes),
        "client_id": grant.client_id,
        "sub": grant.subject,
        "exp": known.expiry // 1000,
        "iat": known.issued // 1000,
        "nbf": known.issued // 1000,
        "aud": [],
        "iss": grant.issuer,
        "token_type": "Bearer",
        "token_use": "refresh_token",
        "gid": grant.id,
        **grant.session,
    }


def _introspect_access(core: State, token: str, asked: set[str]) -> Json:
    claims = keys.read(token)
    if claims is None or claims.get("stt") != ACCESS_TOKEN or claims["exp"] * 1000 < core.now():
        return INACTIVE
    grant = core.oauth_grants.get(claims["gid"])
    if grant is None or grant.revoked or claims["jti"] in core.oauth_revoked_access or asked - set(claims["scp"]):
        return INACTIVE
    return {**OK, **claims, "active": True, "token_type": "Bearer", "token_use": "access_token"}


# --- revocation ---------------------------------------------------------------------------------------------------


def revoke(core: State, req: Request) -> Json:
    """POST /recipe/oauth/token/revoke; only a refresh token asks who is asking, and it ends its access tokens too

    The core hands a Basic header on as if it came in the body, so Hydra refuses clients registered for Basic.
    """
    token = req.text("token")
    if not token.startswith("st_rt_"):
        claims = keys.read(token) or {}
        core.oauth_revoked_access.add(str(claims.get("jti")))
        return OK
    header = req.nullable_text("authorizationHeader")
    client_id, secret = _basic(header) if header is not None else (req.text("client_id"), None)
    client = _authenticated(core, None, client_id, secret or req.nullable_text("client_secret"))
    known = core.oauth_refresh_tokens.get(token)
    if not isinstance(client, OauthClient) or (known is not None and known.grant.client_id != client.id):
        return known_error("invalid_client")
    if known is not None:
        known.grant.revoked = True
    return OK


def revoke_of_client(core: State, req: Request) -> Json:
    """POST /recipe/oauth/tokens/revoke"""
    client_id = req.text("client_id")
    core.revoke_grants(lambda grant: grant.client_id == client_id)
    return OK


def revoke_of_session(core: State, req: Request) -> Json:
    """POST /recipe/oauth/session/revoke"""
    session_handle = req.text("sessionHandle")
    core.revoke_grants(lambda grant: grant.session.get("sessionHandle") == session_handle)
    return OK


ROUTES: Routes = {
    ("POST", "/recipe/oauth/token"): issue,
    ("POST", "/recipe/oauth/introspect"): introspect,
    ("POST", "/recipe/oauth/token/revoke"): revoke,
    ("POST", "/recipe/oauth/tokens/revoke"): revoke_of_client,
    ("POST", "/recipe/oauth/session/revoke"): revoke_of_session,
}
