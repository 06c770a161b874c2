"""``python -m apps.crash CORE_URL FOLDER ROUNDS``: an app is killed right after each answer; prints the users' ids as JSON.

``init`` and ``Events`` are made once, before the first fork, as a server that loads the app before its workers does it.
What would be imported with the first request is imported here too: 50 workers would each take their time for it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import uvicorn

from apps import sdk
from apps.fastapi_app import make_app
from supertokens_events import Events

BEFORE_THE_FIRST_REQUEST = (
    "anyio._backends._asyncio",
    "httpcore",
    "supertokens_python.recipe.webauthn.recipe",
    "uvicorn.loops.asyncio",
)


def main(core_url: str, folder: Path, rounds: int) -> None:
    events = Events.from_toml(folder / "supertokens-events.toml")
    sdk.start(core_url, sdk.recipes(sdk.Mailbox()), events)
    config = uvicorn.Config(make_app(), lifespan="off", log_config=None, loop="asyncio")
    config.load()
    for module in BEFORE_THE_FIRST_REQUEST:
        with suppress(ImportError):  # not in every version of the SDK
            import_module(module)
    print(json.dumps([one_life(config, f"user{number}@example.com") for number in range(rounds)]))


def one_life(config: uvicorn.Config, email: str) -> str:
    """Fork a worker, sign up, kill it. Returns the user's id."""
    assert threading.active_count() == 1, "a fork takes no thread along"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = os.fork()
        if worker == 0:
            uvicorn.Server(config).run([listener])
            os._exit(0)
        try:
            return sign_up(listener.getsockname()[1], email)
        finally:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)


def sign_up(port: int, email: str) -> str:
    form = {"formFields": [{"id": "email", "value": email}, {"id": "password", "value": "right-Pa55word"}]}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/auth/signup", json.dumps(form), {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200
    return str(json.load(answer)["user"]["id"])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
