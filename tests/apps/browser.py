"""What SuperTokens' frontend does, as far as these tests need it, and the story that most of them tell."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import httpx

EMAIL = "ada@example.com"
PASSWORD = "right-Pa55word"
WRONG = "wrong-Pa55word"


@dataclass
class Browser:
    """One person's browser. It keeps the session's tokens as ``st-auth-mode`` says: in headers, or in cookies."""

    url: str
    user_agent: str = "Browser/1.0"
    auth_mode: str = "header"
    address: str | None = None
    access_token: str = ""
    refresh_token: str = ""
    anti_csrf: str = ""
    answers: list[httpx.Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        transport = httpx.HTTPTransport(verify=False, local_address=self.address)
        headers = {"user-agent": self.user_agent, "st-auth-mode": self.auth_mode, "rid": "anti-csrf"}
        self._http = httpx.Client(base_url=self.url, transport=transport, headers=headers, trust_env=False, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    # Requests

    def send(self, method: str, path: str, json: Any = None, *, token: str = "", **headers: str) -> httpx.Response:
        """One request; the answer's new tokens are kept. ``token`` goes into the header ``authorization``."""
        if token and self.auth_mode == "header":
            headers["authorization"] = f"Bearer {token}"
        if self.anti_csrf:
            headers["anti-csrf"] = self.anti_csrf
        answer = self._http.request(method, path, json=json, headers=headers)
        self._keep(answer)
        self.answers.append(answer)
        return answer

    def post_form(self, path: str, *, token: str = "", extra: Any = None, **fields: str) -> httpx.Response:
        """A form as SuperTokens' prebuilt UI sends it."""
        form = [{"id": name, "value": value} for name, value in fields.items()]
        return self.send("POST", path, {"formFields": form, **(extra or {})}, token=token)

    def _keep(self, answer: httpx.Response) -> None:
        found = answer.cookies if self.auth_mode == "cookie" else answer.headers
        access, refresh = (
            ("sAccessToken", "sRefreshToken") if self.auth_mode == "cookie" else ("st-access-token", "st-refresh-token")
        )
        self.access_token = found.get(access) or self.access_token
        self.refresh_token = found.get(refresh) or self.refresh_token
        self.anti_csrf = answer.headers.get("anti-csrf") or self.anti_csrf

    # What a person does

    def sign_up(self, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
        return self.post_form("/auth/signup?utm=ad", email=email, password=password)

    def sign_in(self, email: str = EMAIL, password: str = PASSWORD, *, token: str = "") -> httpx.Response:
        return self.post_form("/auth/signin?next=%2Fhome", email=email, password=password, token=token)

    def forgot_password(self, email: str = EMAIL) -> httpx.Response:
        return self.post_form("/auth/user/password/reset/token", email=email)

    def reset_password(self, token: str, password: str = PASSWORD) -> httpx.Response:
        return self.post_form("/auth/user/password/reset", password=password, extra={"method": "token", "token": token})

    def refresh(self, token: str | None = None) -> httpx.Response:
        return self.send("POST", "/auth/session/refresh", token=self.refresh_token if token is None else token)

    def sign_out(self) -> httpx.Response:
        return self.send("POST", "/auth/signout", token=self.access_token)


class Step(NamedTuple):
    """One request of the story, and the events that it is expected to bring."""

    path: str
    act: Callable[[Browser], httpx.Response]
    says: tuple[str, ...]


STORY = (
    Step("/auth/signup", Browser.sign_up, ("user.created", "session.created")),
    Step("/auth/signin", lambda browser: browser.sign_in(password=WRONG), ("user.sign_in.failed",)),
    Step("/auth/signin", Browser.sign_in, ("user.signed_in", "session.created")),
    Step("/auth/user/password/reset/token", Browser.forgot_password, ("password.reset.requested",)),
    Step("/auth/session/refresh", Browser.refresh, ("session.refreshed",)),
    Step("/auth/signout", Browser.sign_out, ("session.revoked",)),
)


def story(*, high_volume: bool = False) -> list[str]:
    """The types of the story's events in order, by default without the high-volume ``session.refreshed``."""
    return [
        event_type for step in STORY for event_type in step.says if high_volume or event_type != "session.refreshed"
    ]


def tell_story(browser: Browser) -> list[httpx.Response]:
    """Live the story; returns the answers."""
    return [step.act(browser) for step in STORY]


# Answers

_MADE_UP = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\b\d{13}\b"), "<milliseconds>"),
    (re.compile(r"\w{3}, \d\d[ -]\w{3}[ -]\d{4} \d\d:\d\d:\d\d GMT"), "<date>"),
    (re.compile(r"(?<==)[\w%.-]{40,}(?=;)"), "<token>"),
)
_TOKENS = {"st-access-token", "st-refresh-token", "front-token", "anti-csrf"}


class Plain(NamedTuple):
    """An answer as a browser sees it, without what is made up anew each time."""

    status: int
    headers: list[tuple[str, str]]
    body: str


def plain(answer: httpx.Response) -> Plain:
    """Everything of an answer that has to be the same with and without events."""
    headers = [
        (name, "<token>" if name in _TOKENS and value else _without_made_up(value))
        for name, value in answer.headers.multi_items()
    ]
    return Plain(answer.status_code, headers, _without_made_up(answer.text))


def _without_made_up(text: str) -> str:
    for pattern, name in _MADE_UP:
        text = pattern.sub(name, text)
    return text
