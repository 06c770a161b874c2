"""OAuth2 clients, as the core keeps them in Ory Hydra."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

from core_double.oauth_errors import oauth_error
from core_double.state import OauthClient, State
from core_double.wire import OK, Json, Request, Routes

NOT_FOUND: Json = {"status": "CLIENT_NOT_FOUND_ERROR"}
DEFAULT_PAGE_SIZE = 100
LISTS = ("redirectUris", "grantTypes", "responseTypes")
LIFESPANS = [
    f"{name}Lifespan"
    for name in (
        "authorizationCodeGrantAccessToken",
        "authorizationCodeGrantIdToken",
        "authorizationCodeGrantRefreshToken",
        "clientCredentialsGrantAccessToken",
        "implicitGrantAccessToken",
        "implicitGrantIdToken",
        "refreshTokenGrantAccessToken",
        "refreshTokenGrantIdToken",
        "refreshTokenGrantRefreshToken",
    )
]
# What a client has when nobody said otherwise.
DEFAULTS: Json = {
    "clientName": "",
    "scope": "offline_access offline openid",
    "audience": [],
    "policyUri": "",
    "allowedCorsOrigins": [],
    "tosUri": "",
    "clientUri": "",
    "logoUri": "",
    "tokenEndpointAuthMethod": "client_secret_basic",
    "metadata": {},
    **dict.fromkeys(LIFESPANS),
}
# What only a listing shows.
IN_A_LIST: Json = {
    "owner": "_public",
    "contacts": [],
    "clientSecretExpiresAt": 0,
    "subjectType": "public",
    "jwks": {},
    "userinfoSignedResponseAlg": "none",
    "accessTokenStrategy": "jwt",
    "skipConsent": True,
    "skipLogoutConsent": None,
    "jwtBearerGrantAccessTokenLifespan": None,
}


# --- reading ------------------------------------------------------------------------------------------------------


def is_public(client: OauthClient) -> bool:
    """Whether the client has no secret to show."""
    return bool(auth_method(client) == "none")


def auth_method(client: OauthClient) -> str:
    return str(client.given.get("tokenEndpointAuthMethod", DEFAULTS["tokenEndpointAuthMethod"]))


def scopes(client: OauthClient) -> list[str]:
    return str(client.given.get("scope", DEFAULTS["scope"])).split()


def grant_types(client: OauthClient) -> list[str]:
    return client.given.get("grantTypes") or ["authorization_code"]


def response_types(client: OauthClient) -> list[str]:
    return client.given.get("responseTypes") or ["code"]


def public_json(client: OauthClient) -> Json:
    """A client without its secret."""
    return {
        **DEFAULTS,
        **{name: [] for name in LISTS},
        **client.given,
        "clientId": client.id,
        "createdAt": _instant(client.created, "seconds"),
        "updatedAt": _instant(client.updated, "microseconds"),
    }


def _instant(milliseconds: int, precision: str) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _json(client: OauthClient) -> Json:
    result = {**public_json(client), "enableRefreshTokenRotation": client.rotates}
    return result if is_public(client) else {**result, "clientSecret": client.secret}


def read(core: State, req: Request) -> Json:
    """GET /recipe/oauth/clients"""
    client = core.oauth_clients.get(req.text("clientId"))
    return {**OK, **_json(client)} if client else oauth_error("Unable to locate the resource", "", 404)


def list_clients(core: State, req: Request) -> Json:
    """GET /recipe/oauth/clients/list, by client id"""
    name = req.maybe_text("clientName")
    found = [
        client for _, client in sorted(core.oauth_clients.items()) if not name or client.given["clientName"] == name
    ]
    start, size = _offset(req.maybe_text("pageToken")), req.number("pageSize", DEFAULT_PAGE_SIZE)
    page = found[start : start + size]
    answer: Json = {**OK, "clients": [{**_json(one), **IN_A_LIST, "clientSecret": one.secret} for one in page]}
    if start + size < len(found):
        answer["nextPaginationToken"] = _page_token(start + size)
    return answer


def _page_token(offset: int) -> str:
    raw = json.dumps({"offset": str(offset), "v": 2}, separators=(",", ":"))
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))["offset"])
    except (binascii.Error, ValueError, KeyError):
        return 0


# --- changing -----------------------------------------------------------------------------------------------------


def create(core: State, req: Request) -> Json:
    """POST /recipe/oauth/clients; lists that were left out are null in this one answer"""
    client_id = req.nullable_text("clientId") or f"stcl_{core.secrets.uuid()}"
    if client_id in core.oauth_clients:
        text = "Unable to insert or update resource because a resource with that value exists already"
        return oauth_error(text, "", 409)
    given = _given(req)
    refusal = _bad_redirect_uri(given)
    if refusal:
        return refusal
    now = core.now()
    client = OauthClient(client_id, None, req.flag("enableRefreshTokenRotation", False), given, now, now)
    if not is_public(client):
        client.secret = req.nullable_text("clientSecret") or core.secrets.opaque(19)[:26]
    core.oauth_clients[client_id] = client
    return {**OK, **_json(client), **{name: given.get(name) for name in LISTS}}


def update(core: State, req: Request) -> Json:
    """PUT /recipe/oauth/clients: what is left out stays as it is"""
    client = core.oauth_clients.get(req.text("clientId"))
    if client is None:
        return NOT_FOUND
    given = {**client.given, **_given(req)}
    refusal = _bad_redirect_uri(given)
    if refusal:
        return refusal
    client.given, client.updated = given, core.now()
    client.rotates = req.flag("enableRefreshTokenRotation", client.rotates)
    client.secret = req.nullable_text("clientSecret") or client.secret
    return {**OK, **_json(client)}


def _given(req: Request) -> Json:
    apart = ("clientId", "clientSecret", "enableRefreshTokenRotation")
    return {name: value for name, value in req.body.items() if name not in apart and value is not None}


def _bad_redirect_uri(given: Json) -> Json | None:
    for uri in given.get("redirectUris") or []:
        parts = urlsplit(uri)
        wrong = "Redirect URIs must not contain fragments (#)." if parts.fragment else ""
        if not parts.scheme or not (parts.netloc or parts.path):
            wrong = f"Unable to parse redirect URL: {uri}"
        if wrong:
            text = f"The value of one or more redirect_uris is invalid. {wrong}"
            return oauth_error("invalid_redirect_uri", text, 400)
    return None


def remove(core: State, req: Request) -> Json:
    """POST /recipe/oauth/clients/remove; the client's tokens go too"""
    client_id = req.text("clientId")
    core.revoke_grants(lambda grant: grant.client_id == client_id)
    return {**OK, "didExist": core.oauth_clients.pop(client_id, None) is not None}


ROUTES: Routes = {
    ("GET", "/recipe/oauth/clients"): read,
    ("GET", "/recipe/oauth/clients/list"): list_clients,
    ("POST", "/recipe/oauth/clients"): create,
    ("PUT", "/recipe/oauth/clients"): update,
    ("POST", "/recipe/oauth/clients/remove"): remove,
}
