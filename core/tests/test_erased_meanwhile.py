"""An event that is erased while a sink has it: what the sink says then is told to nobody."""

import anyio
import pytest

from supertokens_events import Events, hookimpl
from supertokens_events.operate.erase import erase
from supertokens_events.operate.linked import find
from supertokens_events.outbox import ERASED, GONE
from supertokens_events.sink import Rejected, Retry, Sink, SinkSettings

CANARY = "find-me"

pytestmark = pytest.mark.anyio


class Plugin:
    """The sink type ``slow``: it has everything, and answers when it is let go, with what is told."""

    def __init__(self):
        plugin = self
        self.has = anyio.Event()
        self.go_on = anyio.Event()
        self.outcome = None
        self.told = []

        class Slow(Sink[SinkSettings]):
            type = "slow"
            Settings = SinkSettings

            async def deliver(self, deliveries):
                plugin.has.set()
                await plugin.go_on.wait()
                return [plugin.outcome] * len(deliveries)

        self.sink_type = Slow

    @hookimpl
    def register_sink_types(self):
        return [self.sink_type]

    @hookimpl
    def delivery_settled(self, delivery, outcome):
        self.told.append((delivery, outcome))

    @hookimpl
    def breaker_opened(self, reason, detail):
        self.told.append((reason, dict(detail)))


@pytest.fixture
def plugin():
    return Plugin()


@pytest.fixture
def events(tmp_path, plugin, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sink = {"type": "slow", "events": ["*", "!user.data_erased"], "retry": {"schedule": []}}
    tables = {"outbox": {"url": "sqlite:events.db"}, "dispatcher": {"run": "off"}, "sinks": {"crm": sink}}
    events = Events.from_dict(tables, plugins=[plugin])
    yield events
    events.stop()


async def erased_while_out(events, plugin, outcome):
    """One delivery goes out, its event is erased, then the sink answers."""
    plugin.outcome = outcome
    events.emit_sync("app.started", user_id="ada", data={"name": CANARY})
    dispatcher = events.dispatcher()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run_until_empty)
        await plugin.has.wait()
        erase(events, find(events.outbox, "ada"))
        plugin.go_on.set()
    events.emitter.stop()  # now what the dispatcher told is stored


@pytest.mark.parametrize(
    "outcome",
    [
        Retry(CANARY, detail={"body": CANARY}),
        Rejected(CANARY, {"body": CANARY}),
        Rejected(CANARY, disables=True),
    ],
    ids=["given up", "rejected", "disables"],
)
async def test_what_it_says(events, plugin, outcome, logged):
    """It is not written down, not logged, told to no hook and in no event; the delivery is ended as erased."""
    await erased_while_out(events, plugin, outcome)

    (delivery,) = events.outbox.deliveries(sink="crm")
    assert (delivery.state, delivery.reason, delivery.attempts) == ("dead", ERASED, ())
    assert events.outbox.disabled() == {}
    assert plugin.told == []
    assert CANARY not in logged()
    assert [event.type for event in events.outbox.events()] == ["app.started", "user.data_erased"]


async def until(condition):
    """Let others go on until something is so, on another thread too."""
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.01)


async def test_a_probe(events, plugin, logged):
    """A probe that fails opens the breaker: that is told, and not what it brought back."""
    plugin.go_on.set()
    plugin.outcome = Retry("away", away=True, counts=False)
    events.emit_sync("app.started", user_id="bob")
    dispatcher = events.dispatcher()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run)
        await until(lambda: plugin.told)  # of bob's: from now on nothing but a probe goes out
        plugin.has, plugin.go_on = anyio.Event(), anyio.Event()
        plugin.outcome = Retry(CANARY, away=True, counts=False, detail={"body": CANARY})
        events.emit_sync("app.started", user_id="ada", data={"name": CANARY})
        dispatcher.wake()
        await plugin.has.wait()
        erase(events, find(events.outbox, "ada"))
        plugin.go_on.set()
        await until(lambda: len(plugin.told) > 1)
        dispatcher.stop(1)

    assert plugin.told[1:] == [(GONE, {})]
    assert [(one.reason, one.detail) for one in events.outbox.breakers().values()] == [(GONE, {})]
    assert CANARY not in logged()
