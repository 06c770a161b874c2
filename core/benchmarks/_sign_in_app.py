"""The app that ``sign_in.py`` measures, in a process of its own: ``_sign_in_app.py THROUGH CORE_URL [CONFIGURATION]``.

With ``CONFIGURATION`` (JSON) it has events. ``THROUGH`` is ``function``: it signs people in itself, through the SDK's
functions; or ``api``: it serves FastAPI with the SDK's middleware. It prints a line when it is ready: its URL, if it has
one. Then each line on stdin is a turn to play, as JSON, or ``null`` for none; it answers with what happened, as JSON.
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, Self

import httpx
import supertokens_python.querier
from _sign_in_turn import PASSWORD, PEOPLE, email, play
from supertokens_python.recipe.emailpassword import asyncio as emailpassword
from supertokens_python.recipe.emailpassword.interfaces import SignInOkResult, SignUpOkResult
from supertokens_python.recipe.session import asyncio as session

from apps import sdk
from apps.fastapi_app import make_app
from apps.servers import serve_asgi
from supertokens_events import Events
from supertokens_events.capture import rebind
from supertokens_events.outbox import DeliveryState

TENANT = "public"

Function = Callable[..., Awaitable[Any]]


class SharedClient:
    """In place of the ``httpx.AsyncClient`` that the SDK makes for each question to the core: one for all, never closed.

    A sign-in asks the core five times. As shipped, each time loads the system's certificates, and a sign-in costs some
    160 ms of CPU: 100 a second would need 16 cores. With one TLS context for all it is 13 ms, still more than the one
    core that a process has. With one client it is 6 ms. What we add is the same in all three.
    """

    client: httpx.AsyncClient | None = None

    def __init__(self, **options: Any) -> None:
        self._options = options

    async def __aenter__(self) -> httpx.AsyncClient:
        if SharedClient.client is None:
            SharedClient.client = httpx.AsyncClient(**self._options, limits=httpx.Limits(max_connections=None))
        return SharedClient.client

    async def __aexit__(self, *_: object) -> None:
        """Its connections stay open for the next question."""


class Added:
    """Milliseconds that wrappers add to each sign-in: what they take, less what the SDK's own functions in them take.

    The SDK's functions call each other, so there are wrappers inside wrappers; each is counted without what it wraps.
    """

    def __init__(self) -> None:
        self._each: list[float] = []
        self._call: ContextVar[list[float] | None] = ContextVar("call", default=None)

    def taken(self) -> list[float]:
        """Those since the last time."""
        taken, self._each = self._each, []
        return taken

    @contextmanager
    def whole(self) -> Iterator[list[float]]:
        """All calls in here are of one sign-in. Without it, each outermost call is one."""
        outer = self._call.get()
        if outer is not None:
            yield outer
            return
        call = [0.0]
        token = self._call.set(call)
        try:
            yield call
        finally:
            self._call.reset(token)
            self._each.append(1_000 * call[0])

    def measure(self) -> None:
        """Measure every wrapper that is made from now on."""
        wrap = rebind._wrap  # noqa: SLF001 - the one place where wrappers are made

        def wrap_measured(function: Function, watch: Any) -> Function:
            return self._around(wrap(self._inside(function), watch))

        rebind._wrap = wrap_measured  # noqa: SLF001

    def _inside(self, function: Function) -> Function:
        @functools.wraps(function)
        async def inside(*args: Any, **kwargs: Any) -> Any:
            call = self._call.get()
            assert call is not None
            began = time.perf_counter()
            try:
                return await function(*args, **kwargs)
            finally:
                call[0] -= time.perf_counter() - began

        return inside

    def _around(self, wrapper: Function) -> Function:
        @functools.wraps(wrapper)
        async def around(*args: Any, **kwargs: Any) -> Any:
            with self.whole() as call:
                began = time.perf_counter()
                try:
                    return await wrapper(*args, **kwargs)
                finally:
                    call[0] += time.perf_counter() - began

        return around


class Counts:
    """What is counted from the start of the process on: milliseconds of CPU, events stored, and those stored late."""

    def __init__(self, **counts: float) -> None:
        self._counts = counts

    @classmethod
    def of(cls, events: Events | None) -> Self:
        stored = late = 0
        if events is not None:
            stored = events.outbox.counts()[0]
            late = sum(line.count for line in events.outbox.ledger() if line.reason == "late")
        return cls(cpu=1_000 * time.process_time(), stored=stored, late=late)

    def since(self, earlier: Self) -> dict[str, float]:
        return {name: count - earlier._counts[name] for name, count in self._counts.items()}


def deliver_all(events: Events) -> None:
    """A turn ends with its last delivery: what is left would be sent in another's turn, and be nobody's CPU."""
    if events.settings.dispatcher.run == "thread":
        while events.outbox.deliveries(state=DeliveryState.PENDING, limit=1):
            time.sleep(0.05)


async def sign_up_everyone() -> None:
    for number in range(PEOPLE):
        signed_up = await emailpassword.sign_up(TENANT, email(number), PASSWORD)
        assert isinstance(signed_up, SignUpOkResult)


class App:
    """The SDK, started, with events or without."""

    def __init__(self, core_url: str, configuration: str | None) -> None:
        self.added = Added()
        self.added.measure()
        self.events = Events.from_dict(json.loads(configuration)) if configuration else None
        sdk.start(core_url, sdk.recipes(sdk.Mailbox()), self.events)

    async def sign_in(self, number: int) -> None:
        """What the API does for a sign-in, without the API. Two events in two commits; there they are in one."""
        with self.added.whole():
            signed_in = await emailpassword.sign_in(TENANT, email(number), PASSWORD)
            assert isinstance(signed_in, SignInOkResult)
            await session.create_new_session_without_request_response(TENANT, signed_in.recipe_user_id)

    def answer(self, runner: asyncio.Runner) -> None:
        """Every line on stdin. Between turns the event loop stands still."""
        last = Counts.of(self.events)
        for line in sys.stdin:
            turn = json.loads(line)
            latencies = runner.run(play(self.sign_in, **turn)) if turn else {}
            ended = time.perf_counter()
            if self.events is not None:
                deliver_all(self.events)
            behind = 1_000 * (time.perf_counter() - ended)
            counts = Counts.of(self.events)
            told = {**latencies, **counts.since(last), "added": self.added.taken(), "behind": behind}
            print(json.dumps(told), flush=True)
            last = counts


def main(through: str, core_url: str, configuration: str | None = None) -> None:
    supertokens_python.querier.AsyncClient = SharedClient  # type: ignore[assignment,misc]
    app = App(core_url, configuration)
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        if app.events is None:
            runner.run(sign_up_everyone())
        if through == "api":
            SharedClient.client = None  # the server has an event loop of its own
            print(stack.enter_context(serve_asgi(make_app())), flush=True)
        else:
            print("ready", flush=True)
        app.answer(runner)
    if app.events is not None:
        app.events.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
