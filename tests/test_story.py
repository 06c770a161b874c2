"""A user's story in every framework, attached both ways: each fact is one event, and says whose, who and where."""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

import httpx
import pytest

from apps.browser import EMAIL, STORY, story, tell_story
from apps.running import configuration
from apps.sdk import WAYS
from apps.servers import FRAMEWORKS
from apps.stored import counted, stored_events
from supertokens_events import Event, Events
from supertokens_events.event import Actor

EVERYWHERE = [(framework, attach) for framework in FRAMEWORKS for attach in WAYS]


class Told(NamedTuple):
    """The story as it was lived and as it was stored, and what the next request on the same thread found."""

    answers: list[httpx.Response]
    events: list[Event]
    ledger: dict[tuple[str, str], int]
    left: Any

    @property
    def user_id(self) -> str:
        return self.answers[0].json()["user"]["id"]


@pytest.fixture(scope="module", params=EVERYWHERE, ids="-".join)
def told(request, run_app, tmp_path_factory) -> Told:
    framework, attach = request.param
    events = Events.from_dict(configuration(tmp_path_factory.mktemp("story")))
    with run_app(framework, events, attach=attach) as app, app.browser(user_agent="Story/1.0") as browser:
        answers = tell_story(browser)
        left = browser.send("GET", f"{app.views}/left").json()
    events.stop()
    return Told(answers, stored_events(events), counted(events), left)


def test_every_fact_is_one_event(told):
    """The story brings exactly its events, once each, in the order in which the facts came true."""
    assert [answer.status_code for answer in told.answers] == [200] * len(STORY)
    assert [event.type for event in told.events] == story()


def test_an_event_says_whose_and_where_from(told):
    """Every event names the user where the SDK knows him, the tenant, and the app it comes from."""
    assert {event.user_id for event in told.events if event.type != "user.sign_in.failed"} == {told.user_id}
    assert {event.user_id for event in told.events if event.type == "user.sign_in.failed"} == {None}
    assert {event.tenant_id for event in told.events} == {"public"}
    assert {event.source for event in told.events} == {"https://api.example.com"}


def test_an_event_says_who_did_it(told):
    """The user is the actor of what he did himself; nobody is known behind a refused sign-in or a forgotten password."""
    actors = {event.type: event.actor for event in told.events}
    signed_in, revoked = told.events[-3], told.events[-1]

    assert actors["user.created"] == actors["user.signed_in"] == Actor(type="user", user_id=told.user_id)
    assert signed_in.actor == Actor(type="user", user_id=told.user_id, session_handle=signed_in.data["session_handle"])
    assert revoked.actor == signed_in.actor
    assert actors["user.sign_in.failed"] == actors["password.reset.requested"] == Actor(type="unknown")


def test_an_event_says_what_happened(told):
    """The data of every event is the catalog's: method, reason, e-mail and session, nothing more."""
    method = {"method": "emailpassword", "recipe_user_id": told.user_id, "email": EMAIL}
    first, second = (event.data["session_handle"] for event in told.events if event.type == "session.created")

    assert [event.data for event in told.events] == [
        {**method, "email_verified": False},
        {"session_handle": first, "recipe_user_id": told.user_id},
        {"method": "emailpassword", "reason": "wrong_credentials", "email": EMAIL},
        method,
        {"session_handle": second, "recipe_user_id": told.user_id},
        {"email": EMAIL},
        {"session_handle": second, "recipe_user_id": told.user_id},
    ]
    assert first != second


def test_an_event_says_where_the_request_came_from(told):
    """The context is the request's own: address, browser, method, and the path without its query."""
    paths = [step.path for step in STORY for event_type in step.says if event_type != "session.refreshed"]

    contexts = [event.context.model_dump(exclude_none=True) for event in told.events]

    where_from = {"ip": "127.0.0.1", "user_agent": "Story/1.0", "method": "POST"}
    assert contexts == [{**where_from, "path": path} for path in paths]


def test_a_request_has_one_correlation_id(told):
    """The events of one request share a correlation id, and no two requests share one."""
    requests = [
        [event.type for event in group] for _, group in groupby(told.events, key=lambda event: event.correlation_id)
    ]

    assert requests == [list(step.says) for step in STORY if step.says != ("session.refreshed",)]
    assert len({event.correlation_id for event in told.events}) == len(requests)


def test_what_is_not_stored_is_counted(told):
    """The refresh is the only fact that was not stored, and the ledger says why."""
    assert told.ledger == {("capture_off", ""): 1}


def test_nothing_is_left_behind(told):
    """The next request, on the same thread, finds no context variable of ours set."""
    assert told.left == {"request": False, "frames": False}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_high_volume_types_can_be_turned_on(framework, run_app, make_events):
    """``session.refreshed`` appears when ``[capture] events`` asks for it, in its place and with its session."""
    events = make_events(capture={"events": ["@default", "session.refreshed"]})

    with run_app(framework, events) as app, app.browser() as browser:
        tell_story(browser)

    by_type = {event.type: event for event in stored_events(events)}
    assert [event.type for event in stored_events(events)] == story(high_volume=True)
    assert by_type["session.refreshed"].data == by_type["session.revoked"].data
    assert by_type["session.refreshed"].actor == by_type["session.revoked"].actor


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_apps_own_route_is_captured_too(framework, run_app, make_events):
    """What the app's own code does in one of its routes is captured; the backend did it, so the actor is the system."""
    events = make_events()
    with run_app(framework, events) as app, app.browser() as browser:
        user_id = browser.sign_up().json()["user"]["id"]

        answer = browser.send("POST", f"{app.views}/ban/{user_id}")

    created, revoked = stored_events(events)[-2:]
    assert answer.json() == [created.data["session_handle"]]
    assert (revoked.type, revoked.user_id, revoked.actor) == ("session.revoked", user_id, Actor(type="system"))
    assert revoked.correlation_id != created.correlation_id


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_theft_is_told_with_what_follows(framework, run_app, make_events):
    """A stolen refresh token, and the session that the SDK ends for it elsewhere, are told as one request."""
    events = make_events()
    with run_app(framework, events) as app, app.browser() as browser:
        browser.sign_up()
        stolen = browser.refresh_token
        browser.refresh()
        browser.refresh()

        answer = browser.refresh(stolen)

    created, theft, revoked = stored_events(events)[-3:]
    assert answer.status_code == 401
    assert (theft.type, revoked.type) == ("session.token_theft_detected", "session.revoked")
    assert theft.data == revoked.data == created.data
    assert theft.correlation_id == revoked.correlation_id != created.correlation_id
    assert theft.context == revoked.context
    assert theft.actor == Actor(type="unknown")


def test_other_users_of_a_thread_are_not_mixed_up(run_app, make_events):
    """Under Django, where one thread serves many requests, an event never carries the request before its own."""
    events = make_events()

    with run_app("django-wsgi", events) as app, app.browser(user_agent="first") as first:
        first.sign_up("ada@example.com")
        first.send("GET", f"{app.views}/left")
        first._http.headers["user-agent"] = "second"
        first.sign_up("bob@example.com")

    agents = {
        event.context.user_agent: event.data["email"] for event in stored_events(events) if event.type == "user.created"
    }
    assert agents == {"first": "ada@example.com", "second": "bob@example.com"}
