"""Requests at the same time: every event carries its own request's address, browser, correlation id and user."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import pytest

from apps.browser import PASSWORD
from apps.stored import counted, stored_events


def addresses(count: int) -> list[str]:
    """Addresses of this machine's own network that a client can have: where there is but one, everybody has that."""
    wanted = [f"127.0.0.{number}" for number in range(2, count + 2)]
    return [address if can_have(address) else "127.0.0.1" for address in wanted]


def can_have(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
        return True


def form(number: int) -> dict:
    return {
        "formFields": [{"id": "email", "value": f"user{number}@example.com"}, {"id": "password", "value": PASSWORD}]
    }


def head(number: int) -> dict[str, str]:
    return {"user-agent": f"browser {number}", "x-request-id": f"request {number}", "st-auth-mode": "header"}


def assert_each_is_its_own(events, came_from, users):
    """Two events for every request, both with that request's context and that request's user, and one correlation id."""
    told = defaultdict(list)
    for event in stored_events(events):
        told[event.context.request_id].append(event)
    assert len(told) == len(users)
    for number, (address, user_id) in enumerate(zip(came_from, users, strict=True)):
        created, session = told[f"request {number}"]
        assert (created.type, session.type) == ("user.created", "session.created")
        assert created.data["email"] == f"user{number}@example.com"
        for event in (created, session):
            assert event.context.ip == address
            assert event.context.user_agent == f"browser {number}"
            assert event.user_id == event.actor.user_id == user_id
            assert event.correlation_id == created.correlation_id
    assert len({event.correlation_id for event in stored_events(events)}) == len(users)
    assert counted(events) == {}


@pytest.mark.parametrize("framework", ["fastapi", "django-asgi"])
def test_on_one_event_loop(framework, run_app, make_events):
    """50 people who sign up at the same time, on one event loop, are kept apart."""
    events = make_events(outbox={"append_timeout": 30})
    came_from = addresses(50)

    async def sign_up(url, number):
        transport = httpx.AsyncHTTPTransport(local_address=came_from[number], verify=False)
        async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=60) as client:
            answer = await client.post(f"{url}/auth/signup", json=form(number), headers=head(number))
            return answer.json()["user"]["id"]

    async def all_sign_up(url):
        return await asyncio.gather(*(sign_up(url, number) for number in range(len(came_from))))

    with run_app(framework, events) as app:
        app.core.delay = 0.02  # so that everybody is under way at once
        users = asyncio.run(all_sign_up(app.url))

    assert_each_is_its_own(events, came_from, users)


@pytest.mark.parametrize("framework", ["flask", "django-wsgi"])
def test_on_many_threads(framework, run_app, make_events):
    """16 people who sign up at the same time, each on a thread of the server, are kept apart."""
    events = make_events(outbox={"append_timeout": 30})
    came_from = addresses(16)
    together = Barrier(len(came_from))

    def sign_up(number):
        transport = httpx.HTTPTransport(local_address=came_from[number], verify=False)
        with httpx.Client(transport=transport, trust_env=False, timeout=60) as client:
            together.wait(10)
            answer = client.post(f"{app.url}/auth/signup", json=form(number), headers=head(number))
            return answer.json()["user"]["id"]

    with run_app(framework, events) as app, ThreadPoolExecutor(len(came_from)) as pool:
        users = list(pool.map(sign_up, range(len(came_from))))

    assert_each_is_its_own(events, came_from, users)
