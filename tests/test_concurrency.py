"""Requests at the same time: every event carries its own request's address, browser, correlation id and user."""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Barrier

import httpx
import pytest

from apps.browser import PASSWORD
from apps.stored import counted, stored_events

PEOPLE = 200
THREADS = 16


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


def head(number: int, **more: str) -> dict[str, str]:
    return {"user-agent": f"browser {number}", "x-request-id": f"request {number}", "st-auth-mode": "header", **more}


def assert_each_is_its_own(events, came_from, users):
    """Two events for every request, both with that request's context and that request's user, and one correlation id."""
    told = defaultdict(list)
    for event in stored_events(events):
        told[event.context.request_id].append(event)
    assert len(told) == len(set(users)) == len(users)
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
    """200 people who sign up at the same time, on one event loop, are kept apart."""
    events = make_events(outbox={"append_timeout": 30})
    came_from = addresses(PEOPLE)

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
    """200 people who sign up on 16 threads of the server are kept apart, also those who follow each other on one thread.

    A connection that stays open has one thread of the server, so what a request left in its context variables would be
    seen by the next. A proxy tells the addresses: on one connection they would all be the same.
    """
    events = make_events(outbox={"append_timeout": 30}, capture={"trusted_proxies": ["127.0.0.1/32"]})
    came_from = [f"192.0.2.{number}" for number in range(PEOPLE)]
    together = Barrier(THREADS)

    def sign_up(client, number):
        told = head(number, **{"x-forwarded-for": came_from[number]})
        answer = client.post(f"{app.url}/auth/signup", json=form(number), headers=told)
        return number, answer.json()["user"]["id"]

    def some_sign_up(first):
        with httpx.Client(transport=httpx.HTTPTransport(verify=False), trust_env=False, timeout=60) as client:
            together.wait(10)
            return [sign_up(client, number) for number in range(first, PEOPLE, THREADS)]

    with run_app(framework, events) as app, ThreadPoolExecutor(THREADS) as pool:
        users = dict(chain.from_iterable(pool.map(some_sign_up, range(THREADS))))

    assert_each_is_its_own(events, came_from, [users[number] for number in range(PEOPLE)])
