"""The commands, where some sinks were made through the API."""

from __future__ import annotations

import pytest

from supertokens_events import Events
from supertokens_events.stored.sinks import Sinks


@pytest.fixture
def stored(place):
    """A place with a stored sink ``third`` beside its own two; returns what manages it."""
    events = Events.from_toml(place.file)
    sinks = Sinks(events.outbox, events.plugins, lambda: events.configured, lambda: None)
    sinks.create("third", "box", {"events": ["user.created"], "path": str(place.folder / "third.jsonl")})
    yield sinks
    events.stop()


def test_check_lists_it(stored, place):
    """`check` shows it with its settings, and says where it comes from."""
    result = place.run("check")

    assert (result.exit_code, result.stderr) == (0, "")
    assert "third (box, made through the API)" in result.stdout
    assert [line["stored"] for line in place.lines("check") if line["kind"] == "sink"] == [True, False, False]


def test_send_and_dispatch(stored, place):
    """`send --sink` sends to it alone, `dispatch` delivers and counts it, `status` knows that it is on."""
    assert place.run("send", "user.created", "--sink", "third").exit_code == 0
    assert place.run("dispatch", "--until-empty").stdout == "1 delivered, 0 will be tried later, 0 dead\n"

    assert len(place.received("third")) == 1
    assert place.received("first") == []
    status = {line["sink"]: line for line in place.lines("status") if line["kind"] == "sink"}
    assert (status["third"]["configuration"], status["third"]["done"]) == ("on", 1)


def test_replay(stored, place):
    """`replay` knows it."""
    place.run("send", "user.created", "--sink", "third")
    place.run("dispatch", "--until-empty")

    assert place.lines("replay", "--sink", "third", "--state", "done", "--all")[0]["due"] == 1


def test_turned_off(stored, place):
    """`enable` says where it was turned off."""
    stored.disable("third")

    result = place.run("enable", "third")

    assert result.exit_code == 1
    assert "the sink 'third' is turned off through the API, so nothing goes out" in result.stderr
