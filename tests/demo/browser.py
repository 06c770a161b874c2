"""The browser: sends what SuperTokens' frontend sends, keeps cookies, and knows which secrets it has seen."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import httpx

__all__ = ["Answer", "Browser", "form"]


@dataclass(frozen=True)
class Answer:
    """What came back: the HTTP status, the ``status`` of the JSON body where it has one, and how long it took."""

    method: str
    path: str
    code: int
    status: str
    seconds: float

    @property
    def result(self) -> str:
        """The HTTP status, and what the body says."""
        return f"{self.code} {self.status}".rstrip()

    def __str__(self) -> str:
        return f"{self.method} {self.path} → {self.result}"


class Browser:
    """A visitor's browser, signed in by cookies. ``secrets`` are the tokens it was given, by name."""

    def __init__(self, url: str, name: str = "demo-browser/1.0") -> None:
        headers = {"user-agent": name, "st-auth-mode": "cookie"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False)
        self.secrets: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """POST, as the frontend does. Raises ``httpx.HTTPError`` when the app does not answer."""
        start = time.perf_counter()
        response = self._client.post(path, json=body or {})
        seconds = time.perf_counter() - start
        for name, value in response.cookies.items():
            if value and name != "sFrontToken":  # which is for scripts to read, and no secret
                self.secrets[f"the cookie {name} of {path}"] = value
        return Answer("POST", path, response.status_code, _status(response), seconds)

    def copy_cookies(self, other: Browser) -> None:
        """Have the cookies that ``other`` has now."""
        self._client.cookies = httpx.Cookies(other._client.cookies)


def form(**fields: str) -> dict[str, object]:
    """The fields of a form of SuperTokens' frontend, as it posts them."""
    return {"formFields": [{"id": name, "value": value} for name, value in fields.items()]}


def _status(response: httpx.Response) -> str:
    try:
        return str(response.json().get("status", ""))
    except ValueError:
        return ""
