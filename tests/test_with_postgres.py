"""The outbox on a real PostgreSQL server under a real app: the story as ever, and a server that is away meanwhile."""

from functools import partial

import anyio
import pytest

from apps.browser import plain, story, tell_story
from apps.stored import counted, stored_events
from crowd import crowd, id_of, join
from outbox.postgres_server import PostgresServer
from supertokens_events.backfill import Filling, Position, Range
from supertokens_events.config import CoreSettings
from supertokens_events.core_api import Core
from supertokens_events.outbox import DeliveryState
from supertokens_events.reconcile.run import Reconciling, Wanted

APPEND_TIMEOUT = 0.3
PATIENCE = 2.0  # seconds that a busy machine may need beside the deadline


@pytest.fixture(scope="module")
def server():
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture
def on_postgres(server, make_events):
    """Events whose outbox is a fresh database on that server."""
    server.execute("DROP DATABASE IF EXISTS app WITH (FORCE)", "CREATE DATABASE app")
    return lambda: make_events(outbox={"url": server.url("app"), "append_timeout": APPEND_TIMEOUT})


def stopped(server):
    server.stop()
    return server.start


def frozen(server):
    return server.freeze()


def tell(run_app, framework, events):
    with run_app(framework, events) as app, app.browser() as browser:
        return tell_story(browser)


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_story(framework, run_app, on_postgres):
    """The story is told, stored and delivered as with a file."""
    events = on_postgres()

    tell(run_app, framework, events)
    anyio.run(events.dispatcher().run_until_empty)

    assert [event.type for event in stored_events(events)] == story()
    assert {delivery.state for delivery in events.outbox.deliveries()} == {DeliveryState.DONE}


@pytest.mark.parametrize("away", [stopped, frozen])
def test_server_is_away(away, server, run_app, on_postgres):
    """While the server is away every answer is what it is without events, and in time; what happened is stored when it is
    back, and counted as late.
    """
    expected = [plain(answer) for answer in tell(run_app, "fastapi", None)]
    events = on_postgres()
    events.outbox.open()
    back = away(server)
    try:
        answers = tell(run_app, "fastapi", events)
    finally:
        back()
    events.emitter.stop(30)
    anyio.run(events.dispatcher().run_until_empty)

    assert [plain(answer) for answer in answers] == expected
    assert max(answer.elapsed.total_seconds() for answer in answers) < APPEND_TIMEOUT + PATIENCE
    assert [event.type for event in stored_events(events)] == story()
    assert {delivery.state for delivery in events.outbox.deliveries()} == {DeliveryState.DONE}
    assert counted(events)["late", ""] > 0
    assert counted(events)["lost", ""] == 0


def test_filling_and_comparing(on_postgres):
    """History goes to one sink, once; what changes behind our back is found, and said once."""
    events = on_postgres()
    with crowd(30) as double, Core(CoreSettings(connection_uri=double.url)) as core:
        plan = events.plan
        compare = partial(Reconciling, events.outbox, events.plugins, core, lambda: plan, Wanted(True, True), grace=0.0)
        for _ in range(2):
            Filling(events.outbox, events.plugins, core, plan).run(Position.beginning(Range(until=4e9)))
        compare().baseline()
        join(double, 10_000_000)
        double._state.verified.add((id_of(3), "user3@example.com"))

        fixed, again = compare().run(fix=True), compare().run(fix=True)

    assert [event.type for event in stored_events(events)] == ["user.created"] * 30 + ["email.verified", "user.created"]
    assert (fixed.fixed, again.found) == (2, [])
