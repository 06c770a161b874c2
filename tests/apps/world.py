"""Where a flow of the table takes place: an app with a browser in front, and the SDK's backend functions behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from inspect import signature
from typing import Any, Literal

import httpx

from apps.browser import Browser
from apps.canary import secrets_exchanged, secrets_in
from apps.running import App
from apps.servers import close_loop
from apps.stored import last_sequence, stored_events
from core_double import CoreDouble
from supertokens_events import Event, Events

Style = Literal["asyncio", "syncio"]


class World:
    """One flow's surroundings. Steps keep what they made in attributes of their own choosing: ``w.user``, ``w.token``."""

    user: Any
    session: Any
    token: str

    def __init__(self, app: App, events: Events, style: Style, sync_thread: ThreadPoolExecutor) -> None:
        self.core: CoreDouble = app.core
        self.mailbox = app.mailbox
        self.browser = Browser(app.url)
        self.style = style
        self.emailpassword: Any = _Module(self, "emailpassword")
        self.sessions: Any = _Module(self, "session")
        self.multitenancy: Any = _Module(self, "multitenancy")
        self.tenants = ["public"]
        self._noted: set[str] = set()
        self._events = events
        self._thread = sync_thread
        self._names: dict[str, str] = {}
        self.mark()

    def mark(self) -> None:
        """From here on events are the flow's own."""
        self._after = last_sequence(self._events)
        self.names()

    def told(self) -> list[Event]:
        """The events since the mark."""
        return stored_events(self._events, after=self._after)

    def secrets(self) -> set[str]:
        """All that went one way or the other and that nobody else may know."""
        exchanged = {secret for answer in self.browser.answers for secret in secrets_exchanged(answer)}
        return self._noted | exchanged | {secret for link in self.mailbox.links for secret in secrets_in(link)}

    def note(self, value: Any) -> None:
        """What must stay secret of what a backend gives and gets."""
        self._noted |= set(secrets_in(value))

    def of_session(self, method: str, *arguments: Any) -> Any:
        """Call a method of ``w.session``, a ``SessionContainer``."""
        name = method if self.style == "asyncio" else f"sync_{method}"
        return self.call(getattr(self.session, name), *arguments)

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """As a backend does: on an event loop, or on a thread without one."""
        if self.style == "syncio":
            return self._thread.submit(function, *arguments, **named).result()
        coroutine: Coroutine[Any, Any, Any] = function(*arguments, **named)
        return asyncio.run(coroutine)

    def names(self) -> dict[str, str]:
        """Users by id, as people call them: the first part of their first e-mail. Asked of the core, not of the events."""
        for tenant in self.tenants:
            answer = httpx.get(f"{self.core.url}/{tenant}/users", trust_env=False, verify=False)
            for user in answer.json()["users"]:
                self._names.setdefault(user["id"], user["emails"][0].partition("@")[0])
        return self._names


class _Module:
    """``supertokens_python.recipe.<recipe>.asyncio`` or ``.syncio``, with functions that simply return."""

    def __init__(self, world: World, recipe: str) -> None:
        self._world = world
        self._module = import_module(f"supertokens_python.recipe.{recipe}.{world.style}")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = getattr(self._module, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._world.note(signature(function).bind(*arguments, **named).arguments)
            result = self._world.call(function, *arguments, **named)
            self._world.note(result)
            return result

        return call


def sync_thread() -> ThreadPoolExecutor:
    """One thread for ``syncio``, as a web server has. End it with :func:`end_sync_thread`."""
    return ThreadPoolExecutor(1, "syncio")


def end_sync_thread(thread: ThreadPoolExecutor) -> None:
    thread.submit(close_loop).result()
    thread.shutdown()


def sentence(event: Event, names: dict[str, str]) -> str:
    """What an event says, such as ``user.sign_in.failed wrong_credentials by unknown``, ``user.created of ada by ada in t1``."""
    actor = (
        names.get(event.actor.user_id or "", event.actor.user_id) if event.actor.type == "user" else event.actor.type
    )
    words = [
        event.type,
        event.data.get("reason"),
        event.user_id and f"of {names.get(event.user_id, event.user_id)}",
        f"by {actor}",
    ]
    where = f"in {event.tenant_id}" if event.tenant_id not in (None, "public") else None
    return " ".join(word for word in [*words, where] if word)
