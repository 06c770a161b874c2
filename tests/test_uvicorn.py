"""The lifespan of the guide, in a real uvicorn: what its ``start()`` and ``stop()`` are for."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from apps.processes import run_python

GUIDE = Path(__file__).parent.parent / "docs/guide/start.md"

CONFIGURATION = """
[outbox]
url = "sqlite:events.db"
append_timeout = "100ms"

[sinks.audit]
type = "file"
events = ["*"]
path = "audit.jsonl"
"""

APP = """
from supertokens_events import Events

events = Events.from_toml("supertokens-events.toml")

{lifespan}

@app.post("/pay")
async def pay():
    return {{"stored": (await events.emit("app.order.paid")).sequence is not None}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An app with the guide's lifespan, and its configuration."""
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (lifespan,) = (block for block in blocks if "lifespan" in block)
    (tmp_path / "app.py").write_text(APP.format(lifespan=lifespan))
    (tmp_path / "supertokens-events.toml").write_text(CONFIGURATION)
    return tmp_path


def stored(folder: Path) -> int:
    """How many events the outbox has."""
    with closing(sqlite3.connect(folder / "events.db")) as outbox:
        count: int = outbox.execute("SELECT count(*) FROM event").fetchone()[0]
    return count


@contextmanager
def uvicorn(folder: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """The app on a port of its own; it is gone in the end."""
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        url = next(found[0] for line in process.stderr if (found := re.search(r"http://[\w.]+:\d+", line)))
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            yield process, client
    finally:
        process.kill()
        process.communicate()


def test_what_waits_in_memory_survives_sigterm(folder):
    """uvicorn dies of SIGTERM, by which no exit handler runs: the lifespan's ``stop()`` stores what still waits."""
    with uvicorn(folder) as (process, client):
        client.post("/pay")
        assert within(10, lambda: stored(folder) == 1)
        with closing(sqlite3.connect(folder / "events.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert client.post("/pay").json() == {"stored": False}

            process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):  # it waits for the outbox
                process.wait(0.5)
            other.execute("ROLLBACK")

        assert process.wait(20) == -signal.SIGTERM
        assert stored(folder) == 2


def test_a_restart_delivers_what_an_earlier_run_left(folder):
    """The lifespan's ``start()`` delivers without waiting for an event."""
    run_python("-m", "supertokens_events", "send", "user.created", cwd=folder)
    audit = folder / "audit.jsonl"
    assert stored(folder) == 1
    assert not audit.exists()

    with uvicorn(folder):
        assert within(10, lambda: audit.exists() and "user.created" in audit.read_text())


def within(seconds: float, happened: Callable[[], bool]) -> bool:
    """Whether it happens in so many seconds."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened()
