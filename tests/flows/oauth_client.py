"""An OAuth2 client, and the browser of a user who comes from it: what the flows of the OAuth2 provider are made of."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from supertokens_python.recipe.oauth2provider.interfaces import CreateOAuth2ClientInput, UpdateOAuth2ClientInput
from supertokens_python.recipe.oauth2provider.recipe import OAuth2ProviderRecipe

from flows.harness import ADA, PASSWORD, Step, World

CALLBACK = "https://calendar.example.com/callback"
GOODBYE = "https://calendar.example.com/bye"
OUR_END_SESSION = "http://localhost/auth/oauth/end_session"
STATE = "state-0f-the-client-12345678"
SECRET = "client-Secret-of-26-letters"
SCOPE = "openid email offline_access"

# What is secret in an address or a body, by name.
SECRETS = {
    "code",
    "access_token",
    "id_token",
    "refresh_token",
    "state",
    "login_challenge",
    "loginChallenge",
    "logoutChallenge",
}


# The client


def make_client(w: World, **settings: Any) -> Any:
    """A confidential client that may do everything, kept as ``w.client``."""
    given: dict[str, Any] = {
        **dict.fromkeys(inspect.signature(CreateOAuth2ClientInput).parameters),
        "client_name": "Calendar",
        "client_secret": SECRET,
        "scope": f"{SCOPE} read",
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": [GOODBYE, OUR_END_SESSION],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials", "implicit"],
        "response_types": ["code", "id_token", "id_token token", "code id_token"],
        "token_endpoint_auth_method": "client_secret_post",
        "metadata": {"note": "metadata-0f-the-client"},
        **settings,
    }
    params = CreateOAuth2ClientInput(**given)
    w.secrets |= {SECRET, STATE, "metadata-0f-the-client"}
    w.client = getattr(w.backend.oauth2provider.create_oauth2_client(params), "client", None)
    return w.client


def client(**settings: Any) -> Step:
    return lambda w: make_client(w, **settings)


def update(client_id: str = "", **settings: Any) -> Step:
    """Store these settings of the client, or of another one."""

    def step(w: World) -> None:
        given = UpdateOAuth2ClientInput(client_id=client_id or w.client.client_id, **settings)
        w.backend.oauth2provider.update_oauth2_client(given)

    return step


def delete(client_id: str = "") -> Step:
    return lambda w: w.backend.oauth2provider.delete_oauth2_client(client_id or w.client.client_id)


# The browser


def signed_in(w: World) -> None:
    w.form("/auth/signup", email=ADA, password=PASSWORD)


def go(w: World, address: str, *, session: bool = True) -> dict[str, str]:
    """A GET as a browser does it, with its cookies; what stands in the address it is sent to."""
    cookies = "; ".join(f"{name}={value}" for name, value in getattr(w, "cookies", {}).items())
    w.send("GET", address, session=session, **({"cookie": cookies} if cookies else {}))
    cookie = SimpleCookie()
    for line in w.response.headers.get_list("set-cookie"):
        cookie.load(line)
    w.cookies = {**getattr(w, "cookies", {}), **{name: morsel.value for name, morsel in cookie.items()}}
    w.secrets |= set(w.cookies.values())
    return sent_to(w)


def sent_to(w: World) -> dict[str, str]:
    answer = w.answer if isinstance(w.answer, dict) else {}
    parts = urlsplit(answer.get("frontendRedirectTo") or w.response.headers.get("location", ""))
    found = dict(parse_qsl(f"{parts.query}&{parts.fragment}"))
    w.secrets |= {value for name, value in found.items() if name in SECRETS}
    return found


def params(w: World, **more: str | None) -> dict[str, str]:
    """What the client's link asks for."""
    asked: dict[str, str | None] = {
        "client_id": w.client.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": SCOPE,
        "state": STATE,
        "nonce": "nonce-12345678",
        **more,
    }
    return {name: value for name, value in asked.items() if value is not None}


def authorize(*, session: bool = True, **more: str | None) -> Step:
    """Follow the client's link to ``/oauth/auth``."""

    def step(w: World) -> None:
        w.found = go(w, f"/auth/oauth/auth?{urlencode(params(w, **more))}", session=session)
        w.code = w.found.get("code")

    return step


def log_in(*, challenge: str | None = None) -> Step:
    """The sign-in page, with a session by now, asks where to go on."""

    def step(w: World) -> None:
        w.challenge = challenge or w.found.get("loginChallenge") or w.challenge
        w.found = go(w, f"/auth/oauth/login?loginChallenge={w.challenge}")
        w.code = w.found.get("code")

    return step


def end_session(*, session: bool, post: bool = False, **more: str) -> Step:
    """The client's link to sign out."""

    def step(w: World) -> None:
        asked = {"id_token_hint": w.tokens["id_token"], **more}
        if post:
            w.send("POST", "/auth/oauth/end_session", asked, session=session)
            w.challenge = sent_to(w).get("logoutChallenge")
        else:
            w.challenge = go(w, f"/auth/oauth/end_session?{urlencode(asked)}", session=session).get("logoutChallenge")

    return step


def log_out(*, challenge: str = "", session: bool = True) -> Step:
    """The user agrees to sign out."""
    return lambda w: w.send(
        "POST", "/auth/oauth/logout", {"logoutChallenge": challenge or w.challenge}, session=session
    )


# Tokens


def post_token(w: World, body: Mapping[str, Any], **headers: str) -> None:
    w.send("POST", "/auth/oauth/token", body, **headers)
    w.secrets |= {value for name, value in w.answer.items() if name in SECRETS} if isinstance(w.answer, dict) else set()
    if "access_token" in (w.answer if isinstance(w.answer, dict) else {}):
        w.tokens = w.answer


def as_client(w: World, **form: str) -> dict[str, str]:
    return {"client_id": w.client.client_id, "client_secret": SECRET, **form}


def exchange(**more: str) -> Step:
    """The code for tokens."""
    form = {"grant_type": "authorization_code", "redirect_uri": CALLBACK}
    return lambda w: post_token(w, as_client(w, **{**form, "code": w.code, **more}))


def refresh(**more: str) -> Step:
    return lambda w: post_token(
        w, as_client(w, grant_type="refresh_token", **{"refresh_token": w.tokens["refresh_token"], **more})
    )


def by_itself(**more: str) -> Step:
    """The client asks for a token of its own."""
    return lambda w: post_token(w, as_client(w, **{"grant_type": "client_credentials", "scope": "read", **more}))


def basic(w: World) -> str:
    return "Basic " + base64.b64encode(f"{w.client.client_id}:{SECRET}".encode()).decode()


def revoke(kind: str = "refresh_token", **more: str) -> Step:
    return lambda w: w.send("POST", "/auth/oauth/revoke", as_client(w, **{"token": w.tokens[kind], **more}))


TOKENS = [signed_in, client(), authorize(), exchange()]


# The backend, where the SDK has no function for it


def implementation() -> Any:
    return OAuth2ProviderRecipe.get_instance().recipe_implementation
