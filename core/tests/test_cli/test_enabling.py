"""`enable`, and what is said of a sink that is disabled."""

from __future__ import annotations

import re

import pytest


@pytest.fixture
def gone(place):
    """A place whose first sink is disabled, with one delivery dead and two that wait."""
    text = place.file.read_text()
    place.configure(text.replace('first.jsonl"', 'first.jsonl"\nanswer = "gone"\nconcurrency = 1', 1))
    for _ in range(3):
        place.run("send", "user.created")
    place.run("dispatch", "--until-empty")
    place.configure(text)
    return place


def test_status_says_so(gone):
    """Since when, why, and what to do."""
    first, *_ = gone.lines("status")

    assert (first["disabled"]["reason"], first["disabled"]["since"][-1]) == ("the box is gone", "Z")
    assert (first["pending"], first["due"], first["dead"]) == (2, 2, 1)
    assert re.search(
        r"first is disabled since .*: the box is gone\n"
        r"its deliveries wait; 'supertokens-events enable first' lets them go out",
        gone.run("status").stdout,
    )


def test_check_warns(gone):
    """The configuration is fine, and nothing goes out: a warning says so."""
    result = gone.run("check")

    assert result.exit_code == 0
    assert "warning: sinks.first: is disabled, its deliveries wait: the box is gone;" in result.stderr


def test_nothing_goes_out(gone):
    """Another dispatcher delivers nothing to it."""
    gone.run("dispatch", "--until-empty")

    assert gone.received("first") == []


def test_enable(gone):
    """What waited goes out once the sink is enabled."""
    said = gone.run("enable", "first").stdout
    gone.run("dispatch", "--until-empty")

    assert re.fullmatch(r"first is enabled; it was disabled .*: the box is gone\n2 deliveries wait\n", said)
    assert len(gone.received("first")) == 2
    assert gone.lines("status")[0]["disabled"] is None


def test_enable_as_json(gone):
    """With --json: whether it was disabled, and how many wait."""
    assert gone.lines("enable", "first") == [{"sink": "first", "was_disabled": True, "pending": 2}]
    assert gone.lines("enable", "first") == [{"sink": "first", "was_disabled": False, "pending": 2}]


def test_enable_what_is_not_disabled(place):
    """Nothing changes, and that is said."""
    assert place.run("enable", "first").stdout == "first is not disabled; nothing has changed\n"


def test_enable_what_is_turned_off(place):
    """A sink that the configuration turns off gets nothing all the same: exit code 1 and the key."""
    result = place.run("enable", "second")

    assert result.exit_code == 1
    assert "sinks.second.enabled: it is turned off there" in result.stderr


def test_enable_an_unknown_sink(place):
    """A misspelt name is a mistake, and the nearest name is offered."""
    result = place.run("enable", "frist")

    assert result.exit_code == 2
    assert "sinks.frist: there is no such sink, did you mean 'first'?" in result.stderr
