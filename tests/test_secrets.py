"""Never a secret: what people and apps keep to themselves is in no event, file, log line, ``repr`` or answer of the command."""

from __future__ import annotations

import base64
import inspect
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from prometheus_client import CollectorRegistry, generate_latest
from supertokens_python.recipe.session.asyncio import create_new_session_without_request_response
from supertokens_python.types import RecipeUserId

from apps.browser import EMAIL, Browser
from apps.canary import leaks
from apps.receiver import Receiver, receiver
from apps.stored import stored_events
from apps.trouble import extra_capture
from doubles.segment import SegmentDouble
from doubles.slack import TOKEN, WEBHOOK_PATH, SlackDouble
from supertokens_events import Events, hookimpl
from supertokens_events.capture.recipe import Fact
from supertokens_events.catalog.user import Method, UserSignedIn
from supertokens_events.config import ConfigurationError
from supertokens_events.metrics.prometheus import PrometheusMetrics
from supertokens_events.server import asgi_app

WEBHOOK_KEY = base64.b64encode(b"canary webhook key of 32 bytes!!").decode()
HEADER = "Bearer canary-header-of-the-webhook"
STORED_KEY = base64.b64encode(b"canary key of a stored sink, 32b").decode()
STORED_HEADER = "Bearer canary-header-of-a-stored-sink"
STORED_QUERY = "canary-query-of-a-stored-sink"
STORED_SLACK_PATH = "canary-path-of-a-stored-slack"
STORED_SLACK_TOKEN = "xoxb-canary-token-of-a-stored-slack"
WRITE_KEY = "canary-write-key-of-the-source-01"  # of 3n characters: in base64, Basic credentials begin with it
STORED_WRITE_KEY = "canary-write-key-of-a-stored-sink"
API_KEY = "canary-key-of-the-management-api"
ENCRYPTION_KEY = base64.b64encode(b"canary encryption key, 32 bytes!").decode()


class Leaky:
    """A plugin with an exception in whose text there is a secret, such as libraries throw."""

    @hookimpl
    def enrich_event(self, event):
        raise RuntimeError("login failed for password canary-first-Pa55word")


def live(browser: Browser, app) -> dict[str, str]:
    """A story with everything that has a secret in it; returns the secrets, named."""
    secrets = {name: f"canary-{name}-Pa55word" for name in ("first", "wrong", "second", "third")}
    browser.sign_up(EMAIL, secrets["first"])
    user_id = browser.answers[0].json()["user"]["id"]
    browser.sign_in(EMAIL, secrets["wrong"])
    browser.sign_in(EMAIL, secrets["first"])
    browser.forgot_password()
    browser.reset_password("canary-invalid-token", secrets["second"])
    browser.reset_password(app.mailbox.token, secrets["second"])
    old = browser.refresh_token
    for _ in range(2):
        browser.refresh()
    browser.send("GET", "/app/left", token=browser.access_token)
    app.core.fail_next("/recipe/signin")
    browser.sign_in(EMAIL, secrets["third"])
    browser.send("POST", "/auth/signout?canary=canary-query-parameter", token=browser.access_token)
    browser.refresh_token = old
    browser.refresh()
    payload, data = {"canary": "canary-token-payload"}, {"canary": "canary-session-data"}
    new_session = create_new_session_without_request_response("public", RecipeUserId(user_id), payload, data)
    tokens = anyio.run(lambda: new_session).get_all_session_tokens_dangerously()
    return {
        **secrets,
        "reset token": app.mailbox.token,
        "invalid reset token": "canary-invalid-token",
        "query": "canary-query-parameter",
        "payload": "canary-token-payload",
        "session data": "canary-session-data",
        **{f"backend's {name}": value for name, value in tokens.items() if isinstance(value, str) and len(value) > 20},
        **exchanged(browser),
        "webhook key": WEBHOOK_KEY,
        "webhook header": HEADER,
        "stored key": STORED_KEY,
        "stored header": STORED_HEADER,
        "stored query": STORED_QUERY,
        "Slack webhook": WEBHOOK_PATH.rpartition("/")[2],
        "Slack token": TOKEN,
        "write key": WRITE_KEY,
        "stored Slack webhook": STORED_SLACK_PATH,
        "stored Slack token": STORED_SLACK_TOKEN,
        "stored write key": STORED_WRITE_KEY,
        "API key": API_KEY,
        "encryption key": ENCRYPTION_KEY,
    }


HERE = {"events": ["*"], "allow_http": True, "allow_networks": ["127.0.0.0/8"]}


def stored_sinks(echo: Receiver) -> list[dict[str, Any]]:
    """Sinks whose place repeats in its answer what it was asked."""
    pager = {**HERE, "webhook_url": f"{echo.url}/{STORED_SLACK_PATH}"}
    bot = {**HERE, "token": STORED_SLACK_TOKEN, "channel": "#audit", "api_url": echo.url}
    funnel = {**HERE, "write_key": STORED_WRITE_KEY, "endpoint": echo.url}
    return [
        {"name": "pager", "type": "slack", "settings": pager},
        {"name": "bot", "type": "slack", "settings": bot},
        {"name": "funnel", "type": "segment", "settings": funnel},
    ]


def wrong_sinks(echo: Receiver) -> list[dict[str, Any]]:
    """The same with something wrong in the secret, or beside it."""
    pager, bot, funnel = stored_sinks(echo)
    return [
        {**pager, "settings": {**pager["settings"], "webhook_url": STORED_SLACK_PATH}},
        {**pager, "settings": {**pager["settings"], "token": STORED_SLACK_TOKEN}},
        {**bot, "settings": {**bot["settings"], "token": f"canary {STORED_SLACK_TOKEN}"}},
        {**bot, "settings": {**bot["settings"], "token": [STORED_SLACK_TOKEN]}},
        {**funnel, "settings": {**funnel["settings"], "write_key": f"{STORED_WRITE_KEY}:"}},
        {**funnel, "settings": {**funnel["settings"], "write_key": {"key": STORED_WRITE_KEY}}},
    ]


def managed(events: Events, url: str, echo: Receiver) -> bytes:
    """Makes sinks through the API, with secrets in every kind of place, changes one, and has some refused; all the answers."""
    settings = {
        **HERE,
        "url": f"{url}?token={STORED_QUERY}",
        "secret": f"whsec_{STORED_KEY}",
        "headers": {"authorization": STORED_HEADER},
    }
    sink = {"name": "partner", "type": "webhook", "settings": settings}
    wrong = {**settings, "secret": [f"whsec_{STORED_KEY}x"], "headers": {"host": STORED_HEADER}, "url": STORED_QUERY}

    async def ask() -> list[str]:
        async with api_of(events) as api:
            answers = [
                await api.post("/v1/sinks", json=sink),
                await api.post("/v1/sinks", json=sink),
                await api.post("/v1/sinks", json={**sink, "name": "wrong", "settings": wrong}),
                await api.patch("/v1/sinks/partner", json={"settings": wrong}),
                await api.post("/v1/sinks", content=STORED_KEY),
                *[
                    await api.get(f"/v1/{path}")
                    for path in ("sinks", "sinks/partner", "status", "events", "deliveries")
                ],
                await api.get("/v1/sinks", headers={"authorization": f"Bearer {API_KEY}{STORED_KEY}"}),
            ]
            assert [answer.status_code for answer in answers[:5]] == [201, 409, 422, 422, 400]
            answers.append(await api.post("/v1/sinks/partner/rotate"))
            assert answers[-1].json()["secrets"].pop("secret")
            more = [await api.post("/v1/sinks", json=one) for one in [*stored_sinks(echo), *wrong_sinks(echo)]]
            assert [answer.status_code for answer in more] == [201] * 3 + [422] * 6
            return [answer.text for answer in [*answers[:-1], *more]]

    return "\n".join(anyio.run(ask)).encode()


def told(events: Events) -> bytes:
    """Everything that can be read through the API."""

    async def ask() -> list[str]:
        async with api_of(events) as api:
            sinks = [sink["name"] for sink in (await api.get("/v1/sinks")).json()["sinks"]]
            stored = [event["id"] for event in (await api.get("/v1/events")).json()["events"]]
            pages = ["status", "sinks", "events", "deliveries?limit=1000", "sink-types", "openapi.json"]
            pages += [f"sinks/{name}" for name in sinks] + [f"events/{event_id}" for event_id in stored[:2]]
            answers = [await api.get(f"/v1/{page}") for page in pages]
            assert {answer.status_code for answer in answers} == {200}
            return [answer.text for answer in answers]

    return "\n".join(anyio.run(ask)).encode()


def api_of(events: Events) -> httpx.AsyncClient:
    """Somebody who may use the management API."""
    headers = {"authorization": f"Bearer {API_KEY}"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(asgi_app(events)), base_url="http://api", headers=headers)


def exchanged(browser: Browser) -> dict[str, str]:
    """Every token and cookie that went one way or the other."""
    found: dict[str, str] = {}
    for number, answer in enumerate(browser.answers):
        sent, got = answer.request.headers, answer.headers
        named = [("authorization", sent.get("authorization", "").removeprefix("Bearer "))]
        named += [
            (name, got.get(name, "")) for name in ("st-access-token", "st-refresh-token", "front-token", "anti-csrf")
        ]
        named += [(f"cookie {name}", value) for name, value in answer.cookies.items()]
        found |= {f"{name} {number}": value for name, value in named if value not in ("", "remove")}
    return found


def on_disk(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".toml"}


def in_log(records: list[logging.LogRecord]) -> bytes:
    """All that any formatter could make of our records."""
    ours = [record for record in records if record.name.startswith("supertokens_events")]
    assert {record.levelname for record in ours} >= {"DEBUG", "ERROR"}
    return "\n".join(repr(vars(record)) + record.getMessage() + repr(record.exc_info) for record in ours).encode()


def in_reprs(events: Events) -> bytes:
    sinks = [config.build() for config in events.settings.sinks.values()]
    stored = events.outbox.events(limit=1_000)
    things = [
        events,
        events.settings,
        events.emitter,
        events.outbox,
        events.plugins,
        *sinks,
        *(sink.settings for sink in sinks),
    ]
    things += [
        *stored,
        *stored_events(events),
        *events.outbox.deliveries(limit=1_000),
        *events.outbox.ledger(),
        *events.outbox.status(),
    ]
    claim = events.outbox.claim("audit", 1, 0.0)
    return "\n".join(f"{thing!r} {thing}" for thing in [*things, *claim]).encode()


def from_command(folder: Path, event_id: str) -> bytes:
    """What the command line says, as people and as programs read it."""
    commands = ["check --connect", "status", "events", f"events {event_id}", "deliveries", f"why {event_id}"]
    with ThreadPoolExecutor(4) as pool:
        return b"".join(pool.map(partial(said, folder), [*commands, *(f"{one} --json" for one in commands)]))


def said(folder: Path, command: str) -> bytes:
    """All that one command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "supertokens_events", "--config", "supertokens-events.toml", *command.split()],
        cwd=folder,
        capture_output=True,
        env={**os.environ, "COLUMNS": "10000"},
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout + done.stderr


def without_own(head: dict[str, str]) -> dict[str, str]:
    """The headers of a webhook without those that are the receiver's to know."""
    return {**head, "authorization": head["authorization"].replace(HEADER, "").replace(STORED_HEADER, "")}


def without_authorization(head: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request to Slack or Segment without the one that is for them."""
    return {name: value for name, value in head.items() if name != "authorization"}


CONFIGURATION = """
[outbox]
url = "sqlite:events.db"
[server]
api_keys = [{{ env = "CANARY_API_KEY" }}]
encryption_key = {{ env = "CANARY_ENCRYPTION_KEY" }}
[capture]
events = ["*"]
[dispatcher]
run = "off"
[sinks.audit]
type = "file"
events = ["*"]
path = "{folder}/audit.jsonl"
[sinks.crm]
type = "webhook"
events = ["*"]
url = "{url}"
secret = {{ env = "CANARY_SECRET" }}
headers = {{ authorization = {{ env = "CANARY_HEADER" }} }}
allow_http = true
allow_networks = ["127.0.0.0/8"]
[sinks.oncall]
type = "slack"
events = ["*"]
webhook_url = {{ env = "CANARY_SLACK_URL" }}
allow_http = true
allow_networks = ["127.0.0.0/8"]
[sinks.team]
type = "slack"
events = ["*"]
token = {{ env = "CANARY_SLACK_TOKEN" }}
channel = "#audit"
api_url = "{slack}"
allow_http = true
allow_networks = ["127.0.0.0/8"]
[sinks.analytics]
type = "segment"
events = ["*"]
write_key = {{ env = "CANARY_WRITE_KEY" }}
endpoint = "{segment}"
allow_http = true
allow_networks = ["127.0.0.0/8"]
"""


@contextmanager
def segment_double() -> Iterator[SegmentDouble]:
    """Segment, in a thread of its own."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(SegmentDouble(write_key=WRITE_KEY)) as segment,
    ):
        yield segment


@pytest.fixture
def lived(run_app, tmp_path, caplog, monkeypatch):
    """Lives the story and returns its secrets and every place where one could have ended up."""

    def live_it(auth_mode, *, commands=False):
        for package in ("", "_file", "_segment", "_slack", "_webhook"):
            caplog.set_level(logging.DEBUG, f"supertokens_events{package}")
        monkeypatch.setenv("CANARY_SECRET", f"whsec_{WEBHOOK_KEY}")
        monkeypatch.setenv("CANARY_HEADER", HEADER)
        monkeypatch.setenv("CANARY_API_KEY", API_KEY)
        monkeypatch.setenv("CANARY_ENCRYPTION_KEY", ENCRYPTION_KEY)
        monkeypatch.setenv("CANARY_SLACK_TOKEN", TOKEN)
        monkeypatch.setenv("CANARY_WRITE_KEY", WRITE_KEY)
        metrics = PrometheusMetrics(CollectorRegistry())
        with receiver() as crm, receiver(echoes=True) as echo, SlackDouble() as slack, segment_double() as segment:
            monkeypatch.setenv("CANARY_SLACK_URL", slack.webhook_url)
            (tmp_path / "supertokens-events.toml").write_text(
                CONFIGURATION.format(folder=tmp_path, url=crm.url, slack=slack.api_url, segment=segment.url)
            )
            events = Events.from_toml(tmp_path / "supertokens-events.toml", plugins=[Leaky(), metrics])
            metrics.watch(events.outbox)
            answers = managed(events, crm.url, echo)
            csrf = "VIA_TOKEN" if auth_mode == "cookie" else "NONE"
            with run_app("fastapi", events, anti_csrf=csrf) as app, app.browser(auth_mode=auth_mode) as browser:
                secrets = live(browser, app)
            anyio.run(events.dispatcher().run_until_empty)
        places = {
            **on_disk(tmp_path),
            "log": in_log(caplog.records),
            "reprs": in_reprs(events),
            "webhook bodies": b"\n".join(body for _, body in crm.received),
            "webhook headers": repr([without_own(head) for head, _ in crm.received]).encode(),
            "Slack messages": b"\n".join(request.body for request in slack.requests),
            "Slack headers": repr([without_authorization(request.headers) for request in slack.requests]).encode(),
            "Segment bodies": b"\n".join(request.body for request in segment.requests),
            "Segment headers": repr([without_authorization(request.headers) for request in segment.requests]).encode(),
            "answers": answers,
            "API": told(events),
            "metrics": generate_latest(metrics.registry),
        }
        assert len(slack.messages) >= 2
        assert len(echo.received) >= 3
        if commands:
            places["command"] = from_command(tmp_path, stored_events(events)[0].id)
        events.stop()
        return secrets, places

    return live_it


@pytest.mark.parametrize(("auth_mode", "commands"), [("header", True), ("cookie", False)])
def test_no_secret_leaves(auth_mode, commands, lived):
    """No password, token, cookie, link or key of a whole life with the app can be found anywhere that we write or speak."""
    secrets, places = lived(auth_mode, commands=commands)

    assert leaks(secrets, places) == set()
    assert set(places) > {
        "events.db",
        "events.db-wal",
        "audit.jsonl",
        "log",
        "reprs",
        "webhook bodies",
        "webhook headers",
        "Slack messages",
        "Slack headers",
        "Segment bodies",
        "Segment headers",
        "answers",
        "API",
        "metrics",
    }
    assert b"/hooks?" in places["answers"]
    assert b'"Signed Up"' in places["Segment bodies"]
    assert b"answered 503" in places["API"]
    assert all(f'sink="{sink}"'.encode() in places["metrics"] for sink in ("oncall", "team", "analytics", "pager"))
    assert EMAIL.encode() in places["events.db"] + places["events.db-wal"]
    assert all(
        EMAIL.encode() in places[place] for place in ("audit.jsonl", "webhook bodies", "Slack messages", "reprs", "API")
    )
    assert len(secrets) > 30
    assert min(map(len, secrets.values())) > 16


def test_the_search_finds_a_leak(lived):
    """Were a capture function to take a password, the search above would find it wherever events go."""

    def leak(password):
        return Fact(UserSignedIn(method=Method.EMAILPASSWORD, recipe_user_id=password))

    with extra_capture(leak, **inspect.signature(leak).parameters):
        secrets, places = lived("header")

    found = leaks(secrets, places)
    assert {name for name, _ in found} == {"first", "wrong", "second", "third"}
    assert {place for _, place in found} >= {"audit.jsonl", "webhook bodies", "Segment bodies", "reprs", "API"}
    assert {place for _, place in found} & {"events.db", "events.db-wal"}


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("webhook", "secret", "canary-not-a-key"),
        ("webhook", "secret", "whsec_canary"),
        ("webhook", "headers", {"host": "canary"}),
        ("webhook", "headers", {"x-key": "canary\n"}),
        ("slack", "webhook_url", "canary-not-a-url"),
        ("slack", "webhook_url", "http://hooks.slack.com/services/canary"),
        ("slack", "token", "canary-no-token"),
        ("slack", "token", "xoxb-canary"),
        ("slack", "proxy", "canary://proxy"),
        ("segment", "write_key", "canary:"),
        ("segment", "write_key", ["canary"]),
        ("segment", "proxy", "canary://proxy"),
    ],
)
def test_a_wrong_setting_is_not_repeated(kind, key, value, make_events):
    """An error about a setting that can be a secret names its key and keeps its value to itself."""
    right = {
        "webhook": {"url": "https://example.com", "secret": f"whsec_{WEBHOOK_KEY}"},
        "slack": {"webhook_url": "https://hooks.slack.com/services/T0/B0/canary"},
        "segment": {"write_key": WRITE_KEY},
    }

    with pytest.raises(ConfigurationError) as error:
        make_events(sinks={"crm": {"type": kind, "events": ["*"], **right[kind], key: value}})

    assert f"sinks.crm.{key}" in str(error.value)
    assert "canary" not in f"{error.value} {error.value!r}"
