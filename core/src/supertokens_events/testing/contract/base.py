"""What the author gives, and what all parts of the contract use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import anyio
import pytest

from supertokens_events.config import Settings, load_settings
from supertokens_events.dispatch.outcomes import BrokenContract, checked
from supertokens_events.event import Event, with_sequence
from supertokens_events.log import describe_exception
from supertokens_events.plugins import Plugins, load_plugins
from supertokens_events.sink import Delivered, Delivery, Outcome, Sink
from supertokens_events.testing.place import Place
from supertokens_events.testing.samples import sample_event

__all__ = ["DECLARED", "SINK", "Base", "deviates"]

SINK = "contract"
"""The name of the sink that is tested."""

DECLARED: Mapping[str, str] = {
    "is_remote": "the place is behind a connection: it can hang and answer garbage",
    "can_be_away": "the place can be out of reach, and back again",
    "can_be_busy": "the place can ask for patience",
    "can_refuse": 'the place can say "never" to an event',
    "sends_body": "what the place gets holds `delivery.body` as it is",
    "secrets": "the texts in `sink_settings` that nobody may see; () says that there are none",
}
"""What a contract says of its sink and its place, and what it means."""

_LIMIT = 60.0  # seconds for one test, whatever a sink does

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
T = TypeVar("T")


def deviates(reason: str) -> Callable[[FunctionT], FunctionT]:
    """Marks a test that overrides one of the contract's: this sink does otherwise, for this reason.

    Raises ``ValueError`` when there is none.
    """
    if not reason.strip():
        raise ValueError("deviates() needs a reason, in a sentence")

    def mark(function: FunctionT) -> FunctionT:
        vars(function)["deviates"] = reason
        return function

    return mark


class Base:
    """What the author sets, and how the tests make sinks and deliveries."""

    sink_type: ClassVar[type[Sink[Any]]]
    """The class that is tested."""
    plugins: ClassVar[Sequence[object]] = ()
    """What brings the sink type where no entry point does: what the app gives to ``Events(…, plugins=…)``."""

    is_remote: ClassVar[bool]
    can_be_away: ClassVar[bool]
    can_be_busy: ClassVar[bool]
    can_refuse: ClassVar[bool]
    sends_body: ClassVar[bool]
    secrets: ClassVar[Sequence[str]]

    says_when: ClassVar[bool] = True
    """Whether a place that is busy can say for how long."""
    patience: ClassVar[float] = 5.0
    """Seconds that one call may take, with ``sink_settings``: let them shorten the sink's own timeout. Never more than the
    sink's ``deadline``.
    """

    @pytest.fixture
    def place(self) -> Place:
        """Where the sink delivers to. A new one for each test."""
        pytest.fail(
            f"{type(self).__name__} needs a fixture `place`, which gives a Place such as HttpPlace", pytrace=False
        )

    @pytest.fixture
    def sink_settings(self, place: Place) -> Mapping[str, Any]:
        """The sink's own keys of its TOML table, as a ``dict``, for a sink that delivers to ``place``."""
        pytest.fail(f"{type(self).__name__} needs a fixture `sink_settings`, which gives its TOML table", pytrace=False)

    @pytest.fixture
    def sink(self, sink_settings: Mapping[str, Any], tmp_path: Path) -> Sink[Any]:
        """The sink, made as a configuration makes it, not yet open."""
        return self.build(sink_settings, tmp_path)

    def trace(self, delivery: Delivery) -> str:
        """A text by which a delivery is found in what the place received. Each delivery of a test has an event and a user of
        its own.
        """
        return delivery.event_id

    # How it is done ------------------------------------------------------------------------------------------------

    def asks_for(self, capability: str) -> None:
        """Skips the test, with a word, when the contract says that this cannot be."""
        if not hasattr(self, capability):
            pytest.fail(f"{type(self).__name__} does not say {capability}: {DECLARED[capability]}", pytrace=False)
        if not getattr(self, capability):
            pytest.skip(f"{type(self).__name__}.{capability} = {getattr(self, capability)!r}")

    def load(self, own: Mapping[str, Any], folder: Path, **tables: Any) -> tuple[Settings, Plugins]:
        """A configuration with this sink, whatever is installed."""
        plugins = replace(_nothing_installed(), sink_types={self.sink_type.type: self.sink_type})
        sinks = {SINK: {"type": self.sink_type.type, "events": ["*"], **own}}
        return load_settings({**tables, "sinks": sinks}, plugins, folder=folder), plugins

    def build(self, own: Mapping[str, Any], folder: Path) -> Sink[Any]:
        """A new sink with these settings."""
        settings, _ = self.load(own, folder)
        sink = settings.sinks[SINK].build()
        assert sink is not None
        return sink

    def run(self, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Run an async function, as the dispatcher does: with anyio, on asyncio."""

        async def within() -> T:
            with anyio.fail_after(_LIMIT):
                return await function(*arguments)

        return anyio.run(within, backend="asyncio")

    def delivery(self, event: Event | None = None, number: int = 1) -> Delivery:
        """``event`` on its way to the sink."""
        event = event or sample_event("user.created", user_id=f"user-{number:04d}-of-the-contract")
        body = with_sequence(event.to_bytes(), number)
        return Delivery(SINK, event.id, event.type, number, event.tenant_id, event.user_id, body)

    def deliveries(self, count: int) -> list[Delivery]:
        """So many, of as many users."""
        return [self.delivery(number=number) for number in range(1, count + 1)]

    @asynccontextmanager
    async def opened(self, sink: Sink[Any]) -> AsyncIterator[Sink[Any]]:
        """The sink between ``open()`` and ``close()``."""
        await sink.open()
        try:
            yield sink
        finally:
            with anyio.CancelScope(shield=True):
                await sink.close()

    async def call(self, sink: Sink[Any], deliveries: Sequence[Delivery]) -> Any:
        """What one call returns. One that raises fails the test, with a sentence; one that is cancelled ends."""
        try:
            return await sink.deliver(list(deliveries))
        except Exception as error:
            raised = describe_exception(error)
        pytest.fail(f"deliver() raised {raised}: an exception is a bug; say Retry or Rejected", pytrace=False)

    async def deliver(self, sink: Sink[Any], deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """The outcomes of one call, which the dispatcher would accept."""
        within = min(self.patience, sink.deadline)
        outcomes: Any = None
        with anyio.move_on_after(within) as limit:
            outcomes = await self.call(sink, deliveries)
        if limit.cancelled_caught:
            late = f"deliver() took longer than {within:g} s: set a timeout in `sink_settings`, or `patience`"
            pytest.fail(late, pytrace=False)
        try:
            return checked(outcomes, len(deliveries))
        except BrokenContract as error:
            broken = str(error)
        pytest.fail(broken, pytrace=False)

    async def deliver_all(self, sink: Sink[Any], deliveries: Sequence[Delivery]) -> list[Outcome]:
        """The outcomes of as many calls as the sink's ``batch`` asks for, in order."""
        outcomes: list[Outcome] = []
        for batch in batches(sink, deliveries):
            outcomes += await self.deliver(sink, batch)
        return outcomes

    async def deliver_once(self, sink: Sink[Any], deliveries: Sequence[Delivery]) -> list[Outcome]:
        """The same with a sink that is opened for it and closed after it."""
        async with self.opened(sink):
            return await self.deliver_all(sink, deliveries)

    def run_each(self, sink: Sink[Any], deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Their outcomes, each of a call of its own, of a sink that is opened for all of them and then closed."""

        async def each() -> list[Outcome]:
            async with self.opened(sink):
                return [outcome for one in deliveries for outcome in await self.deliver(sink, [one])]

        return self.run(each)

    def run_once(self, sink: Sink[Any], deliveries: Sequence[Delivery]) -> list[Outcome]:
        """:meth:`deliver_once`, run."""
        return self.run(partial(self.deliver_once, sink, deliveries))

    def arrived(self, place: Place, deliveries: Sequence[Delivery]) -> list[str]:
        """The event ids of those that the place has, in the order in which they came."""
        text = "\n".join(place.received())
        found = {delivery.event_id: text.find(self.trace(delivery)) for delivery in deliveries}
        return sorted(
            (event_id for event_id, where in found.items() if where >= 0), key=lambda event_id: found[event_id]
        )

    def check_once(self, place: Place, deliveries: Sequence[Delivery]) -> None:
        """Each is in one message, line or request of those that the place has, and in no second one."""
        received = place.received()
        times = {one.event_id: sum(self.trace(one) in text for text in received) for one in deliveries}
        again = {event_id: count for event_id, count in times.items() if count > 1}
        assert not again, f"the place has these more than once, of one call of deliver(): {again}"


def batches(sink: Sink[Any], deliveries: Sequence[Delivery]) -> list[list[Delivery]]:
    """As the dispatcher cuts them: by the sink's ``batch``."""
    made: list[list[Delivery]] = []
    room = 0.0
    for delivery in deliveries:
        size = len(delivery.body)
        if not made or len(made[-1]) >= (sink.batch.size if sink.batch else 1) or size > room:
            made.append([])
            room = float("inf") if sink.batch is None or sink.batch.max_bytes is None else sink.batch.max_bytes
        made[-1].append(delivery)
        room -= size
    return made


@cache
def _nothing_installed() -> Plugins:
    """Found once: looking for entry points takes longer than most tests."""
    return load_plugins(disable="*")


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    """Their event ids."""
    return [delivery.event_id for delivery in deliveries]


def all_delivered(outcomes: Sequence[Outcome]) -> bool:
    """Whether the place has them all."""
    return all(isinstance(outcome, Delivered) for outcome in outcomes)
