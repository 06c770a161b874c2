"""Reads of the core around a call: when they happen, and that nothing depends on them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from supertokens_events import Event, hookimpl
from supertokens_events.capture.rebind import rebind
from supertokens_events.capture.recipe import Fact, Recipe, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.catalog.user import UserCreated
from supertokens_events.emit import Emitter
from supertokens_events.ledger import Reason
from supertokens_events.subscription import Patterns

pytestmark = pytest.mark.anyio


class Done:
    """What the recipe's functions return when all is well."""


class Refused:
    """What they return when it is not."""


class Functions:
    """A recipe's functions. ``reads`` counts what was read around them."""

    def __init__(self) -> None:
        self.reads: list[str] = []

    async def act(self, user_id: str, device_id: str = "secret", outcome: Any = Done) -> Any:
        if outcome is RuntimeError:
            raise RuntimeError
        return outcome()

    async def act_around(self, user_id: str) -> Any:
        return await self.act(user_id)


class Wanted:
    @hookimpl
    def event_emitted(self, event: Event) -> None:
        """Somebody who gets every event."""


@pytest.fixture
def emitter(outbox, make_plugins):
    emitter = Emitter(outbox, make_plugins(Wanted()), [], captured=Patterns(["*"]), append_timeout=5)
    yield emitter
    emitter.stop()


@pytest.fixture
def functions():
    return Functions()


def watching(functions: Functions, emitter: Emitter, read: Any) -> None:
    """Capture ``act``: ``read`` runs after it and says the user's e-mail."""
    recipe = Recipe("recipe")

    @recipe.read_after("act", ok("Done"), UserCreated)
    async def email_after(user_id: str) -> dict[str, str]:
        functions.reads.append(user_id)
        return await read()

    @recipe.function("act", ok())
    def acted(user_id: str, email_read: str | None = None) -> Fact:
        return Fact(UserCreated(method="other", recipe_user_id=user_id, email=email_read), user_id=user_id)

    rebind(functions, recipe, "function", emitter)


async def ada() -> dict[str, str]:
    return {"email_read": "ada@example.com"}


def told(outbox) -> list[Event]:
    return [Event.from_bytes(stored.body) for stored in outbox.events()]


async def test_what_is_read_after_a_call_reaches_its_captures(functions, emitter, outbox):
    """A capture function gets the fields that were read after the call."""
    watching(functions, emitter, ada)

    await functions.act("u1")

    assert [event.data["email"] for event in told(outbox)] == ["ada@example.com"]


@pytest.mark.parametrize("outcome", [Refused, RuntimeError])
async def test_only_after_what_it_matches(outcome, functions, emitter):
    """Nothing is read after a call that came to something else, or raised."""
    watching(functions, emitter, ada)

    await asyncio.gather(functions.act("u1", outcome=outcome), return_exceptions=True)

    assert functions.reads == []


async def test_only_when_wanted(functions, outbox, make_plugins):
    """Nothing is read for an event that nobody gets; it is told without."""
    emitter = Emitter(outbox, make_plugins(), [], captured=Patterns(["*"]))
    watching(functions, emitter, ada)

    await functions.act("u1")

    assert functions.reads == []
    assert ["email" in event.data for event in told(outbox)] == [False]
    emitter.stop()


async def fails() -> dict[str, str]:
    raise ConnectionError("the core's answer, with who knows what in it")


async def hangs() -> dict[str, str]:
    await asyncio.sleep(60)
    return {}


@pytest.mark.parametrize("read", [fails, hangs])
async def test_a_read_that_fails_costs_no_event(read, functions, emitter, outbox, logged):
    """When reading fails or takes too long, the call goes on, the event is told without, and the failure is counted."""
    emitter.append_timeout = 0.2
    watching(functions, emitter, read)

    result = await functions.act("u1")
    emitter.stop()

    assert isinstance(result, Done)
    assert ["email" in event.data for event in told(outbox)] == [False]
    failed = [line.subject for line in outbox.ledger() if line.reason == Reason.CAPTURE_FAILED]
    assert failed == ["recipe.act"]
    assert "who knows what" not in logged()


async def test_cancelled_while_reading(functions, emitter, outbox):
    """A call that is cancelled while we read after it has happened all the same: its event is told, and it is cancelled."""
    reading = asyncio.Event()

    async def read() -> dict[str, str]:
        reading.set()
        return await hangs()

    watching(functions, emitter, read)
    call = asyncio.create_task(functions.act("u1"))
    await reading.wait()
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call

    assert [event.user_id for event in told(outbox)] == ["u1"]


@pytest.mark.parametrize("declare", ["read_before", "read_after"])
def test_a_secret_is_asked_for_by_name(declare):
    """A reader that takes an argument which can hold a secret is refused, unless its declaration names that argument."""
    recipe = Recipe("recipe")
    matches = [ok()] if declare == "read_after" else []

    async def reader(device_id: str, user_context: dict[str, Any]) -> dict[str, str]:
        return {}

    with pytest.raises(ValueError, match="asks for device_id, which can hold a secret"):
        getattr(recipe, declare)("act", *matches, UserCreated)(reader)

    assert getattr(recipe, declare)("act", *matches, UserCreated, needs=["device_id"])(reader) is reader


async def test_outermost(functions, emitter):
    """A capture function can ask whether the app made the call itself, or another captured call did."""
    recipe = Recipe("recipe")
    answers = SimpleNamespace(act=[], act_around=[])

    @recipe.function("act", ok())
    def acted(scope: Scope) -> None:
        answers.act.append(scope.outermost)

    @recipe.function("act_around", ok())
    def acted_around(scope: Scope) -> None:
        answers.act_around.append(scope.outermost)

    rebind(functions, recipe, "function", emitter)
    await functions.act("u1")
    await functions.act_around("u1")

    assert (answers.act, answers.act_around) == ([True, False], [True])
