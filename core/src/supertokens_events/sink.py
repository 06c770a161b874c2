"""The sink contract: what delivers events to one kind of place, and what each try came to.

A sink author writes one settings model and one method, :meth:`Sink.deliver`. It is given deliveries and returns one
outcome for each, in the same order. An outcome is a value; an exception is a bug, logged, counted and treated as
:class:`Retry`. The core keeps the promise durably (a claim, a lease, the due time); the sink decides what an answer
means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict

from supertokens_events.event import Event
from supertokens_events.retry import RetryPolicy

__all__ = [
    "BatchPolicy",
    "Delivered",
    "Delivery",
    "Outcome",
    "Rejected",
    "Renewed",
    "Retry",
    "RetryPolicy",
    "Sink",
    "SinkSettings",
    "is_handler",
]

HANDLER = "on:"
"""What the names of the app's own functions begin with, as sinks."""


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one sink, as a sink sees it.

    ``body`` is the event's JSON exactly as it was stored: send these bytes, do not make them again. ``event_id`` is the
    idempotency key, the same for every attempt. ``attempt`` counts from 1.
    """

    sink: str
    event_id: str
    event_type: str
    sequence: int
    tenant_id: str | None
    user_id: str | None
    body: bytes = field(repr=False)
    attempt: int = 1

    @cached_property
    def event(self) -> Event:
        """The event, parsed on first use. A sink that only forwards ``body`` never pays for it."""
        return Event.from_bytes(self.body)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The place has it. ``detail`` is kept with the attempt (a status code, a shortened answer): small, and never a
    secret.
    """

    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now. ``after`` is the wait in seconds that the place asked for; ``counts=False`` does not use up an attempt.

    ``away=True`` says that any other event would have fared the same: the place is out of reach, down, or asks for
    patience. Then the lane's breaker lets a probe out now and then, and the rest waits.
    """

    reason: str
    after: float | None = None
    counts: bool = True
    away: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never. The delivery becomes a dead letter with this reason.

    ``disables=True`` says that the place wants no more events at all: nothing goes out to the sink until a person runs
    ``supertokens-events enable``, and what waits for it is kept.
    """

    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    disables: bool = False


Outcome = Delivered | Retry | Rejected


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """How many deliveries one call of :meth:`Sink.deliver` may get: at most ``size`` events and ``max_bytes`` bytes of
    bodies.
    """

    size: int
    max_bytes: int | None = None


class Renewed(NamedTuple):
    """A sink's own keys with a new secret among them, and what of it a person has to hand on, by name: shown once, then never
    again.
    """

    table: Mapping[str, Any]
    secrets: Mapping[str, str]


class SinkSettings(BaseModel):
    """A ready base for a sink's settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


SettingsT = TypeVar("SettingsT", bound=BaseModel)
SettingsClass = type[BaseModel]


class Sink(ABC, Generic[SettingsT]):
    """A named, configured place that events go to. Subclass it, set :attr:`type` and :attr:`Settings`, write
    :meth:`deliver`.

    An instance lives on one event loop, between :meth:`open` and :meth:`close`. ``deliver`` may be called up to
    :attr:`concurrency` times at once and must not block the loop; it is cancelled after :attr:`deadline` seconds, which
    counts as :class:`Retry`.
    """

    type: ClassVar[str]
    """What ``type = "…"`` says in TOML."""

    Settings: ClassVar[SettingsClass] = SinkSettings
    """The sink's own keys of its TOML table. Secrets are ``pydantic.SecretStr``.

    Validators find the folder of the TOML file, where relative paths start, as ``info.context["folder"]``.
    """

    retry: RetryPolicy = RetryPolicy()
    """Its schedule; ``retry`` in the TOML table changes it."""

    batch: BatchPolicy | None = None
    """``None``: one delivery a call."""

    concurrency: int = 10
    """Calls of :meth:`deliver` at once."""

    rate: float | None = None
    """Calls of :meth:`deliver` a second; ``None``: as many as there are."""

    ordered: bool = False
    """Whether deliveries about one user go out one after the other; ``ordering`` in the TOML table changes it."""

    deadline: float = 45.0
    """Seconds that one call may take."""

    def __init__(self, name: str, settings: SettingsT) -> None:
        self.name = name
        self.settings = settings

    async def open(self) -> None:
        """Make what lives until :meth:`close`: connections, files. Called before the first :meth:`deliver`, and again before the
        next one after :meth:`close`, which may be on another event loop.
        """

    @abstractmethod
    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """Deliver, and say for each delivery, in order, what came of it."""

    async def close(self) -> None:
        """Give back what :meth:`open` made. Nothing is delivered afterwards, unless it is opened again."""

    def warnings(self) -> Sequence[str]:
        """What a person should know of its settings, as sentences that begin with the key: such as a key that ends soon. Quick,
        and asks nobody. For ``check``.
        """
        return ()

    def clashes(self, others: Sequence[Sink[Any]]) -> Sequence[str]:  # noqa: ARG002 - for a type whose sinks may meet
        """What a person should know of it beside ``others``, earlier sinks of its type, as sentences that begin with the key:
        such as two that write one file in different ways. Quick, and asks nobody. For ``check``.
        """
        return ()

    @classmethod
    def renewed(
        cls,
        table: Mapping[str, Any],  # noqa: ARG003 - for a type that makes secrets
        settings: BaseModel | None,  # noqa: ARG003
        until: datetime | None,  # noqa: ARG003
    ) -> Renewed | None:
        """``table`` with a new secret, for a sink that is managed through the API. ``settings`` is what the table says now, and
        the present secrets go on until ``until``; ``None``: the sink is being made, and gets a secret where it has none.

        The table is as somebody wrote it, and a secret in it may be a reference: keep each value as it is. ``None``, as here:
        there is nothing to make, such as where the place gives out the secrets.
        """
        return None

    async def check(self) -> Sequence[str]:
        """Problems that a person should know before the first event, as sentences; sends nothing. For ``check
        --connect``.
        """
        return ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def is_handler(name: str) -> bool:
    """Whether the sink of this name is a function of the app's own, which no configuration knows."""
    return name.startswith(HANDLER)
