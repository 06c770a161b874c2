"""Handlers that run before the response: a thousand sign-ups of a real SDK, and what they do to them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict

import pytest
from supertokens_python.recipe.emailpassword import asyncio as emailpassword

from apps.browser import EMAIL, PASSWORD
from apps.stored import counted, stored_events
from supertokens_events.outbox import DeliveryState
from supertokens_events.retry import RetryPolicy

PEOPLE = 1000
AT_ONCE = 25
TIMEOUT = 0.5
PATIENCE = 60.0
FAULTS = ("raises", "hangs", "is slow")


def fault_of(email: str) -> str | None:
    """Of every third person."""
    number = int(email.removeprefix("user").split("@")[0])
    return FAULTS[number // 3 % 3] if number % 3 == 0 else None


async def sign_up_all(people: int) -> list[tuple[str, float]]:
    """Each one's answer, and the seconds that it took."""
    places = asyncio.Semaphore(AT_ONCE)

    async def sign_up(number: int) -> tuple[str, float]:
        async with places:
            began = time.monotonic()
            answer = await emailpassword.sign_up("public", f"user{number}@example.com", PASSWORD)
            return type(answer).__name__, time.monotonic() - began

    return await asyncio.gather(*(sign_up(number) for number in range(people)))


def test_a_thousand_sign_ups(run_app, make_events):
    """With a handler that raises, hangs or is slow for every third person, every sign-up answers the same, and none waits beyond
    the deadline; in the end everybody has been handled, and each delivery says whether that was before the response.
    """
    events = make_events(outbox={"append_timeout": PATIENCE})
    handled = defaultdict(list)
    at_fault = set()

    @events.on(
        "user.created", before_response=True, timeout=TIMEOUT, name="mirror", retry=RetryPolicy(schedule=(0.1, 1))
    )
    async def mirror(event):
        email = event.data["email"]
        fault = fault_of(email)
        if fault and email not in at_fault:
            at_fault.add(email)
            if fault == "raises":
                raise ValueError(email)
            await asyncio.sleep(PATIENCE if fault == "hangs" else TIMEOUT / 5)
        handled[email].append(threading.current_thread() is threading.main_thread())

    with run_app("fastapi", events):
        answers = asyncio.run(sign_up_all(PEOPLE))
    deadline = time.monotonic() + PATIENCE
    while len(handled) < PEOPLE:
        assert time.monotonic() < deadline
        events.start()
        time.sleep(0.05)
    events.stop()

    assert {kind for kind, _ in answers} == {"SignUpOkResult"}
    assert max(took for _, took in answers) < TIMEOUT + PATIENCE / 2
    assert counted(events) == {}
    deliveries = {one.event_id: one for one in events.outbox.deliveries(sink="on:mirror", limit=PEOPLE + 1)}
    assert {one.state for one in deliveries.values()} == {DeliveryState.DONE}
    for event in stored_events(events):
        email, first = event.data["email"], deliveries[event.id].attempts[0]
        before_response = fault_of(email) not in {"raises", "hangs"}
        assert handled[email] == [before_response]
        assert (first.outcome == "delivered") == before_response
        assert first.detail == {"called": "before the response"}


@pytest.mark.parametrize("framework", ["fastapi", "flask", "django-wsgi", "django-asgi"])
def test_has_run_when_the_app_answers(framework, run_app, make_events):
    """In every framework a handler has run when the browser has its answer: the app knows the user by the next request."""
    events = make_events(outbox={"append_timeout": PATIENCE})
    known = []

    @events.on("user.created", before_response=True, timeout=PATIENCE, name="async")
    async def mirror(event):
        await asyncio.sleep(0)
        known.append(event.user_id)

    @events.on("user.created", before_response=True, timeout=PATIENCE, name="blocking")
    def mirror_too(event):
        known.append(event.user_id)

    with run_app(framework, events) as app, app.browser() as browser:
        answer = browser.sign_up(EMAIL, PASSWORD)
        assert known == [answer.json()["user"]["id"]] * 2
