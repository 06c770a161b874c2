"""Recorded answers against a core's own.

``Replay`` asks a core what was recorded and collects every difference. Ids, tokens, codes and secrets are the core's
own: they are learned where the core makes them up, put into the requests that follow, and must mean the same thing all
along, so that one recorded value is one value of this core's and the other way round.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

# Where the core makes values up. Anywhere else a string must be the same as recorded.
MADE_UP = {
    "RelayState", "SAMLRequest", "access_token", "at_hash", "challenge", "clientId", "clientSecret", "code", "codeId",
    "consent_challenge", "consent_verifier", "deviceId", "gid", "handle", "id", "id_token", "jti", "kid", "linkCode",
    "loginChallenge", "loginSessionId", "login_challenge", "login_verifier", "logout_challenge", "n", "owner",
    "parentRefreshTokenHash1", "preAuthSessionId", "primaryUserId", "recipeUserId", "refreshTokenHash1",
    "refresh_token", "sessionHandle", "sessionId", "token", "userId", "userInputCode", "webauthnGeneratedOptionsId",
}  # fmt: skip

# The core promises no order for these.
SETS = {"credentialIds", "firstFactors", "requiredSecondaryFactors", "tenantIds"}

MILLISECONDS_APART = 5_000
SECONDS_APART = 5
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


class Replay:
    """One core under test. ``allowed`` names by (path, key) where it may differ from the recording."""

    def __init__(self, url: str, allowed: frozenset[tuple[str, str]] = frozenset()) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc)
        self.allowed = allowed
        self.own: dict[str, str] = {}
        self.recorded: dict[str, str] = {}
        self.differences: list[str] = []

    def close(self) -> None:
        self.connection.close()

    def ask(self, method: str, path: str, query: dict[str, str] | None = None, body: Any = None) -> tuple[int, Any]:
        target = f"{path}?{urlencode(query)}" if query else path
        payload = None if body is None else json.dumps(body)
        self.connection.request(method, target, payload, {"cdi-version": "5.4", "content-type": "application/json"})
        response = self.connection.getresponse()
        text = response.read().decode()
        return response.status, json.loads(text) if "json" in response.headers["content-type"] else text

    def compare(self, pair: dict[str, Any], name: object = "") -> Any:
        """Asks what was recorded, with this core's own ids in it; returns the answer."""
        path = pair["path"] if pair["tenant"] == "public" else f"/{pair['tenant']}{pair['path']}"
        query, body = self.translate(pair.get("query")), self.translate(pair.get("body"))
        status, answer = self.ask(pair["method"], path, query, body)
        comparison = Comparison(self, pair["path"])
        comparison.value("HTTP status", pair["http_status"], status)
        comparison.value("", pair["response"], answer)
        self.differences += [f"{name}: {pair['method']} {path} {text}" for text in comparison.differences]
        return answer

    def translate(self, value: Any) -> Any:
        """A recorded value with this core's own ids, tokens and codes in it."""
        if isinstance(value, dict):
            return {key: self.translate(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.translate(item) for item in value]
        if isinstance(value, str) and value.startswith("Basic "):
            return self._translate_basic(value)
        return self.own.get(value, value) if isinstance(value, str) else value

    def _translate_basic(self, header: str) -> str:
        parts = base64.b64decode(header.removeprefix("Basic ")).decode().split(":")
        return "Basic " + base64.b64encode(":".join(map(self.translate, parts)).encode()).decode()

    def learn(self, recorded: str, own: str) -> bool:
        """Whether ``own`` can be what ``recorded`` was: the two always go together and look alike."""
        has_uuid = UUID.search(recorded) or UUID.search(own)
        if has_uuid and UUID.sub("uuid", recorded) != UUID.sub("uuid", own):
            return False
        return self.own.setdefault(recorded, own) == own and self.recorded.setdefault(own, recorded) == recorded


class Comparison:
    """One recorded answer against a core's own: HTTP status, key sets, types, constants, lifetimes."""

    def __init__(self, replay: Replay, path: str) -> None:
        self.replay = replay
        self.path = path
        self.differences: list[str] = []

    def differ(self, where: str, expected: object, actual: object) -> None:
        self.differences.append(f"{where}: recorded {expected!r}, this core {actual!r}")

    def value(self, where: str, expected: Any, actual: Any) -> None:
        key = where.rpartition(".")[2].partition("[")[0]
        if (self.path, key) in self.replay.allowed:
            return
        if type(expected) is not type(actual):
            self.differ(where, expected, actual)
        elif isinstance(expected, dict):
            self.mapping(where, expected, actual)
        elif isinstance(expected, list) and key in SETS:
            self.sequence(where, sorted(expected), sorted(actual))
        elif isinstance(expected, list):
            self.sequence(where, expected, actual)
        elif isinstance(expected, str):
            self.text(where, key, expected, actual)
        elif not _same_number(key, expected, actual):
            self.differ(where, expected, actual)

    def mapping(self, where: str, expected: dict[str, Any], actual: dict[str, Any]) -> None:
        if expected.keys() != actual.keys():
            missing, surplus = expected.keys() - actual.keys(), actual.keys() - expected.keys()
            self.differ(f"{where} keys", sorted(missing), sorted(surplus))
        for key in expected.keys() & actual.keys():
            self.value(f"{where}.{key}", expected[key], actual[key])

    def sequence(self, where: str, expected: list[Any], actual: list[Any]) -> None:
        if len(expected) != len(actual):
            self.differ(f"{where} length", len(expected), len(actual))
        for index, (one, other) in enumerate(zip(expected, actual, strict=False)):
            self.value(f"{where}[{index}]", one, other)

    def text(self, where: str, key: str, expected: str, actual: str) -> None:
        if JWT.fullmatch(expected) and JWT.fullmatch(actual):
            for part, name in enumerate(("header", "payload")):
                self.value(f"{where}/{name}", _jwt_part(expected, part), _jwt_part(actual, part))
        if key == "cookies":
            self.value(f"{where}/cookie", _cookie(expected), _cookie(actual))
        elif INSTANT.fullmatch(expected) and INSTANT.fullmatch(actual):
            self.value(f"{where}/has a fraction", "." in expected, "." in actual)
        elif "?" in expected and expected.partition("?")[0] == actual.partition("?")[0]:
            self.value(f"{where}?", dict(parse_qsl(urlsplit(expected).query)), dict(parse_qsl(urlsplit(actual).query)))
            self.value(f"{where} ends in &", expected.endswith("&"), actual.endswith("&"))
        elif self.replay.translate(expected) != actual and not (key in MADE_UP and self.replay.learn(expected, actual)):
            self.differ(where, self.replay.translate(expected), actual)


def _same_number(key: str, expected: object, actual: object) -> bool:
    """Times may differ by what passes between a question and its answer."""
    if type(expected) is not int or not isinstance(actual, int):
        return expected == actual
    if expected > 10**11 or key == "retryAfterMs":
        return abs(expected - actual) <= MILLISECONDS_APART
    if expected > 10**9 or key == "expires_in":
        return abs(expected - actual) <= SECONDS_APART
    return expected == actual


def _jwt_part(token: str, part: int) -> Any:
    text = token.split(".")[part]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _cookie(header: str) -> dict[str, str]:
    """What a Set-Cookie header says, but for the value, the client's number in the name, and the time."""
    first, *attributes = header.split("; ")
    said = dict(attribute.partition("=")[::2] for attribute in attributes)
    return {**said, "name": first.partition("=")[0].rstrip("0123456789"), "Expires": ""}
