"""What a wrapped call brings: its facts in order, each made into an event only where it is captured."""

import asyncio
import atexit

import pytest

from supertokens_events.capture import rebind as capture_rebind
from supertokens_events.capture.rebind import rebind
from supertokens_events.capture.recipe import Fact, Recipe, ok
from supertokens_events.catalog.session import SessionCreated, SessionRefreshed, SessionRevoked
from supertokens_events.emit import Emitter
from supertokens_events.event import Event
from supertokens_events.ledger import LedgerKey, Reason
from supertokens_events.subscription import Patterns

ids = {"session_handle": "handle", "recipe_user_id": "ada"}


class Implementation:
    """One function calls another, as the SDK's do."""

    async def begin(self):
        return await self.refresh()

    async def refresh(self):
        return "done"


def recipe_that_notes(told):
    """The outer call's fact stands first; after it the handler looks at what was told."""
    recipe = Recipe("session")

    @recipe.function("refresh", ok())
    def refreshed():
        return Fact(SessionRefreshed(**ids))

    @recipe.function("refresh", ok())
    def revoked():
        return Fact(SessionRevoked(**ids))

    @recipe.function("begin", ok(), first=True)
    def began(scope):
        told.extend(scope.told("session.refreshed"))
        return Fact(SessionCreated(**ids))

    return recipe


@pytest.fixture
def call(outbox, make_plugins):
    """Call ``begin`` with these types captured; its events' types and the ledger's counts."""

    def call(*captured, told):
        emitter = Emitter(outbox, make_plugins(), (), captured=Patterns(captured))
        atexit.unregister(emitter.stop)
        implementation = rebind(Implementation(), recipe_that_notes(told), "function", emitter)
        assert asyncio.run(implementation.begin()) == "done"
        emitter.stop()
        counts = {LedgerKey(line.reason, line.subject, line.event_type): line.count for line in outbox.ledger()}
        return [Event.from_bytes(stored.body).type for stored in outbox.events(limit=10)], counts

    return call


GAP = LedgerKey(Reason.CAPTURE_GAP, "session", "")  # the implementation is not the SDK's


def test_order(call):
    """A fact that is to stand first stands before those of the calls inside."""
    events, _ = call("*", told=[])

    assert events == ["session.created", "session.refreshed", "session.revoked"]


def test_not_captured(call, monkeypatch):
    """What is not captured is counted and never made into an event; another handler hears of it all the same."""
    made = []
    make = capture_rebind._event
    monkeypatch.setattr(capture_rebind, "_event", lambda fact, *rest: made.append(fact.data) or make(fact, *rest))
    told = []

    events, _ = call("*", "!session.refreshed", told=told)

    assert events == ["session.created", "session.revoked"]
    assert [data.event_type for data in made] == ["session.revoked", "session.created"]
    assert told == [None]


def test_nothing_captured(call):
    """With nothing to store nothing is stored, and everything is counted."""
    events, counts = call("app.*", told=[])

    off = {"session.created", "session.refreshed", "session.revoked"}
    assert events == []
    assert counts == {GAP: 1} | {LedgerKey(Reason.CAPTURE_OFF, "", event_type): 1 for event_type in off}
