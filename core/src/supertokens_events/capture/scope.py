"""Where a captured call stands: the calls around it, the request it belongs to, the session it came with.

All of it lives in context variables, always reset: never in ``user_context``, which the SDK shares between requests.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakKeyDictionary

from supertokens_events.event import Actor, Context, Event, new_event_id

__all__ = [
    "Frame",
    "RequestScope",
    "Root",
    "Scope",
    "SessionFacts",
    "current_request",
    "enter_request",
    "leave_request",
    "pop_frame",
    "push_frame",
]

Kind = Literal["function", "api", "method"]

_REMEMBERED_FOR = 60.0  # seconds that a call may lie behind the one that recalls it, outside of a common frame


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What may be known of a ``SessionContainer``: ids. Its tokens stay in it."""

    session_handle: str
    user_id: str
    recipe_user_id: str
    tenant_id: str

    @classmethod
    def of(cls, container: Any) -> SessionFacts:
        """Copied from the container at once."""
        return cls(
            container.get_handle(),
            container.get_user_id(),
            container.get_recipe_user_id().get_as_string(),
            container.get_tenant_id(),
        )


@dataclass(slots=True)
class Root:
    """What the frames of one outermost call share: the events that wait for its end."""

    correlation_id: str
    events: list[Event] = field(default_factory=list)
    told: list[tuple[str, str | None]] = field(default_factory=list)
    """The type of each fact so far, captured or not, and the handle of the session that it came with."""
    closed: bool = False
    spent: float = 0.0
    """Seconds that we have made the call wait so far: what we add to it, reads included, has one deadline."""
    admin_email: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One captured call that has begun."""

    recipe: str
    kind: Kind
    name: str
    arguments: Mapping[str, Any]
    root: Root


@dataclass(slots=True)
class RequestScope:
    """The HTTP request that the SDK is working on. ``context`` is what its events say of it, once one of them did."""

    request: Any
    correlation_id: str
    context: Context | None = None


_frames: ContextVar[tuple[Frame, ...]] = ContextVar("supertokens_events_frames", default=())
_request: ContextVar[RequestScope | None] = ContextVar("supertokens_events_request", default=None)
_memory: ContextVar[Mapping[str, tuple[Root, str, float]]] = ContextVar("supertokens_events_memory", default={})  # noqa: B039 - never changed in place
_correlations: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def push_frame(
    recipe: str, kind: Kind, name: str, arguments: Mapping[str, Any]
) -> tuple[Frame, Token[tuple[Frame, ...]]]:
    """Begin a frame inside the current one. A task that outlives its parent's frame begins a root of its own."""
    frames = _frames.get()
    if frames and not frames[-1].root.closed:
        root = frames[-1].root
    else:
        frames = ()
        request = _request.get()
        root = Root(request.correlation_id if request else new_correlation_id())
    frame = Frame(recipe, kind, name, arguments, root)
    return frame, _frames.set((*frames, frame))


def pop_frame(token: Token[tuple[Frame, ...]]) -> bool:
    """End it; ``True`` when it was the outermost one."""
    _frames.reset(token)
    frames = _frames.get()
    return not frames or frames[-1].root.closed


def new_correlation_id() -> str:
    """An id that the events of one request, or of one call outside of any, have in common."""
    return new_event_id().replace("evt_", "cor_")


def enter_request(request: Any) -> Token[RequestScope | None]:
    """Begin work on a request. Entering the same request again, as the SDK's error handler does, keeps its correlation
    id.
    """
    return _request.set(RequestScope(request, _correlation_of(request)))


def leave_request(token: Token[RequestScope | None]) -> None:
    """End it. Always: under Django a context variable that stays set is seen by the next request of the thread."""
    _request.reset(token)


def current_request() -> RequestScope | None:
    """The request being worked on, if any."""
    return _request.get()


def _correlation_of(request: Any) -> str:
    """By the framework's own request object: the SDK wraps it anew each time."""
    try:
        framework_request = getattr(request, "request", request)
        unwrap = getattr(framework_request, "_get_current_object", None)  # Flask's is a proxy to the current request
        key = unwrap() if unwrap else framework_request
        return _correlations.setdefault(key, new_correlation_id())
    except Exception:  # not hashable or not weakly referable, such as a test's stand-in
        return new_correlation_id()


class Scope:
    """What a capture function may ask about where its call stands."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._frames = _frames.get()

    def inside_api(self, recipe: str | None = None) -> bool:
        """Whether a frontend API function (of this recipe) is around the call, or is it."""
        return any(frame.kind == "api" and recipe in (None, frame.recipe) for frame in self._frames)

    def inside(self, recipe: str, *names: str) -> bool:
        """Whether a call of this recipe (of one of these functions) is around the call."""
        return any(
            frame.recipe == recipe and (not names or frame.name in names)
            for frame in self._frames
            if frame is not self._frame
        )

    @property
    def outermost(self) -> bool:
        """Whether no captured call is around this one: the app made it itself."""
        return self._frames[0] is self._frame

    @property
    def session(self) -> SessionFacts | None:
        """The session that the call, or one around it, was given."""
        for frame in reversed(self._frames):
            container = frame.arguments.get("session")
            if container is not None and hasattr(container, "get_handle"):
                return SessionFacts.of(container)
        return None

    @property
    def admin(self) -> Actor | None:
        """Who is at the dashboard, when the call is made there."""
        at_dashboard = any(frame.recipe == "dashboard" for frame in self._frames)
        return Actor(type="admin", email=self._frame.root.admin_email) if at_dashboard else None

    def name_admin(self, email: str) -> None:
        """The e-mail address of whoever makes this outermost call at the dashboard."""
        self._frame.root.admin_email = email

    def tell(self, event_type: str) -> None:
        """A fact of this type has come up, whether it is captured or not."""
        session = self.session
        self._frame.root.told.append((event_type, session.session_handle if session else None))

    def told(self, event_type: str) -> Sequence[str | None]:
        """The session's handle of each fact of this type that the outermost call has brought so far; ``None`` for one
        without a session.
        """
        return [session_handle for told, session_handle in self._frame.root.told if told == event_type]

    def remember(self, what: str, about: str) -> None:
        """Leave a note for a later call of the same flow, about a user or another id."""
        _memory.set({**_memory.get(), what: (self._frame.root, about, time.monotonic())})

    def recall(self, what: str, about: str) -> str | None:
        """Whom such a note is about, once: left inside the same outermost call, or just before in this task and about
        the same id.
        """
        memory = dict(_memory.get())
        root, whom, at = memory.pop(what, (None, "", 0.0))
        if root is self._frame.root or (whom == about and time.monotonic() - at < _REMEMBERED_FOR):
            _memory.set(memory)
            return whom
        return None
