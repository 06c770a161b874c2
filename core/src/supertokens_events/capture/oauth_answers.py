"""What an OAuth2 provider answers: to a browser in the address that it is sent to, to a client in tokens.

Both hold secrets, so nobody but this module reads them, and it gives plain words only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from supertokens_events.capture.recipe import Matcher, Outcome, failure
from supertokens_events.catalog.oauth import OAuthTokenType

__all__ = ["basic_client_id", "completed", "granted", "holder", "reason_of", "refused"]

STEPS = ("login_challenge", "loginChallenge", "consent_challenge", "login_verifier", "consent_verifier")
CLAIMS = ("client_id", "sub", "rsub", "tId", "sessionHandle")
PROSE = {
    "Unable to locate the resource": "invalid_client",
    "Unable to insert or update resource because a resource with that value exists already": "already_exists",
    "Not Found": "invalid_request",
}


def completed(outcome: Outcome) -> Mapping[str, Any] | None:
    """The browser is on its way back to the client, with a code or with tokens. Gives the field ``gave_code``."""
    answer = _answer(outcome)
    if "error" in answer or not {"code", *OAuthTokenType} & answer.keys():
        return None
    return {"gave_code": "code" in answer}


def refused(reasons: type[StrEnum], *accepted: str) -> Matcher:
    """An OAuth2 error: as such, or in the address to which the browser is sent. Gives the field ``reason``."""
    general = {"GeneralErrorResponse": reasons("general_error")} if "general_error" in set(reasons) else {}
    by_class = failure(general, ok=accepted, other=reasons("other"), error=reasons("error"))

    def match(outcome: Outcome) -> Mapping[str, Any] | None:
        if "ErrorOAuth2Response" in outcome.names:
            return {"reason": reason_of(reasons, outcome.value.error)}
        if "error" in (answer := _answer(outcome)):
            return {"reason": reason_of(reasons, answer["error"])}
        return by_class(outcome)

    return match


def reason_of(reasons: type[StrEnum], error: str) -> StrEnum:
    """What an error means in one word. Besides the names of OAuth2 there is prose of the core's, and of an app's."""
    name = PROSE.get(error, error)
    return reasons(name) if name in set(reasons) else reasons("other")


def granted(outcome: Outcome) -> Mapping[str, Any]:
    """Which kinds of tokens a client got, for which scopes and how many seconds: as the answer itself, or in the address
    to which the browser is sent.
    """
    got = _answer(outcome) or vars(outcome.value)
    return {
        "token_types": [kind for kind in OAuthTokenType if got.get(kind)],
        "scopes": (got.get("scope") or "").split(),
        "expires_in": int(got["expires_in"]) if got.get("expires_in") else None,
    }


def holder(access_token: str | None) -> Mapping[str, str]:
    """For whom the core has just made an access token: five of its claims, as it wrote them. Nobody has to check its
    signature. Of a token that is no JWT: nothing.
    """
    part = (access_token or "").split(".")[1:2]
    try:
        claims = json.loads(base64.urlsafe_b64decode(f"{part[0]}==")) if part else None
    except ValueError:
        return {}
    found = claims if isinstance(claims, dict) else {}
    return {name: found[name] for name in CLAIMS if isinstance(found.get(name), str)}


def basic_client_id(header: Any) -> str | None:
    """Who a client says it is in a Basic header. What has no colon may be a secret alone."""
    if not isinstance(header, str) or not header.lower().startswith("basic "):
        return None
    try:
        client_id, colon, _ = base64.b64decode(header[len("basic ") :]).decode().partition(":")
    except ValueError:
        return None
    return client_id if colon and client_id else None


def _answer(outcome: Outcome) -> Mapping[str, str]:
    """The parameters with which a browser goes back to the client; none on its way to the next step.

    An implicit grant has them in the fragment.
    """
    address = getattr(outcome.value, "redirect_to", None) or getattr(outcome.value, "frontend_redirect_to", None)
    if not isinstance(address, str):
        return {}
    parts = urlsplit(address)
    answer = dict(parse_qsl(f"{parts.query}&{parts.fragment}"))
    return {} if any(step in answer for step in STEPS) else answer
