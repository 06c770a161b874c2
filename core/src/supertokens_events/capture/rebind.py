"""The only code that wraps the SDK. Written once for every recipe: call, then look, inside ``try``; always return the
original result.

Methods are rebound on the SDK's own implementation object. A subclass or a delegate in its place would lose the calls
that the SDK makes to itself (``sign_up`` → ``create_new_recipe_user``).
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import Token
from typing import Any

from supertokens_events.capture.context import actor_of, current_context
from supertokens_events.capture.recipe import Capture, Fact, Outcome, Reader, Recipe, fill
from supertokens_events.capture.scope import (
    Kind,
    Root,
    Scope,
    current_request,
    enter_request,
    leave_request,
    pop_frame,
    push_frame,
)
from supertokens_events.emit import Emitter
from supertokens_events.event import Event
from supertokens_events.ledger import Reason
from supertokens_events.log import describe_exception, get_logger

__all__ = ["is_rebound", "leave_alone", "rebind", "rebind_requests", "rebound"]

log = get_logger(__name__)

_MARK = "_supertokens_events"
_REQUESTS_MARK = f"{_MARK}_requests"

AsyncFunction = Callable[..., Awaitable[Any]]


def rebind(implementation: Any, recipe: Recipe, kind: Kind, emitter: Emitter) -> Any:
    """Wrap, in place, every function of ``implementation`` that ``recipe`` captures. Doing it again changes nothing.

    Returns ``implementation``, as an SDK override must. Never raises: without a function that it knows, capture has a
    gap.
    """
    if kind == "function" and _MARK not in vars(implementation) and not _is_the_sdks(implementation):
        emitter.ledger.count(Reason.CAPTURE_GAP, subject=recipe.id)
        log.warning(
            "Another's object stands in the place of the SDK's; what the SDK calls on itself is not captured. "
            "Capture as the first plugin would see it.",
            recipe=recipe.id,
        )
    done: dict[str, AsyncFunction | None] = vars(implementation).setdefault(_MARK, {})
    for name, captures in recipe.watched(kind, implementation).items():
        if name in done:
            continue
        done[name] = None
        function = getattr(implementation, name, None)
        if function is None and not captures:
            continue  # only a place where others happen, and in this SDK nothing happens there
        if function is None:
            emitter.ledger.count(Reason.CAPTURE_GAP, subject=f"{recipe.id}.{name}")
            log.warning("This SDK has no such function; its events are not captured.", function=f"{recipe.id}.{name}")
            continue
        try:
            signature = _signature(implementation, name, function)
            watch = _Watch(signature, recipe, kind=kind, name=name, captures=captures, emitter=emitter)
            done[name] = _wrap(function, watch)
            setattr(implementation, name, done[name])
        except Exception as error:
            emitter.ledger.count(Reason.CAPTURE_FAILED, subject=f"{recipe.id}.{name}")
            log.error(
                "A function could not be wrapped; its events are not captured.",
                function=f"{recipe.id}.{name}",
                error=describe_exception(error),
            )
    return implementation


def rebound(implementation: Any) -> Mapping[str, AsyncFunction]:
    """What stands in the place of its functions, by their names: ``__wrapped__`` of each is what was there before."""
    done: Mapping[str, AsyncFunction | None] = getattr(implementation, "__dict__", {}).get(_MARK, {})
    return {name: wrapper for name, wrapper in done.items() if wrapper is not None}


def leave_alone(implementation: Any, names: Iterable[str]) -> None:
    """Have :func:`rebind` take these functions for wrapped: nothing that happens in them is told."""
    vars(implementation).setdefault(_MARK, {}).update(dict.fromkeys(names))


def _is_the_sdks(implementation: Any) -> bool:
    """Whether it is the object that the SDK made, or at least of its class."""
    return any(cls.__module__.startswith("supertokens_python.") for cls in type(implementation).__mro__)


def rebind_requests(supertokens: Any, emitter: Emitter) -> None:
    """Wrap the SDK's two entry points for HTTP requests, so that capture knows which request it is in."""
    if is_rebound(supertokens):
        return
    setattr(supertokens, _REQUESTS_MARK, True)
    for name in ("middleware", "handle_supertokens_error"):
        function = getattr(supertokens, name, None)
        if function is None:
            emitter.ledger.count(Reason.CAPTURE_GAP, subject=f"supertokens.{name}")
            log.warning("This SDK has no such function; requests are not told apart.", function=f"supertokens.{name}")
            continue
        setattr(supertokens, name, _in_request(function))


def is_rebound(supertokens: Any) -> bool:
    """Whether :func:`rebind_requests` was here: by plugin or by ``instrument()``."""
    return _REQUESTS_MARK in vars(supertokens)


def _in_request(function: AsyncFunction) -> AsyncFunction:
    @functools.wraps(function)
    async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        token = enter_request(request)
        try:
            return await function(request, *args, **kwargs)
        finally:
            leave_request(token)

    return wrapper


def _signature(implementation: Any, name: str, function: AsyncFunction) -> inspect.Signature:
    """The SDK's own, which is how it is called: an app's override around it may take ``*args, **kwargs``."""
    for cls in type(implementation).__mro__:
        if cls.__module__.startswith("supertokens_python.") and name in vars(cls):
            return inspect.signature(vars(cls)[name].__get__(implementation))
    return inspect.signature(function)


def _wrap(function: AsyncFunction, watch: _Watch) -> AsyncFunction:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = watch.begin(args, kwargs)
        if call is None:
            return await function(*args, **kwargs)
        try:
            await call.read_before()
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                call.came_to(Outcome(error=error))
                raise
            outcome = Outcome(value=result)
            try:
                await call.read_after(outcome)
            finally:  # cancelled while reading: what the call came to is so all the same
                call.came_to(outcome)
            return result
        finally:
            await call.end()

    return wrapper


class _Watch:
    """What is known of one wrapped function before it is called."""

    def __init__(
        self,
        signature: inspect.Signature,
        recipe: Recipe,
        *,
        kind: Kind,
        name: str,
        captures: Sequence[Capture],
        emitter: Emitter,
    ) -> None:
        self.signature = signature
        self.recipe = recipe
        self.kind = kind
        self.function = name
        self.emitter = emitter
        self.captures = captures
        self.reader_before = recipe.readers.get(name)
        self.reader_after = recipe.readers_after.get(name)

    @property
    def name(self) -> str:
        return f"{self.recipe.id}.{self.function}"

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Call | None:
        """The call, begun; ``None`` when it cannot be watched (the SDK then raises for itself, if it does)."""
        try:
            bound = self.signature.bind(*args, **kwargs)
            bound.apply_defaults()
            return _Call(self, bound.arguments)
        except Exception as error:
            self.failed(error)
            return None

    def failed(self, error: BaseException) -> None:
        self.emitter.ledger.count(Reason.CAPTURE_FAILED, subject=self.name)
        log.error(
            "A call could not be captured; it goes on as if nothing were there.",
            function=self.name,
            error=describe_exception(error),
        )


class _Call:
    """One call of a wrapped function. Whatever goes wrong in here is counted and logged, and never reaches the SDK."""

    def __init__(self, watch: _Watch, arguments: Mapping[str, Any]) -> None:
        self.watch = watch
        self.arguments = arguments
        self.extra: dict[str, Any] = {}
        self.unknown: set[str] = set()  # types of which nobody knows whether they happened
        self.request_token = self._enter_request()
        self.frame, self.frame_token = push_frame(watch.recipe.id, watch.kind, watch.function, arguments)
        self.position = len(self.frame.root.events)

    def _enter_request(self) -> Token[Any] | None:
        """An API function is given its request; the middleware around it may not have been ours to wrap."""
        if self.watch.kind != "api" or current_request() is not None:
            return None
        request = _request_of(self.arguments)
        return None if request is None else enter_request(request)

    async def read_before(self) -> None:
        await self._read(self.watch.reader_before, Outcome())

    async def read_after(self, outcome: Outcome) -> None:
        await self._read(self.watch.reader_after, outcome)

    async def _read(self, reader: Reader | None, outcome: Outcome) -> None:
        if reader is None:
            return
        if not self._wanted(reader):
            if reader.vital:
                self.unknown.update(reader.event_types)
            return
        try:
            if reader.matches is not None and reader.matches(outcome) is None:
                return
            started = time.monotonic()
            try:
                async with asyncio.timeout(self._time_left()):
                    self.extra.update(await reader.reader(**self._fill(reader, outcome, Scope(self.frame))))
            finally:
                self.frame.root.spent += time.monotonic() - started
        except Exception as error:
            self.watch.failed(error)

    def _time_left(self) -> float:
        """Of ``append_timeout``, in seconds: one deadline for all that we add to a call, its reads included."""
        return max(0.0, self.watch.emitter.append_timeout - self.frame.root.spent)

    def _wanted(self, reader: Reader) -> bool:
        return not reader.event_types or any(map(self.watch.emitter.wants, reader.event_types))

    def came_to(self, outcome: Outcome) -> None:
        for capture in self.watch.captures:
            try:
                found = capture.matches(outcome)
                if found is not None:
                    self.extra.update(found)
                    self._capture(capture, outcome)
            except Exception as error:
                self.watch.failed(error)

    async def end(self) -> None:
        """Leave the frame; the outermost call hands its events over and waits for them to be stored, within the
        deadline.
        """
        outermost = pop_frame(self.frame_token)
        if self.request_token is not None:
            leave_request(self.request_token)
        if not outermost:
            return
        root = self.frame.root
        root.closed = True
        try:
            await self.watch.emitter.emit(root.events, within=self._time_left())
        except Exception as error:
            self.watch.failed(error)

    def _capture(self, capture: Capture, outcome: Outcome) -> None:
        scope = Scope(self.frame)
        if capture.outside_api and scope.inside_api(self.watch.recipe.id):
            return
        emitter, root = self.watch.emitter, self.frame.root
        events: list[Event] = []
        for fact in _each(capture.handler(**self._fill(capture, outcome, scope))):
            scope.tell(fact.data.event_type)
            if fact.data.event_type in self.unknown:
                emitter.ledger.count(Reason.CAPTURE_OFF, event_type=fact.data.event_type)
            elif emitter.takes(fact.data.event_type):  # asked first: an event is much work, and many are not wanted
                events.append(_event(fact, root, scope, emitter))
        place = self.position if capture.first else len(root.events)
        root.events[place:place] = events

    def _fill(self, declared: Capture | Reader, outcome: Outcome, scope: Scope) -> dict[str, Any]:
        return fill(
            declared.fields,
            extra=self.extra,
            derived=self.watch.recipe.derived,
            arguments=self.arguments,
            outcome=outcome,
            scope=scope,
        )


def _request_of(arguments: Mapping[str, Any]) -> Any:
    """Of an API function's options, which call it by one name or, in ``webauthn``, by another."""
    options = arguments.get("api_options") or arguments.get("options")
    return getattr(options, "request", None) or getattr(options, "req", None)


def _each(facts: Fact | Iterable[Fact] | None) -> Iterable[Fact]:
    if facts is None:
        return ()
    return (facts,) if isinstance(facts, Fact) else facts


def _event(fact: Fact, root: Root, scope: Scope, emitter: Emitter) -> Event:
    return Event(
        type=fact.data.event_type,
        schema_version=fact.data.schema_version,
        source=emitter.source,
        tenant_id=fact.tenant_id,
        user_id=fact.user_id,
        correlation_id=root.correlation_id,
        actor=actor_of(fact, scope),
        context=current_context(emitter.trusted_proxies),
        data=fact.data.model_dump(mode="json", exclude_none=True),
    )
