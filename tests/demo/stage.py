"""What the story needs, really running: the core's double, the app under uvicorn, the receiver, a TOML file in a folder."""

from __future__ import annotations

import base64
import os
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from core_double import CoreDouble
from demo.browser import Browser
from demo.receiver import HOST, Receiver
from demo.watch import Watch
from supertokens_events import Events

__all__ = ["SECRET_VARIABLE", "Stage", "set_up"]

SECRET_VARIABLE = "CRM_WEBHOOK_SECRET"

CONFIGURATION = """\
[app]
source = "{app}"

[outbox]
url = "sqlite:events.db"                 # a file beside this one

[sinks.crm]
type   = "webhook"
events = ["user.*", "session.*", "password.*"]
url    = "{hook}"
secret = {{ env = "{variable}" }}
allow_http     = true                    # this line and the next are needed only
allow_networks = ["127.0.0.0/8"]         # because the receiver is on this machine

[sinks.audit]
type   = "file"
events = ["*"]
path   = "{file}"
"""


@dataclass(frozen=True)
class Stage:
    """Everything that runs, and where it is. ``reset_links`` are the mails that the app has sent."""

    toml: Path
    file: Path
    secret: str
    same_secret: bool
    app_url: str
    core_url: str
    receiver: Receiver
    browser: Browser
    events: Events
    watch: Watch
    reset_links: list[str]


@contextmanager
def set_up(folder: Path, *, same_secret: bool = True) -> Iterator[Stage]:
    """Start everything, with its files in ``folder``; stop it at the end. Sender and receiver share a secret, or do not."""
    secret = _new_secret()
    with (
        CoreDouble() as core,
        Receiver(secret if same_secret else _new_secret()) as receiver,
        socket.create_server((HOST, 0)) as listener,
    ):
        app_url = f"http://{HOST}:{listener.getsockname()[1]}"
        toml, file = folder / "supertokens-events.toml", folder / "audit.jsonl"
        toml.write_text(
            CONFIGURATION.format(app=app_url, hook=receiver.url, variable=SECRET_VARIABLE, file=file), encoding="utf-8"
        )
        os.environ |= _environment(app_url, core.url, toml, secret)
        from demo import app  # only now: like any app, it reads its environment when it is imported

        watch = Watch()
        app.events.plugins.manager.register(watch)
        browser = Browser(app_url)
        with _served(app.app, listener, app_url):
            yield Stage(
                toml=toml,
                file=file,
                secret=secret,
                same_secret=same_secret,
                app_url=app_url,
                core_url=core.url,
                receiver=receiver,
                browser=browser,
                events=app.events,
                watch=watch,
                reset_links=app.mailbox.links,
            )
        browser.close()
        app.events.outbox.close()


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _environment(app_url: str, core_url: str, toml: Path, secret: str) -> Mapping[str, str]:
    direct = filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), HOST])
    return {
        "API_URL": app_url,
        "WEBSITE_URL": app_url,
        "CORE_URL": core_url,
        "SUPERTOKENS_EVENTS_CONFIG": str(toml),
        SECRET_VARIABLE: secret,
        "SUPERTOKENS_TLDEXTRACT_DISABLE_HTTP": "1",  # the SDK would ask a public server for a list of domains
        "no_proxy": ",".join(direct),  # the core is on this machine, whatever proxy this machine uses
    }


@contextmanager
def _served(app: FastAPI, listener: socket.socket, url: str) -> Iterator[None]:
    """``app`` under uvicorn, in a thread; ready when entered, and stopped in good order when left."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, args=([listener],), name="app", daemon=True)
    thread.start()
    httpx.get(url, timeout=20, trust_env=False).raise_for_status()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(20)
