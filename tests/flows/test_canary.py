"""The search for secrets that ends every flow: it knows them, it looks everywhere, and it finds a leak."""

from __future__ import annotations

import inspect
import logging

import pytest

from apps.trouble import extra_capture
from flows.harness import ADA, API, PASSWORD
from flows.recipes import emailpassword, sessions
from supertokens_events.capture.recipe import Fact
from supertokens_events.catalog.user import Method, UserSignedIn

EVERYWHERE = {"events", "audit.jsonl", "log", "reprs", "events.db", "events.db-wal", "events.db, written out"}


def sign_up(w) -> None:
    w.form("/auth/signup", email=ADA, password=PASSWORD)


def flow_named(table, name):
    (flow,) = (flow for flow in table.FLOWS if flow.name == name)
    return flow


def test_the_search_looks_everywhere(world):
    """Events, the file that the sink writes, the log at DEBUG, reprs, and the outbox's files before and after a checkpoint."""
    w = world([emailpassword(), sessions()])
    sign_up(w)
    assert w.leaked() == set()

    places = w.places([])

    assert places.keys() >= EVERYWHERE
    assert all(ADA.encode() in places[place] for place in EVERYWHERE - {"events", "log", "events.db", "events.db-wal"})
    assert ADA.encode() in places["events.db"] + places["events.db-wal"]
    assert logging.DEBUG in {record.levelno for record in w.log.records}


def leak_password(password):
    return Fact(UserSignedIn(method=Method.EMAILPASSWORD, recipe_user_id=password))


@pytest.mark.parametrize("entry", [*API, "asyncio", "syncio"])
def test_the_search_finds_a_leak(entry, world):
    """Were a capture function to take a password, the search would find it, wherever events go."""
    with extra_capture(leak_password, **inspect.signature(leak_password).parameters):
        w = world([emailpassword(), sessions()], entry)
        if entry in API:
            sign_up(w)
        else:
            w.backend.emailpassword.sign_up("public", ADA, PASSWORD)
        found = w.leaked()

    assert {secret for secret, _ in found} == {PASSWORD}
    assert {place for _, place in found} >= {"events", "audit.jsonl", "reprs", "events.db, written out"}


def test_the_search_finds_an_exception(world):
    """Were we to log an exception with its text, the search would find what was in it."""
    w = world([emailpassword(), sessions()])
    sign_up(w)

    try:
        raise RuntimeError(f"not good: {PASSWORD}")
    except RuntimeError:
        logging.getLogger("supertokens_events.anything").debug("It went wrong.", exc_info=True)

    assert w.leaked() == {(PASSWORD, "log")}
