"""The end of an OAuth2 session: an id token asks for it, the user agrees, every token of the session is revoked."""

from __future__ import annotations

from urllib.parse import urlencode

from core_double import keys, oauth_clients
from core_double.oauth_errors import known_error, oauth_error
from core_double.state import OauthLogout, State
from core_double.wire import OK, CoreError, Json, Request, Routes

FALLBACK = "{apiDomain}/fallbacks/logout/callback"
ID_TOKEN = 2


def request_logout(core: State, req: Request) -> Json:
    """GET /recipe/oauth/sessions/logout

    Two mistakes of the caller are the core's own: no id token at all and an access token instead end in a 500.
    """
    client_id, session_handle = req.maybe_text("clientId"), None
    hint = req.maybe_text("idTokenHint")
    if hint is not None:
        claims = keys.read(hint)
        if claims is None:
            return known_error("invalid_request")
        if claims.get("stt") != ID_TOKEN:
            raise CoreError(
                'java.lang.NullPointerException: Cannot invoke "com.google.gson.JsonElement.getAsString()" because the'
                ' return value of "com.google.gson.JsonObject.get(String)" is null',
                500,
            )
        client_id, session_handle = claims["aud"], claims["sid"]
    elif client_id is None:
        raise CoreError(
            "io.supertokens.pluginInterface.exceptions.StorageQueryException: org.sqlite.SQLiteException:"
            " [SQLITE_CONSTRAINT_NOTNULL] A NOT NULL constraint failed (NOT NULL constraint failed:"
            " oauth_logout_challenges.client_id)",
            500,
        )
    client = core.oauth_clients.get(client_id or "")
    if client is None:
        return oauth_clients.NOT_FOUND
    uri = req.maybe_text("postLogoutRedirectUri")
    if uri is not None and uri not in (client.given.get("postLogoutRedirectUris") or []):
        text = "The post_logout_redirect_uri is not valid for this client."
        return oauth_error("invalid_request", text, 400)
    challenge = core.secrets.uuid()
    core.oauth_logouts[challenge] = OauthLogout(client.id, session_handle, uri, req.maybe_text("state"))
    return {**OK, "redirectTo": f"{{apiDomain}}/oauth/logout?logout_challenge={challenge}"}


def accept_logout(core: State, req: Request) -> Json:
    """PUT /recipe/oauth/auth/requests/logout/accept; a challenge can be used again"""
    logout = core.oauth_logouts.get(req.text("challenge"))
    if logout is None:
        return oauth_error("invalid_request", "Logout request not found", 400)
    if logout.session_handle is not None:
        core.revoke_grants(lambda grant: grant.session.get("sessionHandle") == logout.session_handle)
    if logout.post_logout_uri is None:
        return {**OK, "redirectTo": FALLBACK}
    state = f"?{urlencode({'state': logout.state})}" if logout.state is not None else ""
    return {**OK, "redirectTo": f"{logout.post_logout_uri}{state}"}


def reject_logout(core: State, req: Request) -> Json:
    """PUT /recipe/oauth/auth/requests/logout/reject"""
    core.oauth_logouts.pop(req.text("challenge"), None)
    return OK


ROUTES: Routes = {
    ("GET", "/recipe/oauth/sessions/logout"): request_logout,
    ("PUT", "/recipe/oauth/auth/requests/logout/accept"): accept_logout,
    ("PUT", "/recipe/oauth/auth/requests/logout/reject"): reject_logout,
}
