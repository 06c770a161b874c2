"""What must stay secret of all that goes one way or the other, and how to search for it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx

LONG = 11  # From so many characters on a secret is one wherever it stands; a shorter one only as a whole value.

_SECRET = re.compile(
    "password|token|secret|^code$|code(?!id)|challenge|verifier|signature|^state$|relaystate|saml|xml|totp$|qr|hint$"
    "|nonce|link$|sessionid|deviceid|preauthsession|generatedoptions|clientdata|attestation|authenticatordata"
    "|userhandle|apikey|bearer|authorization|cookie|^jwt$"
)
_PUBLIC = re.compile(
    "type|method|status|uri|endpoint|expir|lifespan|lifetime|alg|scope|^samlclient$|certificate|flow|use$"
)
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.\w+|\+\d+")
_WORDS = {"remove", "Bearer", "code", "plain", "S256", "PROVIDED", "true", "false", "none", "public"}
_NOT_SEARCHED = {"config", "recipe_implementation", "req_res_info", "user_context"}


def secrets_in(value: Any, name: str = "", depth: int = 6) -> Iterator[str]:
    """The strings whose name says that they are secret: in JSON, in forms and addresses, in the SDK's own objects."""
    match value:
        case str():
            if _is_secret(name) and value not in _WORDS and not _ADDRESS.fullmatch(value):
                yield value
            yield from _in_address(value)
        case list() | tuple() | set():
            for item in value:
                yield from secrets_in(item, name, depth - 1)
        case {"id": str(field), "value": str(filled), **rest} if len(rest) == 0:
            if field != "email":
                yield filled
        case Mapping():
            for key, item in value.items():
                yield from secrets_in(item, str(key), depth - 1)
        case _ if depth > 0 and type(value).__module__.startswith("supertokens_python"):
            fields = {key: item for key, item in vars(value).items() if key not in _NOT_SEARCHED}
            yield from secrets_in(fields, name, depth - 1)


def secrets_in_headers(headers: httpx.Headers) -> Iterator[str]:
    """Tokens and cookies, an authorization whole and in its parts, and what is in the address of a redirect."""
    for name, value in headers.multi_items():
        match name.lower():
            case "st-access-token" | "st-refresh-token" | "front-token" | "anti-csrf" if value not in _WORDS:
                yield value
            case "authorization":
                scheme, _, rest = value.partition(" ")
                yield from (value, rest)
                if scheme == "Basic":
                    with suppress(ValueError):
                        yield base64.b64decode(rest).decode().partition(":")[2]
            case "cookie" | "set-cookie":
                yield from (morsel.value for morsel in SimpleCookie(value).values() if morsel.value)
            case "location":
                yield from _in_address(value)


def secrets_exchanged(answer: httpx.Response) -> Iterator[str]:
    """Those of a request and of its answer."""
    request = answer.request
    for headers, content in ((request.headers, request.content), (answer.headers, answer.content)):
        yield from secrets_in_headers(headers)
        with suppress(ValueError):
            yield from secrets_in(json.loads(content))
    yield from secrets_in(str(request.url))


def _is_secret(name: str) -> bool:
    plain = re.sub("[^a-z]", "", name.lower()).replace("supertokens", "")
    return bool(_SECRET.search(plain)) and not _PUBLIC.search(plain)


def _in_address(text: str) -> Iterator[str]:
    if "?" not in text and "#" not in text:
        return
    parts = urlsplit(text)
    for name, value in parse_qsl(f"{parts.query}&{parts.fragment}"):
        if _is_secret(name) and value not in _WORDS:
            yield value


def forms(secret: str) -> Iterator[bytes]:
    """A secret as it may turn up: as it is, quoted, encoded, and the telling parts of a JWT alone."""
    parts = secret.split(".")[1:] if re.fullmatch(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", secret) else []
    for text in (secret, *parts):
        yield from (
            text.encode(),
            quote(text, safe="").encode(),
            base64.b64encode(text.encode()),
            text.encode().hex().encode(),
        )


def leaks(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> set[tuple[str, str]]:
    """Which secret is in which place, in capitals or not: an e-mail address, for one, is kept in lower case."""
    lower = {place: content.lower() for place, content in places.items()}
    return {
        (name, place)
        for name, secret in secrets.items()
        for form in forms(secret)
        for place, content in lower.items()
        if form.lower() in content
    }
