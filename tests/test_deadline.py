"""``append_timeout`` is one deadline for all that we add to a call: every read of the core, and the wait for the commit."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import supertokens_python.asyncio
import supertokens_python.syncio
from supertokens_python.recipe import dashboard
from supertokens_python.recipe import emailverification as emailverification_recipe
from supertokens_python.recipe.emailpassword import asyncio as emailpassword
from supertokens_python.recipe.emailverification import asyncio as emailverification

from apps import sdk
from apps.browser import EMAIL, PASSWORD, plain
from apps.servers import close_loop
from apps.stored import counted, stored_events
from apps.trouble import locked_outbox

APPEND_TIMEOUT = 5.0
PATIENCE = 3.5  # seconds that a busy machine may need beside it: less than a while, so that a wait of its own shows
A_WHILE, NEVER = 4.0, 60.0

ADMIN = {"email": "grace@example.com", "password": "admin-Pa55word"}
READ_USER, REMOVE_USER, VERIFY_ADMIN = "/user/id", "/user/remove", "/dashboard/session/verify"


@pytest.fixture
def hold(core, monkeypatch):
    """``hold(path, seconds)``: the core keeps its next answer there to itself for so long. At the end all are let go."""
    over, answer = threading.Event(), core.answer
    waits: dict[str, float] = {}

    def answer_later(request, recorded):
        for path in [path for path in waits if recorded.path.endswith(path)]:
            over.wait(waits.pop(path))
        return answer(request, recorded)

    monkeypatch.setattr(core, "answer", answer_later)
    yield waits.__setitem__
    over.set()


@pytest.fixture
def events(make_events):
    return make_events(outbox={"append_timeout": APPEND_TIMEOUT})


@pytest.fixture(autouse=True)
def more_recipes(monkeypatch):
    """Beside those that the apps here can have."""
    monkeypatch.setitem(sdk.MORE, "dashboard", lambda: dashboard.init(admins=[ADMIN["email"]]))
    monkeypatch.setitem(sdk.MORE, "emailverification", lambda: emailverification_recipe.init(mode="OPTIONAL"))


def assert_in_time(began: float) -> None:
    """``began`` is a moment of the monotonic clock, in seconds."""
    assert time.monotonic() - began < APPEND_TIMEOUT + PATIENCE


def sign_up() -> Any:
    return asyncio.run(emailpassword.sign_up("public", EMAIL, PASSWORD)).user


def exists(user_id: str) -> bool:
    return asyncio.run(supertokens_python.asyncio.get_user(user_id)) is not None


# From a backend


def on_a_loop(user_id: str) -> Any:
    return asyncio.run(supertokens_python.asyncio.delete_user(user_id))


def on_a_thread(user_id: str) -> Any:
    """The SDK makes an event loop in the thread and leaves it there."""
    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(supertokens_python.syncio.delete_user, user_id).result()
        finally:
            thread.submit(close_loop).result()


@pytest.mark.parametrize(
    ("delete", "read_takes"),
    [(on_a_loop, A_WHILE), (on_a_loop, NEVER), (on_a_thread, NEVER)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_slow_read_before_and_a_locked_outbox(delete, read_takes, run_app, events, hold, tmp_path):
    """What the read before a deletion has taken is no longer there for the commit. The user is deleted all the same.

    The event is stored later: with what the read said, or without, when it said nothing in time.
    """
    with run_app("fastapi", events):
        user = sign_up()
        with locked_outbox(tmp_path):
            hold(READ_USER, read_takes)
            began = time.monotonic()
            assert delete(user.id) is None
            assert_in_time(began)
        assert not exists(user.id)
    events.stop()

    _, deleted = stored_events(events)
    failed = {("capture_failed", "accountlinking.delete_user"): 1} if read_takes == NEVER else {}
    assert (deleted.type, deleted.user_id) == ("user.deleted", user.id)
    assert bool(deleted.data.get("login_methods")) == (not failed)
    assert counted(events) == {("late", ""): 1, **failed}


def test_a_slow_read_after_and_a_locked_outbox(run_app, events, hold, tmp_path):
    """What the read after a verification has taken is no longer there for the commit. The result is the SDK's own."""

    async def verify(token: str) -> Any:
        return await emailverification.verify_email_using_token("public", token, attempt_account_linking=False)

    with run_app("fastapi", events, more=["emailverification"]):
        user = sign_up()
        recipe_user_id = user.login_methods[0].recipe_user_id
        made = asyncio.run(emailverification.create_email_verification_token("public", recipe_user_id, EMAIL))
        with locked_outbox(tmp_path):
            hold(READ_USER, NEVER)
            began = time.monotonic()
            verified = asyncio.run(verify(made.token))
            assert_in_time(began)
    events.stop()

    assert (verified.user.recipe_user_id.get_as_string(), verified.user.email) == (user.id, EMAIL)
    assert stored_events(events)[-1].type == "email.verified"
    failed = ("capture_failed", "emailverification.verify_email_using_token")
    assert counted(events) == {("late", ""): 1, failed: 1}


def test_the_sdks_own_time_is_not_ours(run_app, events, hold):
    """After a core that took longer than ``append_timeout`` for what the SDK asked, there is still time for the commit."""
    with run_app("fastapi", events):
        user = sign_up()
        hold(REMOVE_USER, APPEND_TIMEOUT + 0.2)
        on_a_loop(user.id)

    assert [event.type for event in stored_events(events)] == ["user.created", "user.deleted"]
    assert counted(events) == {}


# At the dashboard, where one request makes two reads in two places


def delete_at_dashboard(url: str, core_url: str, user_id: str, before: Callable[[], None]) -> httpx.Response:
    """``before`` is called when the admin has signed in."""
    httpx.post(f"{core_url}/recipe/dashboard/user", json=ADMIN, trust_env=False, verify=False)
    with httpx.Client(base_url=f"{url}/auth/dashboard/api", trust_env=False, verify=False, timeout=30) as client:
        bearer = client.post("/signin", json=ADMIN).json()["sessionId"]
        before()
        return client.delete("/user", params={"userId": user_id}, headers={"authorization": f"Bearer {bearer}"})


@pytest.mark.parametrize("framework", ["fastapi", "flask"])
def test_reads_in_two_places_and_a_locked_outbox(framework, run_app, events, hold, tmp_path):
    """The reads that two functions of one request make, and the wait for its events, share the deadline."""
    with run_app(framework, more=["dashboard"]) as app:
        without = delete_at_dashboard(app.url, app.core.url, sign_up().id, lambda: None)

    with run_app(framework, events, more=["dashboard"]) as app, ExitStack() as lock:

        def trouble() -> None:
            lock.enter_context(locked_outbox(tmp_path))
            hold(VERIFY_ADMIN, A_WHILE)
            hold(READ_USER, NEVER)

        user = sign_up()
        answer = delete_at_dashboard(app.url, app.core.url, user.id, trouble)
        assert not exists(user.id)
    events.stop()

    assert answer.elapsed.total_seconds() < APPEND_TIMEOUT + PATIENCE
    assert plain(answer) == plain(without)
    deleted = stored_events(events)[-1]
    assert (deleted.type, deleted.actor.email) == ("user.deleted", ADMIN["email"])
    assert counted(events) == {("late", ""): 1, ("capture_failed", "accountlinking.delete_user"): 1}
