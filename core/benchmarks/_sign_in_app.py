"""The app that ``sign_in.py`` measures, in a process of its own: ``python _sign_in_app.py CORE_URL [CONFIGURATION]``.

FastAPI with the SDK's middleware, under uvicorn. With ``CONFIGURATION`` (JSON) it has events. It prints its URL; for each
line on stdin it prints what happened in the process since the last one, as JSON.
"""
# ruff: noqa: INP001, T201 - a script beside a script, which answers on stdout

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Self

import httpx
import supertokens_python.querier

from apps import sdk
from apps.fastapi_app import make_app
from apps.servers import serve_asgi
from supertokens_events import Events
from supertokens_events.capture import rebind

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
    """Seconds that wrappers add to each outermost call: what it takes, less what the SDK's own functions in it take.

    The SDK's functions call each other, so there are wrappers inside wrappers; each is counted without what it wraps.
    """

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._call: ContextVar[list[float] | None] = ContextVar("call", default=None)

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
            outer = self._call.get()
            call = [0.0] if outer is None else outer
            token = self._call.set(call)
            began = time.perf_counter()
            try:
                return await wrapper(*args, **kwargs)
            finally:
                call[0] += time.perf_counter() - began
                self._call.reset(token)
                if outer is None:
                    self.seconds.append(call[0])

        return around


def main(core_url: str, configuration: str | None = None) -> None:
    supertokens_python.querier.AsyncClient = SharedClient  # type: ignore[assignment,misc]
    added = Added()
    added.measure()
    events = Events.from_dict(json.loads(configuration)) if configuration else None
    sdk.start(core_url, sdk.recipes(sdk.Mailbox()), events)
    with serve_asgi(make_app()) as url:
        print(url, flush=True)
        last = Counts.of(events)
        for _ in sys.stdin:
            counts, seconds = Counts.of(events), added.seconds[:]
            del added.seconds[: len(seconds)]
            print(json.dumps({**counts.since(last), "added": seconds}), flush=True)
            last = counts
    if events is not None:
        events.stop()


class Counts:
    """What is counted from the start of the process on."""

    def __init__(self, **counts: float) -> None:
        self._counts = counts

    @classmethod
    def of(cls, events: Events | None) -> Self:
        """CPU seconds, events stored, and events that were not stored in time."""
        if events is None:
            return cls(cpu=time.process_time(), stored=0, late=0)
        late = sum(line.count for line in events.outbox.ledger() if line.reason == "late")
        return cls(cpu=time.process_time(), stored=events.outbox.counts()[0], late=late)

    def since(self, earlier: Self) -> dict[str, float]:
        return {name: count - earlier._counts[name] for name, count in self._counts.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
