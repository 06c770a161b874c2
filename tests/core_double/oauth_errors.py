"""The errors of RFC 6749 in the words of Ory Hydra."""

from __future__ import annotations

from core_double.wire import Json

STATUS_CODES = {"access_denied": 403, "invalid_client": 401}
TEXTS = {
    "access_denied": "The resource owner or authorization server denied the request.",
    "invalid_client": "Client authentication failed (e.g., unknown client, no client authentication included, or"
    " unsupported authentication method).",
    "invalid_grant": "The provided authorization grant (e.g., authorization code, resource owner credentials) or"
    " refresh token is invalid, expired, revoked, does not match the redirection URI used in the authorization request,"
    " or was issued to another client.",
    "invalid_request": "The request is missing a required parameter, includes an invalid parameter value, includes a"
    " parameter more than once, or is otherwise malformed.",
    "invalid_scope": "The requested scope is invalid, unknown, or malformed.",
    "invalid_state": "The state is missing or does not have enough characters and is therefore considered too weak.",
    "unauthorized_client": "The client is not authorized to request a token using this method.",
    "unsupported_response_type": "The authorization server does not support obtaining a token using this method.",
}


def oauth_error(error: str, description: str, status_code: int) -> Json:
    return {"status": "OAUTH_ERROR", "error": error, "errorDescription": description, "statusCode": status_code}


def describe(error: str, hint: str = "") -> str:
    return f"{TEXTS[error]} {hint}".strip()


def known_error(error: str, hint: str = "") -> Json:
    """One of RFC 6749's errors, with what Hydra adds about this case."""
    return oauth_error(error, describe(error, hint), STATUS_CODES.get(error, 400))


def not_found() -> Json:
    return oauth_error("Not Found", "Unable to locate the requested resource", 404)
