"""Flows: what a person or a backend does with the SDK, and exactly which events that brings.

A table of :class:`Flow` rows is run by :func:`rows` and the fixture ``play``:

    FLOWS = [Flow("sign-up", API, [emailpassword(), sessions()], [], sign_up, "user.created, session.created")]

    @pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
    def test_flow(flow, entry, play): ...

A flow of a backend is run twice, by the SDK's ``asyncio`` functions and by its ``syncio`` ones.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import Depends, FastAPI
from supertokens_python.framework.fastapi import get_middleware
from supertokens_python.recipe.session import SessionContainer
from supertokens_python.recipe.session.framework.fastapi import verify_session

from apps.running import configuration
from apps.sdk import WAYS, started
from apps.stored import counted, stored_events
from core_double import CoreDouble
from supertokens_events import Event, Events, hookimpl

API = ("api",)
BACKEND = ("asyncio", "syncio")

ADA = "ada@example.com"
BOB = "bob@example.com"
PASSWORD = "right-Pa55word"

SECRET_FIELDS = ("user_input_code", "link_code", "device_id", "pre_auth_session_id", "token", "link")

Step = Callable[["World"], Any]
RecipeMaker = Callable[["World"], Any]


@dataclass(frozen=True)
class Flow:
    """After the steps ``given``, the step ``when`` ``says`` these types of events in this order.

    ``captured`` is the configuration's ``[capture] events``. ``reads``: how many requests to the core capture adds, at
    most, where that is to be checked.
    """

    name: str
    entries: Sequence[str]
    recipes: Sequence[RecipeMaker]
    given: Sequence[Step]
    when: Step
    says: str
    captured: Sequence[str] = ("@default",)
    reads: int | None = None

    @property
    def event_types(self) -> list[str]:
        return [name for name in self.says.replace(",", " ").split() if name]


def rows(flows: Iterable[Flow]) -> list[Any]:
    """Each flow by each of its entry points, with a name for pytest."""
    return [pytest.param(flow, entry, id=f"{entry}: {flow.name}") for flow in flows for entry in flow.entries]


class Wanted:
    """A plugin that wants every event, so that capture has somebody to read for."""

    @hookimpl
    def event_emitted(self, event: Event) -> None:
        """Enough to be asked."""


class Post:
    """Where the app's e-mails and text messages go: the latest of each template's fields."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send_email(self, template_vars: Any, user_context: dict[str, Any]) -> None:
        self.sent.append(template_vars)

    async def send_sms(self, template_vars: Any, user_context: dict[str, Any]) -> None:
        self.sent.append(template_vars)

    @property
    def user_input_code(self) -> str:
        return str(self.sent[-1].user_input_code)

    @property
    def link_code(self) -> str:
        return urlsplit(self.sent[-1].url_with_link_code).fragment

    @property
    def token(self) -> str:
        """In the latest link to verify an address, or to reset a password."""
        message = self.sent[-1]
        names = ("email_verify_link", "password_reset_link", "recover_account_link")
        link = next(getattr(message, name) for name in names if hasattr(message, name))
        return parse_qs(urlsplit(link).query)["token"][0]

    def secrets(self) -> Iterator[str]:
        """Every code, and whatever is in a link."""
        for message in self.sent:
            for name, value in vars(message).items():
                if name == "user_input_code" and value:
                    yield value
                if "link" in name and value:
                    url = urlsplit(value)
                    yield from [url.fragment, *(parse_qs(url.query).get("token") or [])]


class World:
    """A flow's surroundings. Steps keep what they made in attributes of their own choosing: ``w.user``, ``w.device``.

    ``w.backend.passwordless.create_code(…)`` calls a backend function of the SDK as the flow's entry point asks for.
    """

    def __init__(self, core: CoreDouble, events: Events, entry: str) -> None:
        self.core = core
        self.events = events
        self.style = "syncio" if entry == "syncio" else "asyncio"
        self.backend = Backend(self)
        self.post = Post()
        self.access_token = ""
        self.answer: Any = None
        self.response: httpx.Response | None = None
        self.secrets: set[str] = set()
        self._start = 0

    # The frontend

    def send(self, method: str, path: str, body: Any = None, *, session: bool = False, **headers: str) -> Any:
        """One request to the SDK's frontend API; the answer's JSON. Its access token is kept for ``session=True``."""
        if session:
            headers["authorization"] = f"Bearer {self.access_token}"
        answer = asyncio.run(_request(method, path, body, {"st-auth-mode": "header", "rid": "anti-csrf", **headers}))
        self.response = answer
        self.access_token = answer.headers.get("st-access-token") or self.access_token
        self.secrets |= {
            answer.headers.get(name, "") for name in ("st-access-token", "st-refresh-token", "front-token")
        }
        self.answer = (
            answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.text
        )
        if isinstance(self.answer, dict):
            self.secrets |= {self.answer[name] for name in ("deviceId", "preAuthSessionId") if name in self.answer}
        return self.answer

    def form(self, path: str, *, session: bool = False, extra: Mapping[str, Any] | None = None, **fields: str) -> Any:
        """POST a form as SuperTokens' prebuilt UI does."""
        fields_sent = [{"id": name, "value": value} for name, value in fields.items()]
        return self.send("POST", path, {"formFields": fields_sent, **(extra or {})}, session=session)

    # The backend

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a backend function of the SDK as its entry point asks for, and return what it returns."""
        if asyncio.iscoroutinefunction(function):
            return asyncio.run(function(*arguments, **named))
        loop = asyncio.new_event_loop()  # `syncio` takes the thread's loop, and would leave one of its own behind
        asyncio.set_event_loop(loop)
        try:
            return function(*arguments, **named)
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    # The events

    def mark(self) -> None:
        """From here on events are the flow's own."""
        self._start = len(stored_events(self.events))

    def told(self, event_type: str | None = None) -> list[Event]:
        """The events since the mark, in order; of one type."""
        told = stored_events(self.events)[self._start :]
        return [event for event in told if event_type in (None, event.type)]

    def leaked(self) -> set[str]:
        """Which secrets, short ones as a whole value and long ones anywhere, are in a stored event."""
        bodies = [stored.body.decode() for stored in self.events.outbox.events(limit=1_000) if stored.body]
        values = {value for body in bodies for value in _leaves(json.loads(body))}
        secrets = {secret for secret in [*self.secrets, *self.post.secrets(), PASSWORD] if secret}
        return {
            secret
            for secret in secrets
            if secret in values or (len(secret) > 10 and any(secret in body for body in bodies))
        }

    def trouble(self) -> dict[tuple[str, str], int]:
        """What capture counts as having gone wrong."""
        return {
            key: n
            for key, n in counted(self.events).items()
            if key[0].startswith("capture_") and key[0] != "capture_off"
        }


class Backend:
    """The SDK's backend functions by recipe; ``supertokens`` for those of no recipe. They simply return."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, recipe: str) -> BackendModule:
        package = f"supertokens_python.recipe.{recipe}" if recipe != "supertokens" else "supertokens_python"
        return BackendModule(self._world, import_module(f"{package}.{self._world.style}"))


class BackendModule:
    """One recipe's functions. What must stay secret of their results is noted."""

    def __init__(self, world: World, module: ModuleType) -> None:
        self._world = world
        self._module = module

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._module, name)

        def call(*arguments: Any, **named: Any) -> Any:
            result = self._world.call(function, *arguments, **named)
            found = [getattr(result, field, None) for field in SECRET_FIELDS]
            self._world.secrets |= {value for value in found if isinstance(value, str)}
            return result

        return call


@contextmanager
def playing(
    core: CoreDouble,
    folder: Path,
    recipes: Sequence[RecipeMaker],
    entry: str = "api",
    *,
    attach: str = WAYS[0],
    wanted: bool = True,
    **tables: Any,
) -> Iterator[World]:
    """A world in which the SDK runs with these recipes. ``attach`` is one of the SDK's ways, or ``nothing``.

    ``wanted``: somebody would get every event.
    """
    settings = {**configuration(folder, **tables), "sinks": {}}
    events = Events.from_dict(settings, plugins=[Wanted()] if wanted else [])
    core.reset()
    world = World(core, events, entry)
    try:
        attached = {"attach": attach} if attach in WAYS else {}
        with started(core.url, [make(world) for make in recipes], events if attached else None, **attached):
            yield world
    finally:
        events.stop(timeout=5)


def raises(step: Step) -> Step:
    """The step, which must raise."""

    def act(w: World) -> None:
        with suppress(Exception):
            step(w)
            pytest.fail("it did not raise")

    return act


def no_session(w: World) -> None:
    """As in a browser that nobody signed in with."""
    w.access_token = ""


@cache
def _app() -> FastAPI:
    """The app outlives many ``init``: the SDK looks up its instance in every request."""
    app = FastAPI()
    app.add_middleware(get_middleware())

    @app.get("/app/me")
    async def me(session: Annotated[SessionContainer, Depends(verify_session())]) -> dict[str, str]:
        return {"user_id": session.get_user_id()}

    return app


async def _request(method: str, path: str, body: Any, headers: Mapping[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(app=_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path, json=body, headers=dict(headers))


def _leaves(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for item in value.values():
                yield from _leaves(item)
        case list():
            for item in value:
                yield from _leaves(item)
        case str():
            yield value
