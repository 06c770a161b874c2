"""``uvicorn --reload``: a file is saved, and another process takes over."""

from __future__ import annotations

import signal

import httpx

from apps.life_kit import wait_for
from apps.proc import leaders

APP = """
import os
from contextlib import asynccontextmanager

from fastapi import FastAPI

from supertokens_events import Events

events = Events.from_toml()


@asynccontextmanager
async def lifespan(app):
    events.start()
    yield
    events.stop()


app = FastAPI(lifespan=lifespan)


@app.post("/pay/{number}")
async def pay(number: int):
    event = await events.emit("app.order.paid", data={"number": number, "pid": os.getpid()})
    return {"id": event.id, "pid": os.getpid(), "stored": event.sequence is not None}
"""
BEFORE, AFTER = 20, 20  # requests that the two processes answer at least


def test_reload(life):
    """While a file is saved, requests go on: every event that was answered for is stored and delivered, and in the end it is
    the new process that leads.
    """
    module = life.folder / "shop.py"
    module.write_text(APP)
    server = life.start("-m", "uvicorn", "shop:app", "--reload", "--port", "0")
    url = server.until(r"running on (http://[\w.]+:\d+)")[1]
    server.until("Application startup complete")
    answers = []
    saved = False

    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        while len(by_process(answers)) < 2 or len(by_process(answers)[answers[-1]["pid"]]) < AFTER:
            try:
                answers.append(client.post(f"/pay/{len(answers)}").raise_for_status().json())
            except httpx.TransportError:
                continue  # the old process has just closed the connection
            if len(answers) >= BEFORE and not saved:
                module.write_text(APP + "\n# saved\n")
                saved = True
            assert len(answers) < 50_000, f"it never reloads; the server said:\n{server.said}"
        life.all_delivered(server)
        first, second = by_process(answers)

        assert all(answer["stored"] for answer in answers)
        assert {answer["id"] for answer in answers} <= {event.id for event in life.stored()}
        wait_for(lambda: leaders([first, second], life.folder, "hook") == [second], server)
        assert life.events.outbox.ledger() == []

    server.end(signal.SIGTERM)
    assert "Traceback" not in server.said


def by_process(answers):
    """The answers of each process, in the order in which they came."""
    processes = {}
    for answer in answers:
        processes.setdefault(answer["pid"], []).append(answer)
    return processes
