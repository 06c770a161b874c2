"""The management API in a process of its own, beside an app and a dispatcher in theirs, on one outbox."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from apps.canary import leaks
from apps.receiver import receiver
from supertokens_events_webhook.receiver import Webhook

PATIENCE = 20.0  # seconds, on a busy machine
API_KEY = "canary-key-of-the-management-api"
CONFIGURATION = """
[outbox]
url = "sqlite:events.db"
[server]
api_keys = [{ env = "CANARY_API_KEY" }]
encryption_key = { env = "CANARY_ENCRYPTION_KEY" }
"""
ENCRYPTION_KEY = "Y2FuYXJ5LWVuY3J5cHRpb24ta2V5LTMyLWJ5dGVzISE="
APP = """
import sys, time
from supertokens_events import Events

events = Events.from_toml("supertokens-events.toml")
print("running", flush=True)
for line in sys.stdin:
    print(events.emit_sync(line.strip(), user_id="u1").id, flush=True)
events.stop()
"""


class Place:
    """A folder with a configuration, and the processes that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen[str]] = []
        (folder / "supertokens-events.toml").write_text(CONFIGURATION)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Python with these arguments; everything that it says on stderr goes to a file."""
        secrets = {"CANARY_API_KEY": API_KEY, "CANARY_ENCRYPTION_KEY": ENCRYPTION_KEY}
        with (self.folder / f"stderr-{len(self._processes)}").open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env={**os.environ, **secrets},
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        self._processes.append(process)
        return process

    def serve(self) -> tuple[subprocess.Popen[str], httpx.Client]:
        """The API, and who may use it."""
        process = self.start("-m", "supertokens_events", "serve", "--port", "0")
        line = process.stdout.readline()
        assert line.startswith("The management API is at http://127.0.0.1:"), self.said()
        url = line.split()[-1].removesuffix("/v1/")
        return process, httpx.Client(base_url=url, headers={"authorization": f"Bearer {API_KEY}"}, timeout=PATIENCE)

    def said(self) -> str:
        """What every process has said on stderr."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("stderr-*")))

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


@pytest.fixture
def place(tmp_path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.stop()


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def webhook(url, **settings):
    own = {"events": ["app.*"], "url": url, "allow_http": True, "allow_networks": ["127.0.0.0/8"]}
    return {"name": "crm", "type": "webhook", "settings": own | settings}


def test_a_sink_made_by_api_reaches_running_processes(place):
    """An app that runs stores for a sink that is made meanwhile, and its dispatcher delivers to it, signed with the key that
    was made, within seconds; a rotated key is used as soon; none of the secrets is in any file or in any later answer.
    """
    server, api = place.serve()
    app = place.start("-c", APP)
    assert app.stdout.readline() == "running\n"

    def emit(event_type):
        app.stdin.write(f"{event_type}\n")
        app.stdin.flush()
        return app.stdout.readline().strip()

    emit("app.before")
    with receiver() as crm, api:
        header = "Bearer canary-header-of-a-stored-sink"
        made = api.post("/v1/sinks", json=webhook(crm.url, headers={"authorization": header}))
        assert made.status_code == 201, made.text
        secret = made.json()["secrets"]["secret"]
        began = time.monotonic()
        sent = until(lambda: emit("app.said") and crm.received)
        assert time.monotonic() - began < 10
        headers, body = sent[0]
        assert Webhook(secret).verify(headers, body).type == "app.said"
        assert headers["authorization"] == header

        rotated = api.post("/v1/sinks/crm/rotate", json={"keep": "1h"}).json()["secrets"]["secret"]
        assert rotated != secret
        until(lambda: emit("app.said") and len(crm.received[-1][0]["webhook-signature"].split()) == 2)
        for key in (secret, rotated):
            Webhook(key).verify(*crm.received[-1])

        test = api.post("/v1/sinks/crm/test", json={"type": "user.created"}).json()
        until(lambda: [body for _, body in crm.received if json.loads(body)["id"] == test["event_id"]])
        api.delete("/v1/sinks/crm")
        until(lambda: api.get(f"/v1/deliveries?event={emit('app.said')}").json()["deliveries"] == [])
        said = "\n".join(
            api.get(path).text for path in ("/v1/sinks", "/v1/status", "/v1/deliveries", "/v1/openapi.json")
        )

    server.send_signal(signal.SIGTERM)
    assert server.wait(PATIENCE) == 0
    secrets = {
        "made": secret,
        "rotated": rotated,
        "header": header,
        "API key": API_KEY,
        "encryption key": ENCRYPTION_KEY,
    }
    on_disk = {path.name: path.read_bytes() for path in place.folder.iterdir()}
    assert leaks(secrets, {**on_disk, "answers": said.encode()}) == set()
    assert set(on_disk) >= {"events.db", "stderr-0", "stderr-1"}
    assert "Traceback" not in place.said()


def test_a_dispatcher_follows(place):
    """`dispatch` in its own process delivers to a sink that is made while it runs."""
    _, api = place.serve()
    place.start("-m", "supertokens_events", "dispatch")
    until(lambda: "Dispatching." in place.said())

    with receiver() as crm, api:
        api.post("/v1/sinks", json=webhook(crm.url))
        api.post("/v1/sinks/crm/test")

        until(lambda: crm.received)


def test_serve_without_a_key(place):
    """Without an API key it does not start, and says what to write; exit code 2, no traceback."""
    (place.folder / "supertokens-events.toml").write_text('[outbox]\nurl = "sqlite:events.db"\n')
    process = place.start("-m", "supertokens_events", "serve")

    assert process.wait(PATIENCE) == 2
    assert place.said().startswith(
        "supertokens-events.toml: server.api_keys: the management API needs at least one key"
    )


def test_serve_where_somebody_listens(place):
    """A port that is taken is a sentence, and exit code 1."""
    _, api = place.serve()
    with api:
        process = place.start("-m", "supertokens_events", "serve", "--port", str(api.base_url.port))

        assert process.wait(PATIENCE) == 1
    assert f"127.0.0.1, port {api.base_url.port}: cannot be listened at: " in place.said()


GARBAGE = (
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01" * 50,
    b"POST /v1/sinks HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
)


def test_garbage_on_the_wire(place):
    """What is not HTTP ends its own connection, and nothing else."""
    _, api = place.serve()
    with api:
        for garbage in GARBAGE:
            with socket.create_connection((api.base_url.host, api.base_url.port), PATIENCE) as connection:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

            assert api.get("/v1/sinks").status_code == 200
    assert "Traceback" not in place.said()
