"""The handlers of one app."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from supertokens_events.emit import Route
from supertokens_events.handlers.handler import Function, Handler
from supertokens_events.handlers.sink import HandlerSink
from supertokens_events.sink import HANDLER

__all__ = ["Handlers"]

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,150}")
_MARGIN = (
    5.0  # seconds: to write down that a handler ran before the response, until which the dispatcher leaves it alone
)


class Handlers:
    """All that were registered, by name. ``append_timeout`` is how long a caller may wait for its events to be stored."""

    def __init__(self, append_timeout: float) -> None:
        self._append_timeout = append_timeout
        self._handlers: dict[str, tuple[Handler, HandlerSink]] = {}

    def __bool__(self) -> bool:
        return bool(self._handlers)

    def get(self, name: str) -> Handler | None:
        """The handler whose sink has this name."""
        found = self._handlers.get(name)
        return found and found[0]

    def add(self, handler: Handler) -> None:
        """Raises ``ValueError`` when there is one of that name."""
        if handler.name in self._handlers:
            raise ValueError(
                f"there is a handler {handler.name.removeprefix(HANDLER)!r} already: give one of them a name=…"
            )
        self._handlers = {**self._handlers, handler.name: (handler, HandlerSink(handler))}

    def routes(self) -> Sequence[Route]:
        """Who gets events. One that is called before the response is left to that for a while."""
        return [
            Route(
                handler.name,
                handler.subscription,
                ordered=handler.ordered,
                wait=0.0 if handler.timeout is None else self._append_timeout + handler.timeout + _MARGIN,
            )
            for handler, _ in self._handlers.values()
        ]

    def sinks(self) -> Sequence[HandlerSink]:
        """What a dispatcher delivers to."""
        return [sink for _, sink in self._handlers.values()]

    @staticmethod
    def name_of(function: Function, name: str | None) -> str:
        """The name of its sink: ``name``, or else where the function is. Raises ``ValueError`` when it is none."""
        if name is None:
            where: Callable[..., object] = getattr(function, "func", function)  # inside a partial
            qualified = getattr(where, "__qualname__", type(where).__qualname__)
            name = f"{where.__module__}.{qualified}".replace("<locals>.", "").replace("<lambda>", "lambda")
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot be the name of a handler: letters, digits, '_', '.' and '-', 150 at most; give it name=…"
            )
        return HANDLER + name
