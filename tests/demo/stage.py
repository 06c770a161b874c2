"""What the story needs, really running: the core's double, the app under uvicorn, the receiver, a TOML file in a folder."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from core_double import CoreDouble
from demo.browser import Browser
from demo.places import Places, open_places
from demo.receiver import HOST
from demo.watch import Watch
from supertokens_events import Events

__all__ = ["Stage", "set_up"]

CONFIGURATION = """\
[app]
source = "{app}"

[outbox]
url = "sqlite:events.db"                 # a file beside this one

[sinks.crm]
type   = "webhook"
events = ["user.*", "account.linked", "!user.metadata.*"]
url    = "{hook}"
secret = {{ env = "CRM_WEBHOOK_SECRET" }}
allow_http     = true                    # this line and the next are needed only
allow_networks = ["127.0.0.0/8"]         # because the receiver is on this machine

[sinks.oncall]
type   = "slack"
events = ["session.token_theft_detected", "user.sign_in.failed"]
webhook_url = {{ env = "SLACK_WEBHOOK_URL" }}
allow_http     = true                    # again: this Slack is on this machine
allow_networks = ["127.0.0.0/8"]

[sinks.analytics]
type   = "segment"
events = ["user.*", "session.revoked"]
write_key = {{ env = "SEGMENT_WRITE_KEY" }}
endpoint  = "{segment}"  # else "us" or "eu"
allow_http     = true
allow_networks = ["127.0.0.0/8"]

[sinks.audit]
type   = "file"
events = ["*"]
path   = "{file}"
"""


@dataclass(frozen=True)
class Stage:
    """Everything that runs, and where it is. ``reset_links`` are the mails that the app has sent."""

    toml: Path
    app_url: str
    core_url: str
    places: Places
    browser: Browser
    stranger: Browser
    events: Events
    watch: Watch
    reset_links: list[str]


@contextmanager
def set_up(folder: Path, *, wrong: Collection[str] = ()) -> Iterator[Stage]:
    """Start everything, with its files in ``folder``; stop it at the end. The sinks ``wrong`` have a secret that their
    place does not know.
    """
    with (
        CoreDouble() as core,
        open_places(folder / "audit.jsonl", wrong=wrong) as places,
        socket.create_server((HOST, 0)) as listener,
    ):
        app_url = f"http://{HOST}:{listener.getsockname()[1]}"
        toml = folder / "supertokens-events.toml"
        toml.write_text(_configuration(app_url, places), encoding="utf-8")
        os.environ |= {**_environment(app_url, core.url, toml), **places.given}
        from demo import app  # only now: like any app, it reads its environment when it is imported

        watch = Watch()
        app.events.plugins.manager.register(watch)
        with (
            _served(app.app, listener, app_url),
            Browser(app_url) as browser,
            Browser(app_url, "stranger/1.0") as stranger,
        ):
            yield Stage(
                toml=toml,
                app_url=app_url,
                core_url=core.url,
                places=places,
                browser=browser,
                stranger=stranger,
                events=app.events,
                watch=watch,
                reset_links=app.mailbox.links,
            )
        app.events.outbox.close()


def _configuration(app_url: str, places: Places) -> str:
    return CONFIGURATION.format(app=app_url, hook=places.receiver.url, segment=places.segment.url, file=places.file)


def _environment(app_url: str, core_url: str, toml: Path) -> Mapping[str, str]:
    direct = filter(None, [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), HOST])
    return {
        "API_URL": app_url,
        "WEBSITE_URL": app_url,
        "CORE_URL": core_url,
        "SUPERTOKENS_EVENTS_CONFIG": str(toml),
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
