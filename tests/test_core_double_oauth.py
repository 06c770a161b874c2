"""The double answers each kind of OAuth2 question as a real core with Ory Hydra answered it: one sample, one test.

A sample is one question and its answer, so a test first makes what the question rests on: the recorded clients, and a
login, a consent, a code or tokens of theirs. Their challenges, codes and tokens take the place of the recorded ones.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from core_double import CoreDouble, SecretValues
from core_double.contract import Replay

Pair = dict[str, Any]

DATA = Path(__file__).parent / "data" / "cdi-oauth-samples.json"
SAMPLES: list[Pair] = json.loads(DATA.read_text())["pairs"]
ISSUER = "http://api.local/auth"
CALLBACK = "http://localhost:9999/cb"
GOODBYE = "http://localhost:9999/bye"
SUBJECT = "f0d7304d-fd80-43b2-a6b8-b1c09be2fb24"
SESSION = "53794535-6972-422f-b766-2231c4fe1bcd"
PAYLOAD = {"email": "a@example.com", "email_verified": False, "emails": ["a@example.com"], "roles": None}
REFRESH_PAYLOAD = {"roles": None, "permissions": None}
NOW = 1795426785


def _makes_a_client(pair: Pair) -> bool:
    return (pair["method"], pair["path"]) == ("POST", "/recipe/oauth/clients") and pair["response"]["status"] == "OK"


CREATED = [number for number, pair in enumerate(SAMPLES) if _makes_a_client(pair)]
RENAMED = next(n for n, pair in enumerate(SAMPLES) if pair["method"] == "PUT" and "updatedAt" in pair["response"])


class RecordedIds(SecretValues):
    """Client ids as recorded, because a list of clients is sorted by them."""

    def __init__(self) -> None:
        self.ids = [SAMPLES[number]["response"]["clientId"].removeprefix("stcl_") for number in CREATED]

    def uuid(self) -> str:
        return str(self.ids.pop(0)) if self.ids else super().uuid()


class World:
    """A double with the recorded clients, and a browser that goes through an authorization as far as asked."""

    def __init__(self, core: CoreDouble) -> None:
        self.replay = Replay(core.url)
        self.cookies: list[str] = []
        self.clients: dict[str, str] = {}
        self.secrets: dict[str, str | None] = {}
        for number in CREATED:
            answer = self.replay.compare(SAMPLES[number], number)
            self.clients[answer["clientName"]] = answer["clientId"]
            self.secrets[answer["clientName"]] = answer.get("clientSecret")
        self.replay.compare(SAMPLES[RENAMED], RENAMED)

    def post(self, path: str, body: Any) -> Any:
        return self.replay.ask("POST", path, body=body)[1]

    def put(self, path: str, query: dict[str, str], body: Any) -> Any:
        return self.replay.ask("PUT", path, query, body)[1]

    # --- an authorization -----------------------------------------------------------------------------------------

    def params(self, client: str = "x", **more: str) -> dict[str, str]:
        scope = "openid email" if client == "imp" else "openid offline_access email"
        common = {"client_id": self.clients[client], "redirect_uri": CALLBACK, "state": "12345678"}
        return {"response_type": "code", "scope": scope, **common, **more}

    def authorize(self, params: dict[str, str]) -> str:
        """Where /oauth/auth sends the browser, which keeps the cookies."""
        body = {"params": params, "iss": ISSUER, "session": None, "cookies": ";".join(self.cookies)}
        answer = self.post("/recipe/oauth/auth", body)
        self.cookies += [cookie.partition(";")[0] for cookie in answer["cookies"]]
        return str(answer["redirectTo"])

    def login_challenge(self, params: dict[str, str]) -> str:
        return said(self.authorize(params))["login_challenge"]

    def login_verifier(self, params: dict[str, str]) -> str:
        query = {"loginChallenge": self.login_challenge(params)}
        answer = self.put("/recipe/oauth/auth/requests/login/accept", query, {"subject": SUBJECT})
        return said(answer["redirectTo"])["login_verifier"]

    def consent_challenge(self, params: dict[str, str]) -> str:
        return said(self.authorize({**params, "login_verifier": self.login_verifier(params)}))["consent_challenge"]

    def consent_verifier(self, params: dict[str, str]) -> str:
        body = {
            "grantScope": params["scope"].split(),
            "iss": ISSUER,
            "tId": "public",
            "rsub": SUBJECT,
            "sessionHandle": SESSION,
            "initialAccessTokenPayload": {**PAYLOAD, "permissions": None},
            "initialIdTokenPayload": {**PAYLOAD, "permissions": None},
        }
        query = {"consentChallenge": self.consent_challenge(params)}
        answer = self.put("/recipe/oauth/auth/requests/consent/accept", query, body)
        return said(answer["redirectTo"])["consent_verifier"]

    def finished(self, params: dict[str, str]) -> str:
        """The last redirect, back to the client."""
        return self.authorize({**params, "consent_verifier": self.consent_verifier(params)})

    def code(self, client: str = "x", **more: str) -> str:
        return said(self.finished(self.params(client, **more)))["code"]

    # --- tokens ---------------------------------------------------------------------------------------------------

    def token(self, client: str, **body: str) -> Any:
        payload = REFRESH_PAYLOAD if body["grant_type"] == "refresh_token" else {}
        question: dict[str, Any] = {"iss": ISSUER, "access_token": payload, "id_token": payload}
        secret = self.secrets[client]
        if client in ("rot", "m2mb"):
            credentials = base64.b64encode(f"{self.clients[client]}:{secret}".encode()).decode()
            return self.post(
                "/recipe/oauth/token", {**question, "inputBody": body, "authorizationHeader": f"Basic {credentials}"}
            )
        body["client_id"] = self.clients[client]
        if secret is not None:
            body["client_secret"] = secret
        return self.post("/recipe/oauth/token", {**question, "inputBody": body})

    def tokens(self, client: str = "x") -> Any:
        return self.token(client, grant_type="authorization_code", code=self.code(client), redirect_uri=CALLBACK)

    def refreshed(self, client: str, refresh_token: str, **more: str) -> Any:
        return self.token(client, grant_type="refresh_token", refresh_token=refresh_token, **more)

    def is_active(self, token: str) -> bool:
        return bool(self.post("/recipe/oauth/introspect", {"token": token})["active"])

    def logout_challenge(self, **query: str) -> str:
        question = {"idTokenHint": self.tokens()["id_token"], **query}
        return said(self.replay.ask("GET", "/recipe/oauth/sessions/logout", question)[1]["redirectTo"])[
            "logout_challenge"
        ]


def said(url: str) -> dict[str, str]:
    """The parameters in a URL's query or fragment."""
    parts = urlsplit(url)
    return dict(parse_qsl(parts.query or parts.fragment))


@pytest.fixture
def now() -> list[int]:
    return [NOW]


@pytest.fixture
def world(now: list[int]) -> Iterator[World]:
    with CoreDouble(clock=lambda: now[0] * 1000, secrets=RecordedIds()) as core:
        world = World(core)
        yield world
        world.replay.close()


# --- one sample, one test -----------------------------------------------------------------------------------------

Made = Callable[[World, dict[str, str]], dict[str, str]]


def _with_cookies(name: str, verifier: Callable[[World, dict[str, str]], str]) -> Made:
    def made(world: World, params: dict[str, str]) -> dict[str, str]:
        return {name: verifier(world, params), "cookies": ";".join(world.cookies)}

    return made


def _client_token(world: World) -> str:
    return str(world.token("m2m", grant_type="client_credentials", scope="read")["access_token"])


# What takes the place of what a recorded question names, by the number of the sample.
MADE: dict[int, Made] = {
    **dict.fromkeys((1, 2, 72, 74), lambda world, params: {"consentChallenge": world.consent_challenge(params)}),
    **dict.fromkeys((4, 5, 6, 7, 76, 77), lambda world, params: {"loginChallenge": world.login_challenge(params)}),
    17: lambda world, _: {"idTokenHint": world.tokens()["id_token"]},
    19: lambda world, _: {"idTokenHint": world.tokens()["access_token"]},
    22: _with_cookies("consent_verifier", World.consent_verifier),
    23: _with_cookies("login_verifier", World.login_verifier),
    **dict.fromkeys((36, 37, 42, 66), lambda world, _: {"token": world.tokens()["refresh_token"]}),
    **dict.fromkeys((38, 39, 67), lambda world, _: {"token": world.tokens()["access_token"]}),
    40: lambda world, _: {"token": world.refreshed("x", world.tokens()["refresh_token"])["access_token"]},
    41: lambda world, _: {"token": _client_token(world)},
    **dict.fromkeys((47, 49, 55, 59), lambda world, _: {"refresh_token": world.tokens()["refresh_token"]}),
    **dict.fromkeys((48, 51, 52, 58), lambda world, _: {"code": world.code()}),
    **dict.fromkeys((50, 56), lambda world, _: {"refresh_token": world.tokens("rot")["refresh_token"]}),
    57: lambda world, _: {"code": world.code("rot")},
    65: lambda world, _: {"token": world.tokens("rot")["refresh_token"]},
    **dict.fromkeys((68, 69), lambda world, _: {"token": world.tokens("pub")["refresh_token"]}),
    79: lambda world, _: {"challenge": world.logout_challenge(postLogoutRedirectUri=GOODBYE, state="st12345678")},
}


def _recorded_params(pair: Pair) -> dict[str, str]:
    """The parameters of the authorization that a sample belongs to, where it says."""
    asked = (pair.get("body") or {}).get("params") or {}
    answer = pair["response"] if isinstance(pair["response"], dict) else {}
    found = asked or said(answer.get("requestUrl") or answer.get("redirectTo") or "")
    return {name: value for name, value in found.items() if not name.endswith("_verifier")}


def _filled(question: Any, values: dict[str, str]) -> Any:
    if isinstance(question, dict):
        return {key: values[key] if key in values else _filled(item, values) for key, item in question.items()}
    return question


def _issued_at(pair: Pair) -> int:
    """When a sample was recorded, where it says."""
    answer = pair["response"] if isinstance(pair["response"], dict) else {}
    if "access_token" in answer:
        answer = jwt.decode(answer["access_token"], options={"verify_signature": False})
    return int(answer.get("iat", NOW))


def _name(number: int) -> str:
    pair = SAMPLES[number]
    answer = pair["response"] if isinstance(pair["response"], dict) else {"status": str(pair["http_status"])}
    return f"{number} {pair['method']} {pair['path'].removeprefix('/recipe/oauth/')} {answer.get('error', answer['status'])}"


@pytest.mark.parametrize("number", range(len(SAMPLES)), ids=_name)
def test_sample(number: int, world: World, now: list[int]) -> None:
    """The double's answer has the status, keys, types and constants of the recorded one."""
    now[0] = _issued_at(SAMPLES[number])
    pair = copy.deepcopy(SAMPLES[number])
    if number in MADE:
        values = MADE[number](world, world.replay.translate(_recorded_params(pair)))
        pair |= {part: _filled(pair[part], values) for part in ("query", "body") if part in pair}
    if number not in CREATED:
        world.replay.compare(pair, number)

    assert world.replay.differences == []


# --- what the samples do not show ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"state": "short"}, "invalid_state"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"login_verifier": "unknown"}, "access_denied"),
        ({"consent_verifier": "unknown"}, "access_denied"),
    ],
)
def test_refused_authorization(world: World, more: dict[str, str], error: str) -> None:
    """An authorization that goes wrong sends the browser back to the client with the error and the state."""
    found = said(world.authorize(world.params(**more)))

    assert found["error"] == error
    assert found.get("state") == more.get("state", "12345678")


def test_rejected_login(world: World) -> None:
    """A rejected login ends in the client with the error it was rejected with."""
    params = world.params()
    query = {"loginChallenge": world.login_challenge(params)}
    body = {"error": "login_required", "errorDescription": "nobody is there"}
    back = said(world.put("/recipe/oauth/auth/requests/login/reject", query, body)["redirectTo"])

    assert said(world.authorize({**params, "login_verifier": back["login_verifier"]}))["error"] == "login_required"


VERIFIERS = pytest.mark.parametrize(
    ("name", "verifier"), [("login_verifier", World.login_verifier), ("consent_verifier", World.consent_verifier)]
)


@VERIFIERS
def test_verifier_is_used_once(world: World, name: str, verifier: Callable[[World, dict[str, str]], str]) -> None:
    """A verifier opens the next step once; the second time access is denied."""
    params = world.params()
    step = {**params, name: verifier(world, params)}

    assert "error" not in said(world.authorize(step))
    assert said(world.authorize(step))["error"] == "access_denied"


@VERIFIERS
def test_verifier_needs_its_cookie(world: World, name: str, verifier: Callable[[World, dict[str, str]], str]) -> None:
    """A verifier in another browser is denied."""
    params = world.params()
    step = {**params, name: verifier(world, params)}
    world.cookies.clear()

    assert said(world.authorize(step))["error"] == "access_denied"


def test_implicit_grant(world: World) -> None:
    """An implicit grant has its tokens in the fragment of the last redirect."""
    last = world.finished(world.params("imp", response_type="id_token token", nonce="n12345678"))

    assert {"access_token", "id_token", "state"} <= said(last).keys()
    assert urlsplit(last).query == ""
    assert world.is_active(said(last)["access_token"])


@pytest.mark.parametrize(("verifier", "status"), [("right" * 10, "OK"), ("wrong" * 10, "OAUTH_ERROR")])
def test_pkce(world: World, verifier: str, status: str) -> None:
    """A code that was asked for with a challenge is exchanged only for its verifier."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"right" * 10).digest()).decode().rstrip("=")
    code = world.code("pub", code_challenge=challenge, code_challenge_method="S256")

    asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": verifier}
    assert world.token("pub", **asked)["status"] == status


def test_code_comes_twice(world: World) -> None:
    """A code that is used again is refused, and the tokens it gave are taken back."""
    asked = {"grant_type": "authorization_code", "code": world.code(), "redirect_uri": CALLBACK}
    first, second = world.token("x", **asked), world.token("x", **asked)

    assert second["error"] == "invalid_grant"
    assert not world.is_active(first["access_token"])


def test_rotation(world: World) -> None:
    """With rotation a refresh token is good for one use; without, it stays."""
    kept, rotated = world.tokens("x")["refresh_token"], world.tokens("rot")["refresh_token"]
    successor = world.refreshed("rot", rotated)["refresh_token"]

    assert "refresh_token" not in world.refreshed("x", kept)
    assert [world.is_active(token) for token in (kept, rotated, successor)] == [True, False, True]


def test_narrowed_refresh(world: World) -> None:
    """A refresh with fewer scopes answers all that were granted; with more it is refused."""
    token = world.tokens()["refresh_token"]

    assert world.refreshed("x", token, scope="openid")["scope"] == "openid offline_access email"
    assert world.refreshed("x", token, scope="openid profile")["error"] == "invalid_scope"


def test_revoking_goes_down_only(world: World) -> None:
    """Revoking an access token leaves its refresh token; revoking that ends the access tokens."""
    tokens = world.tokens("pub")
    refreshed = world.refreshed("pub", tokens["refresh_token"])["access_token"]

    world.post("/recipe/oauth/token/revoke", {"token": tokens["access_token"], "client_id": "anybody"})
    assert [world.is_active(token) for token in (tokens["access_token"], refreshed)] == [False, True]
    world.post("/recipe/oauth/token/revoke", {"token": tokens["refresh_token"], "client_id": world.clients["pub"]})
    assert [world.is_active(token) for token in (tokens["refresh_token"], refreshed)] == [False, False]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/recipe/oauth/tokens/revoke", lambda world: {"client_id": world.clients["x"]}),
        ("/recipe/oauth/session/revoke", lambda world: {"sessionHandle": SESSION}),
        ("/recipe/oauth/clients/remove", lambda world: {"clientId": world.clients["x"]}),
    ],
)
def test_tokens_end(world: World, path: str, body: Callable[[World], Any]) -> None:
    """Revoking by client or by session, and deleting the client, end every token."""
    tokens = world.tokens()
    world.post(path, body(world))

    assert [world.is_active(tokens[name]) for name in ("access_token", "refresh_token")] == [False, False]


def test_logout_without_an_address(world: World) -> None:
    """Without a post-logout address the browser goes to the fallback; the session's tokens end, twice is no error."""
    tokens = world.tokens()
    body = {"challenge": world.logout_challenge()}
    first, second = (world.replay.ask("PUT", "/recipe/oauth/auth/requests/logout/accept", body=body) for _ in range(2))

    assert first == second == (200, {"status": "OK", "redirectTo": "{apiDomain}/fallbacks/logout/callback"})
    assert not world.is_active(tokens["refresh_token"])


def test_logout_to_a_foreign_address(world: World) -> None:
    """Nobody is sent to an address that the client did not register."""
    query = {"idTokenHint": world.tokens()["id_token"], "postLogoutRedirectUri": "http://evil/bye"}

    assert world.replay.ask("GET", "/recipe/oauth/sessions/logout", query)[1]["error"] == "invalid_request"
