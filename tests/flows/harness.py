"""Flows: what a person or a backend does with the SDK, and exactly which events that brings.

A table of :class:`Flow` rows is run by :func:`rows` and the fixture ``play``:

    FLOWS = [Flow("sign-up", API, [emailpassword(), sessions()], [], sign_up, "user.created, session.created")]

    @pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
    def test_flow(flow, entry, play): ...

A flow of the frontend API is run in each framework of :data:`API`, one of a backend by the SDK's ``asyncio`` functions
and by its ``syncio`` ones. After each flow :meth:`World.leaked` searches wherever a secret could have ended up.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx
import pytest
from packaging.version import Version

from apps.canary import LONG, leaks, secrets_exchanged, secrets_in
from apps.running import configuration
from apps.sdk import WAYS, started
from apps.servers import FRAMEWORKS
from apps.stored import counted, stored_events
from core_double import CoreDouble
from supertokens_events import Event, Events, hookimpl

API = ("fastapi", "flask", "django-wsgi")
"""Where a frontend's flow is played; Django under ASGI has the story of ``test_story.py`` instead."""
BACKEND = ("asyncio", "syncio")

PATIENT = 30  # seconds for an outbox that works, on a machine that is busy: no flow is about the deadline

ADA = "ada@example.com"
BOB = "bob@example.com"
PASSWORD = "right-Pa55word"

Step = Callable[["World"], Any]
RecipeMaker = Callable[["World"], Any]


@dataclass(frozen=True)
class Flow:
    """After the steps ``given``, the step ``when`` ``says`` these types of events in this order.

    ``captured`` is the configuration's ``[capture] events``. ``reads``: how many requests to the core capture adds, at
    most, where that is to be checked. ``since``: the first release of the SDK in which the flow goes so; with an older
    one the row is skipped and says why.
    """

    name: str
    entries: Sequence[str]
    recipes: Sequence[RecipeMaker]
    given: Sequence[Step]
    when: Step
    says: str
    captured: Sequence[str] = ("@default",)
    reads: int | None = None
    since: str | None = None

    @property
    def event_types(self) -> list[str]:
        return [name for name in self.says.replace(",", " ").split() if name]


def rows(flows: Iterable[Flow]) -> list[Any]:
    """Each flow by each of its entry points, with a name for pytest."""
    return [
        pytest.param(flow, entry, id=f"{entry}: {flow.name}", marks=[since(flow.since)] if flow.since else [])
        for flow in flows
        for entry in flow.entries
    ]


def sdk_is(release: str) -> bool:
    """Whether the SDK that is installed is of this release, or of a newer one."""
    return Version(version("supertokens-python")) >= Version(release)


def since(release: str) -> pytest.MarkDecorator:
    """Skips what an older SDK does not do, or does in another way."""
    return pytest.mark.skipif(not sdk_is(release), reason=f"the SDK does so since {release}")


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

    def __init__(self, core: CoreDouble, events: Events, entry: str, folder: Path) -> None:
        self.core = core
        self.events = events
        self.folder = folder
        self.framework = entry if entry in FRAMEWORKS else API[0]
        self.style = "syncio" if entry == "syncio" else "asyncio"
        self.backend = Backend(self)
        self.post = Post()
        self.access_token = ""
        self.answer: Any = None
        self.response: httpx.Response | None = None
        self.responses: list[httpx.Response] = []
        self.secrets: set[str] = set()
        self.log = Log()
        self._start = 0

    # The frontend

    def send(self, method: str, path: str, body: Any = None, *, session: bool = False, **headers: str) -> Any:
        """One request to the SDK's frontend API; the answer's JSON. Its access token is kept for ``session=True``."""
        if session:
            headers["authorization"] = f"Bearer {self.access_token}"
        headers = {"st-auth-mode": "header", "rid": "anti-csrf", **headers}
        answer = _request(self.framework, method, path, body, headers)
        self.response = answer
        self.responses.append(answer)
        self.access_token = answer.headers.get("st-access-token") or self.access_token
        self.answer = (
            answer.json() if answer.headers.get("content-type", "").startswith("application/json") else answer.text
        )
        self.secrets |= set(secrets_exchanged(answer))
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
        with _own_loop():
            return function(*arguments, **named)

    # The events

    def mark(self) -> None:
        """From here on events are the flow's own."""
        self._start = len(stored_events(self.events))

    def told(self, event_type: str | None = None) -> list[Event]:
        """The events since the mark, in order; of one type."""
        told = stored_events(self.events)[self._start :]
        return [event for event in told if event_type in (None, event.type)]

    def all_secrets(self) -> set[str]:
        """All that went one way or the other and that nobody else may know, as far as names tell; and what steps added."""
        return {secret for secret in [*self.secrets, *self.post.secrets(), PASSWORD] if secret}

    def leaked(self) -> set[tuple[str, str]]:
        """Which secret is where: short ones as a whole value of an event, long ones anywhere that we write or speak.

        What is to be delivered is delivered first.
        """
        if self.events.settings.sinks:
            anyio.run(self.events.dispatcher().run_until_empty)
        secrets = self.all_secrets()
        bodies = [stored.body for stored in self.events.outbox.events(limit=1_000) if stored.body]
        values = {value for body in bodies for value in _leaves(json.loads(body))}
        return {(secret, "events") for secret in secrets & values} | leaks(
            {secret: secret for secret in secrets if len(secret) >= LONG}, self.places(bodies)
        )

    def places(self, bodies: Sequence[bytes]) -> dict[str, bytes]:
        """Everything that was written, said and shown: the outbox's files before and after a checkpoint, and the rest."""
        places = {"events": b"\n".join(bodies), "log": self.log.text.encode(), "reprs": _reprs(self.events).encode()}
        places |= {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}
        with closing(sqlite3.connect(self.folder / "events.db")) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return {**places, "events.db, written out": (self.folder / "events.db").read_bytes()}

    def trouble(self) -> dict[tuple[str, str], int]:
        """What capture counts as having gone wrong."""
        self.events.emitter.stop()  # counts that its thread is writing down are neither in memory nor stored
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
            given = signature(function).bind(*arguments, **named).arguments
            self._world.secrets |= set(secrets_in(given))
            result = self._world.call(function, *arguments, **named)
            self._world.secrets |= set(secrets_in(result))
            return result

        return call


class Log(logging.Handler):
    """All that any formatter could make of our records, at every level."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def text(self) -> str:
        return "\n".join(f"{vars(record)!r} {self.format(record)}" for record in self.records)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keeps what our loggers say meanwhile."""
        loggers = [logging.getLogger(f"supertokens_events{part}") for part in ("", "_file", "_webhook")]
        before = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
            logger.addHandler(self)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
                logger.removeHandler(self)


@contextmanager
def playing(
    core: CoreDouble,
    folder: Path,
    recipes: Sequence[RecipeMaker],
    entry: str = "api",
    *,
    attach: str = WAYS[0],
    wanted: bool = True,
    plugins: Sequence[object] = (),
    **tables: Any,
) -> Iterator[World]:
    """A world in which the SDK runs with these recipes. ``attach`` is one of the SDK's ways, or ``nothing``.

    ``wanted``: somebody would get every event.
    """
    settings = configuration(folder, **{"outbox": {"append_timeout": PATIENT}, **tables})
    if not wanted:
        settings["sinks"] = {}
    events = Events.from_dict(settings, plugins=[*plugins, *([Wanted()] if wanted else [])])
    core.reset()
    world = World(core, events, entry, folder)
    server = FRAMEWORKS[world.framework]
    how = {"framework": server.framework, "mode": server.mode}
    try:
        attached = {"attach": attach} if attach in WAYS else {}
        with (
            world.log.kept(),
            started(core.url, [make(world) for make in recipes], events if attached else None, **attached, **how),
        ):
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


def later(minutes: int) -> Step:
    """So much time goes by in the core."""

    def step(w: World) -> None:
        w.core.ahead += minutes * 60_000

    return step


def no_session(w: World) -> None:
    """As in a browser that nobody signed in with."""
    w.access_token = ""


@cache
def _app(framework: str) -> Any:
    """The app outlives many ``init``: the SDK looks up its instance in every request."""
    return FRAMEWORKS[framework].make_app()


def _request(framework: str, method: str, path: str, body: Any, headers: Mapping[str, str]) -> httpx.Response:
    asked = {"method": method, "url": f"http://localhost{path}", "json": body, "headers": dict(headers)}
    if FRAMEWORKS[framework].mode == "asgi":
        return asyncio.run(_request_asgi(_app(framework), asked))
    transport = httpx.WSGITransport(app=_app(framework), raise_app_exceptions=False)
    with _own_loop(), httpx.Client(transport=transport, trust_env=False) as client:
        return client.request(**asked)


async def _request_asgi(app: Any, asked: Mapping[str, Any]) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        return await client.request(**asked)


@contextmanager
def _own_loop() -> Iterator[None]:
    """The SDK's synchronous functions take the thread's loop, and would leave one of their own behind."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _reprs(events: Events) -> str:
    sinks = [config.build() for config in events.settings.sinks.values()]
    outbox = events.outbox
    things = [events, events.settings, events.emitter, outbox, events.plugins, *sinks]
    things += [*outbox.events(limit=1_000), *stored_events(events), *outbox.deliveries(limit=1_000), *outbox.ledger()]
    return "\n".join(f"{thing!r} {thing}" for thing in things)


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
