"""The only code that wraps the SDK. Written once for every recipe: call, then look, inside ``try``; always return the
original result.

Methods are rebound on the SDK's own implementation object. A subclass or a delegate in its place would lose the calls
that the SDK makes to itself (``sign_up`` → ``create_new_recipe_user``).
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import Token
from typing import Any

from supertokens_events.capture.context import actor_of, current_context
from supertokens_events.capture.recipe import Capture, Fact, Outcome, Reader, Recipe, fill
from supertokens_events.capture.scope import (
    Frame,
    Kind,
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

__all__ = ["rebind", "rebind_requests"]

log = get_logger(__name__)

_MARK = "_supertokens_events"

AsyncFunction = Callable[..., Awaitable[Any]]


def rebind(implementation: Any, recipe: Recipe, kind: Kind, emitter: Emitter) -> Any:
    """Wrap, in place, every function of ``implementation`` that ``recipe`` captures. Doing it again changes nothing.

    Returns ``implementation``, as an SDK override must. Never raises: without a function that it knows, capture has a
    gap.
    """
    done: set[str] = vars(implementation).setdefault(_MARK, set())
    for name in recipe.names(kind):
        if name in done:
            continue
        done.add(name)
        try:
            setattr(implementation, name, _wrap(getattr(implementation, name), recipe, kind, name, emitter))
        except Exception as error:
            emitter.ledger.count(Reason.CAPTURE_GAP, subject=f"{recipe.id}.{name}")
            log.warning(
                "This SDK has no such function; its events are not captured.",
                function=f"{recipe.id}.{name}",
                error=describe_exception(error),
            )
    return implementation


def rebind_requests(supertokens: Any) -> None:
    """Wrap the SDK's two entry points for HTTP requests, so that capture knows which request it is in."""
    if _MARK in vars(supertokens):
        return
    setattr(supertokens, _MARK, True)
    for name in ("middleware", "handle_supertokens_error"):
        setattr(supertokens, name, _in_request(getattr(supertokens, name)))


def is_rebound(supertokens: Any) -> bool:
    """Whether :func:`rebind_requests` was here: by plugin or by ``instrument()``."""
    return _MARK in vars(supertokens)


def _in_request(function: AsyncFunction) -> AsyncFunction:
    @functools.wraps(function)
    async def wrapper(request: Any, *args: Any, **kwargs: Any) -> Any:
        token = enter_request(request)
        try:
            return await function(request, *args, **kwargs)
        finally:
            leave_request(token)

    return wrapper


def _wrap(function: AsyncFunction, recipe: Recipe, kind: Kind, name: str, emitter: Emitter) -> AsyncFunction:
    watch = _Watch(inspect.signature(function), recipe, kind, name, emitter)

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
            call.came_to(Outcome(value=result))
            return result
        finally:
            await call.end()

    return wrapper


class _Watch:
    """What is known of one wrapped function before it is called."""

    def __init__(self, signature: inspect.Signature, recipe: Recipe, kind: Kind, name: str, emitter: Emitter) -> None:
        self.signature = signature
        self.recipe = recipe
        self.kind = kind
        self.function = name
        self.emitter = emitter
        self.captures = [capture for capture in recipe.captures if capture.kind == kind and capture.name == name]
        self.reader = recipe.readers.get(name) if kind == "function" else None

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
        self.request_token = self._enter_request()
        self.frame, self.frame_token = push_frame(watch.recipe.id, watch.kind, watch.function, arguments)
        self.position = len(self.frame.root.events)

    def _enter_request(self) -> Token[Any] | None:
        """An API function is given its request; the middleware around it may not have been ours to wrap."""
        options = self.arguments.get("api_options") or self.arguments.get("options")
        request = getattr(options, "request", None)
        if self.watch.kind != "api" or request is None or current_request() is not None:
            return None
        return enter_request(request)

    async def read_before(self) -> None:
        reader = self.watch.reader
        if reader is None or not any(self.watch.emitter.wants(event_type) for event_type in reader.event_types):
            return
        try:
            async with asyncio.timeout(self.watch.emitter.append_timeout):
                self.extra.update(await reader.reader(**self._fill(reader, Outcome())))
        except Exception as error:
            self.watch.failed(error)

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
            await self.watch.emitter.emit(root.events)
        except Exception as error:
            self.watch.failed(error)

    def _capture(self, capture: Capture, outcome: Outcome) -> None:
        scope = Scope(self.frame)
        if capture.outside_api and scope.inside_api(self.watch.recipe.id):
            return
        facts = _each(capture.handler(**self._fill(capture, outcome)))
        events = [_event(fact, self.frame, scope, self.watch.emitter.source) for fact in facts]
        place = self.position if capture.first else len(self.frame.root.events)
        self.frame.root.events[place:place] = events

    def _fill(self, declared: Capture | Reader, outcome: Outcome) -> dict[str, Any]:
        return fill(
            declared.fields,
            extra=self.extra,
            derived=self.watch.recipe.derived,
            arguments=self.arguments,
            outcome=outcome,
            scope=Scope(self.frame),
        )


def _each(facts: Fact | Iterable[Fact] | None) -> Iterable[Fact]:
    if facts is None:
        return ()
    return (facts,) if isinstance(facts, Fact) else facts


def _event(fact: Fact, frame: Frame, scope: Scope, source: str | None) -> Event:
    return Event(
        type=fact.data.event_type,
        schema_version=fact.data.schema_version,
        source=source,
        tenant_id=fact.tenant_id,
        user_id=fact.user_id,
        correlation_id=frame.root.correlation_id,
        actor=actor_of(fact, scope),
        context=current_context(),
        data=fact.data.model_dump(mode="json", exclude_none=True),
    )
