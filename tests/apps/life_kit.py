"""A folder with a configuration whose webhook goes to a real receiver, and processes that work in it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from apps.processes import TESTS
from apps.receiver import Receiver
from supertokens_events import Event, Events

PATIENCE = 30.0  # seconds that a busy machine may take for what must come

CONFIGURATION = """
[outbox]
url = "{url}"
append_timeout = "{append_timeout}"

[sinks.hook]
type = "webhook"
events = ["*"]
url = "{hook}"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
allow_http = true
allow_networks = ["127.0.0.0/8"]
"""

SIGN_UP = ["user.created", "session.created"]


@dataclass
class Started:
    """A process, and all that it has said so far."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)  # appends line by line

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def until(self, pattern: str) -> re.Match[str]:
        """Wait for it to say so."""
        return wait_for(lambda: re.search(pattern, self.said), self)

    def end(self, signum: int, within: float = PATIENCE) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(signum)
        return self.wait(within)

    def wait(self, within: float = PATIENCE) -> int:
        """Until it has ended; the exit code."""
        code = self.process.wait(within)
        self._reader.join(within)
        return code

    def close(self) -> None:
        """It and all that it has started are gone, however the test went."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def wait_for(what: Callable[[], Any], process: Started | None = None) -> Any:
    """Until ``what`` says something true; returns that."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := what()):
        assert time.monotonic() < deadline, f"waited in vain; the process said:\n{process and process.said}"
        time.sleep(0.02)
    return answer


class Life:
    """A working folder, its outbox, and who receives."""

    def __init__(self, folder: Path, url: str, hook: Receiver, core: str) -> None:
        self.folder = folder
        self.hook = hook
        self._core = core
        self._started: list[Started] = []
        self._url = url
        self.configure()
        self.events = Events.from_toml(folder / "supertokens-events.toml")

    def configure(self, append_timeout: str = "20s") -> None:
        """Write the configuration; a machine is busy, so by default every event has all the time to be stored."""
        text = CONFIGURATION.format(url=self._url, hook=self.hook.url, append_timeout=append_timeout)
        (self.folder / "supertokens-events.toml").write_text(text)

    def start(self, *arguments: object, **environment: str) -> Started:
        """``python arguments…`` in this folder, in a process group of its own, with the tests' modules in reach."""
        paths = os.pathsep.join([str(self.folder), str(TESTS), str(TESTS.parent / "core/tests")])
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", "LIFE_CORE": self._core, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._started.append(Started(process))
        return self._started[-1]

    def stored(self) -> list[Event]:
        """Every event in the outbox, in order."""
        return [
            Event.from_bytes(stored.body) for stored in self.events.outbox.events(after=0, limit=10_000) if stored.body
        ]

    def received(self) -> Counter[str]:
        """The ids that came, and how often."""
        return Counter(head["webhook-id"] for head, _ in list(self.hook.received))

    def all_delivered(self, process: Started | None = None) -> list[Event]:
        """Wait until everything that is stored has come; returns what is stored."""
        wait_for(lambda: self.received().keys() >= {event.id for event in self.stored()}, process)
        return self.stored()

    def close(self) -> None:
        for started in self._started:
            started.close()
        self.events.stop()


def sign_up(url: str, name: str) -> tuple[str, int]:
    """Sign somebody up over a connection of its own; the user's id, and the process that answered."""
    form = [{"id": "email", "value": f"{name}@example.com"}, {"id": "password", "value": "right-Pa55word"}]
    with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
        answer = client.post(f"{url}/auth/signup", json={"formFields": form})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "OK", answer.text
    return answer.json()["user"]["id"], int(answer.headers["x-pid"])
