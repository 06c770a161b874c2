"""A person is erased: what was unmistakably theirs is in no byte of the outbox and in no line of a log."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from click.testing import CliRunner
from werkzeug import Response

from supertokens_events import Event, Events
from supertokens_events.cli import cli
from supertokens_events.event import Actor, Context
from supertokens_events.operate.erase import erase, scrub
from supertokens_events.operate.linked import find
from supertokens_events.testing import sample_events

CANARY = "find-me"
OTHER = "leave-me"
SECRET = "whsec_" + "c2VjcmV0" * 4
ANSWERS = {"takes": 200, "fails": 500, "refuses": 400, "gone": 410}

CONFIGURATION = """
[outbox]
url = "sqlite:events.db"
[capture]
events = ["*"]
[dispatcher]
run = "off"
"""
IDS = {"recipe_user_id", "primary_user_id", "supertokens_user_id", "external_user_id"}
SINK = """
[sinks.{name}]
type           = "webhook"
events         = ["*", "!delivery.*", "!sink.*"]
url            = "{url}{name}"
secret         = "{secret}"
allow_http     = true
allow_networks = ["127.0.0.0/8"]
retry          = {{ {retry} }}
[sinks.{name}-hears]
type   = "file"
events = ["delivery.*", "sink.*"]
path   = "{name}.jsonl"
enabled = false
"""


@pytest.fixture
def receiver(httpserver, tmp_path, monkeypatch):
    """A receiver that repeats whatever it gets, in its body and in its headers. It may be told to wait."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    httpserver.has_it, httpserver.go_on = threading.Event(), threading.Event()
    httpserver.go_on.set()

    def answer(request):
        body = request.get_data()
        httpserver.has_it.set()
        assert httpserver.go_on.wait(30)
        mark = CANARY if CANARY.encode() in body else OTHER
        return Response(body, ANSWERS[request.path[1:]], {"Retry-After": "3600", "X-Request-Id": mark})

    for name in ANSWERS:
        httpserver.expect_request(f"/{name}").respond_with_handler(answer)
    return httpserver


@pytest.fixture
def configured(receiver, tmp_path):
    """A configuration with these sinks; the line that it makes."""
    made = []

    def configured(*names, run="off"):
        sinks = [
            SINK.format(
                name=name, url=receiver.url_for("/"), secret=SECRET, retry="" if name == "fails" else "schedule = []"
            )
            for name in names
        ]
        file = tmp_path / "supertokens-events.toml"
        file.write_text(CONFIGURATION.replace('"off"', f'"{run}"') + "".join(sinks))
        made.append(Events.from_toml(file))
        return made[-1]

    yield configured
    receiver.go_on.set()
    for events in made:
        events.stop()


def run(*arguments, code=0):
    """What a command prints, on stdout and on stderr."""
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout + result.stderr


def marked(document: Any, user_id: str, mark: str) -> Any:
    """The same with a mark in every text, and a field more wherever there are fields; the ids are ids of that user."""
    if isinstance(document, str):
        return f"{document} {mark}"
    if isinstance(document, Mapping):
        ids = {key: f"{user_id}-{key}" for key in IDS & document.keys()}
        return {**{key: marked(value, user_id, mark) for key, value in document.items()}, **ids, "more": mark}
    if isinstance(document, Sequence):
        return [*(marked(value, user_id, mark) for value in document), mark]
    return document


def life(user_id: str, mark: str) -> list[Event]:
    """One event of every type about somebody, with a mark in every field, and one of the app's own."""
    context = Context(ip=mark, user_agent=mark, method=mark, path=mark, request_id=mark, origin=mark, more=mark)
    facts = {"user_id": user_id, "actor": Actor(type="admin", email=mark), "context": context}
    return [
        *(
            event.model_copy(update={**facts, "data": marked(event.data, user_id, mark)})
            for event in sample_events()
            if event.type != "user.data_erased"
        ),
        Event(type="app.own", actor=Actor(type="user", user_id=user_id), data={"by": user_id, mark: [mark]}),
    ]


def texts(folder):
    """All bytes of the outbox, by file."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.startswith("events.db")}


def test_a_whole_life(configured, tmp_path, caplog):
    """Delivered, failed, dead and waiting, with a receiver that repeats what it gets: after `erase` nothing is left, of nobody
    else anything is lost, and a failed sign-in by an address of theirs is gone as well.
    """
    caplog.set_level(logging.DEBUG, logger="supertokens_events")
    events = configured(*ANSWERS)
    others = life("bob", OTHER)
    events.emitter.emit_sync([*life("ada", CANARY), *others])
    address = f"{CANARY}@example.org"
    events.emit_sync(
        "user.created", user_id="ada", data={"method": "emailpassword", "recipe_user_id": "ada", "email": address}
    )
    failed = {"method": "emailpassword", "reason": "wrong_credentials", "email": address}
    events.emit_sync("user.sign_in.failed", data=failed)
    events.stop()
    printed = [run("dispatch", "--until-empty", code=1)]
    assert any(CANARY.encode() in content for content in texts(tmp_path).values())

    printed += [run("erase", "ada", "--dry-run"), run("erase", "ada", "--yes")]
    events.stop()

    assert [name for name, content in texts(tmp_path).items() if CANARY.encode() in content] == []
    assert any(OTHER.encode() in content for content in texts(tmp_path).values())
    assert CANARY not in "".join(printed)
    assert CANARY not in caplog.text
    left = {event.id for event in events.outbox.events(limit=1000) if event.body is not None}
    assert {event.id for event in others} <= left


def test_while_it_is_delivered(configured, receiver, tmp_path, caplog):
    """The dispatcher runs, and the receiver has the event when it is erased: its answer is written down nowhere, the delivery is
    ended as erased, and `why` and `deliveries` say so. Others go on.
    """
    caplog.set_level(logging.DEBUG, logger="supertokens_events")
    events = configured("gone", run="thread")
    receiver.go_on.clear()
    event = events.emit_sync("app.seen", user_id="ada", data={"name": CANARY})
    assert receiver.has_it.wait(10)

    said = run("erase", "ada", "--yes")
    receiver.go_on.set()
    events.stop()
    assert scrub(events.outbox, rewrite=False) == []

    assert "1 delivery will not go out" in said
    (line,) = [json.loads(line) for line in run("deliveries", "--type", "app.seen", "--json").splitlines()]
    assert (line["state"], line["reason"], line["attempts"]) == ("dead", "erased", [])
    assert "the event was erased before it went out" in " ".join(run("why", event.id).split())
    assert events.outbox.disabled() == {}
    assert [name for name, content in texts(tmp_path).items() if CANARY.encode() in content] == []
    assert CANARY not in caplog.text


def test_in_an_app_that_runs(configured, tmp_path):
    """The same functions work in an app, whose own hooks hear of the event; the app's dispatcher empties the WAL."""
    events = configured("takes")
    lived = life("ada", CANARY)
    events.emitter.emit_sync(lived)

    erasure = erase(events, find(events.outbox, "ada"))

    assert erasure.event is not None
    assert erasure.event.sequence == len(lived) + 1
    assert erasure.event.data["events"] == erasure.erased.events == len(lived)
    assert scrub(events.outbox, rewrite=True) == []
    assert [name for name, content in texts(tmp_path).items() if CANARY.encode() in content] == []
