"""`send` and `dispatch`."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sqlite3
import sys
import time

import pytest

from supertokens_events.cli import dispatching
from supertokens_events.outbox import OutboxUnavailable, SqliteOutbox

WAITING = """
    [outbox]
    url = "sqlite:events.db"

    [sinks.first]
    type = "box"
    events = ["user.*"]
    path = "{folder}/first.jsonl"
    wait_for = "{folder}/go"
"""


SHORT_GRACE = """
from supertokens_events.cli import dispatching, main
dispatching._GRACE = dispatching._GIVING_BACK = 0.5
main()
"""


def until(process, sentence):
    """Read the process's log up to the line that says ``sentence``."""
    for line in process.stderr:
        entry = json.loads(line)
        if entry["event"].startswith(sentence):
            return entry
    raise AssertionError(f"the process ended without saying {sentence!r}")


def test_dispatch_follows_the_file(place):
    """A sink that is turned on in the file gets its deliveries from a dispatcher that runs already."""
    process = place.start("dispatch")
    until(process, "Dispatching.")

    text = place.file.read_text()
    place.file.write_text(text.replace("enabled = false", "enabled = tru"))
    assert "sinks" not in until(process, "The configuration has changed and is wrong")
    place.file.write_text(text.replace("enabled = false", "enabled = true"))
    assert until(process, "The configuration has changed and is applied")["sinks"] == ["first", "second"]
    place.run("send", "user.created", "--tenant-id", "acme", "--sink", "second")

    deadline = time.monotonic() + 20
    while not place.received("second") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(20) == 0
    assert len(place.received("second")) == 1


# send


def test_send_stores_an_event_for_its_sinks(place):
    """The event is stored with the type's example as data, and the sinks that get it are named."""
    result = place.run("send", "user.created", "--user-id", "u1", "--tenant-id", "acme")

    assert result.exit_code == 0
    event_id, event_type, *sinks = result.stdout.split(maxsplit=2)
    (event,) = place.lines("events")
    assert (event["id"], event["type"], event["user_id"], event["tenant_id"]) == (event_id, event_type, "u1", "acme")
    assert event["data"]["email"] == "ada@example.com"
    assert sinks == ["first: due now\n  second: skipped (the sink is turned off)\n"]


def test_send_leaves_delivering_to_a_dispatcher(place):
    """`send` delivers nothing itself."""
    place.run("send", "user.created")

    assert place.received("first") == []


def test_send_takes_its_time(place):
    """Nobody signs in meanwhile, so `append_timeout` does not hurry `send`: nothing is counted as late."""
    place.file.write_text(place.file.read_text().replace("[outbox]", "[outbox]\nappend_timeout = 0"))

    result = place.run("send", "user.created")

    assert (result.exit_code, result.stderr) == (0, "")
    assert [line for line in place.lines("status") if line["kind"] == "ledger"] == []


def test_send_takes_data(place):
    """`--data` replaces the example; a type outside the catalog takes any object."""
    (sent,) = place.lines("send", "app.invitation.accepted", "--data", '{"team": "blue"}')

    (event,) = place.lines("events")
    assert event["data"] == {"team": "blue"}
    assert sent == {"id": event["id"], "type": "app.invitation.accepted", "sequence": 1, "deliveries": []}


def test_send_doubts_an_unknown_type(place):
    """A type outside the catalog is sent, and the nearest known one is offered."""
    result = place.run("send", "user.craeted")

    assert result.exit_code == 0
    assert "did you mean 'user.created'?" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["user.created", "--data", "{"], "is not JSON"),
        (["user.created", "--data", "[]"], "expected a JSON object"),
        (["user.created", "--data", '{"emial": "m4rker"}'], "emial"),
        (["Created"], "'Created' is not an event type"),
        (["user.created", "--sink", "fisrt"], "did you mean 'first'?"),
        (["user.created", "--sink", "else"], "configured: first, second"),
    ],
)
def test_wrong_usage_of_send(place, arguments, hint):
    """What cannot be an event, or is meant for no sink, is one sentence and exit code 2; nothing is stored."""
    result = place.run("send", *arguments)

    assert result.exit_code == 2
    assert hint in result.stderr
    assert "m4rker" not in result.output
    assert place.lines("events") == []


def test_send_to_one_sink(place):
    """With `--sink` only that sink gets the event."""
    place.file.write_text(place.file.read_text().replace("enabled = false", "enabled = true"))

    place.run("send", "user.created", "--tenant-id", "acme", "--sink", "second")
    place.run("dispatch", "--until-empty")

    assert (len(place.received("first")), len(place.received("second"))) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["session.created", "--sink", "first"], "sinks.first.events"),
        (["user.created", "--sink", "second"], "sinks.second.enabled"),
    ],
)
def test_a_sink_that_would_not_get_it_is_told(place, arguments, key):
    """`--sink` does not go around a sink's configuration: exit code 1, and nothing is stored."""
    result = place.run("send", *arguments)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"supertokens-events.toml: {key}: the sink ")
    assert place.lines("events") == []


def test_a_sink_of_other_tenants_is_told(place):
    """`--sink` with a tenant that the sink does not want stores nothing."""
    place.file.write_text(place.file.read_text().replace("enabled = false", "enabled = true"))

    result = place.run("send", "user.created", "--sink", "second")

    assert result.exit_code == 1
    assert "sinks.second.tenants: the sink wants public, acme only" in result.stderr


def test_a_type_that_is_not_captured_is_not_stored(place):
    """`send` does not go around `[capture] events`: exit code 1, with the key."""
    result = place.run("send", "session.refreshed")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "capture.events" in result.stderr


def test_a_filtered_event_is_told(place):
    """An event that a plugin's filter drops is not stored: exit code 1, with the plugin's name."""
    place.install(
        "censor",
        """
        from supertokens_events import hookimpl

        @hookimpl
        def filter_event(event):
            return False
        """,
    )

    result = place.run("send", "user.created")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "'user.created' was not stored: filtered by the plugin 'censor'\n"


# dispatch --until-empty


def test_dispatch_delivers_what_is_due(place):
    """Everything due is delivered, and counted."""
    for _ in range(3):
        place.run("send", "user.created")

    result = place.run("dispatch", "--until-empty")

    assert (result.exit_code, result.stdout) == (0, "3 delivered, 0 will be tried later, 0 dead\n")
    assert len(place.received("first")) == 3


def test_a_delivery_that_waits_is_counted(place):
    """What the sink asks to try again is still fine, and counted; a second run finds nothing due."""
    place.file.write_text(place.file.read_text().replace('first.jsonl"', 'first.jsonl"\nanswer = "retry"'))
    place.run("send", "user.created")

    for _ in range(2):
        result = place.run("dispatch", "--until-empty")
        assert (result.exit_code, result.stdout) == (0, "0 delivered, 1 will be tried later, 0 dead\n")


def test_a_dead_letter_is_wrong(place):
    """When a delivery was given up, the exit code is 1."""
    place.file.write_text(place.file.read_text().replace('first.jsonl"', 'first.jsonl"\nanswer = "rejected"'))
    place.run("send", "user.created")

    result = place.run("dispatch", "--until-empty", "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"delivered": 0, "later": 0, "dead": 1, "unavailable": []}


def test_a_sink_that_does_not_open_is_wrong(place):
    """A sink that cannot be opened is named, with exit code 1 and in the ledger; its deliveries wait."""
    place.file.write_text(place.file.read_text().replace('first.jsonl"', 'first.jsonl"\nbroken = true'))
    place.run("send", "user.created")

    result = place.run("dispatch", "--until-empty")

    assert (result.exit_code, result.stdout) == (1, "0 delivered, 1 will be tried later, 0 dead\n")
    assert "supertokens-events.toml: sinks.first: could not be opened; its deliveries wait" in result.stderr
    assert [line["reason"] for line in place.lines("status") if line["kind"] == "ledger"] == ["sink_unavailable"]


def test_a_sink_without_its_plugin_is_wrong(place):
    """A sink whose plugin failed to load is as wrong as one that does not open."""
    place.install("broken", "import a_module_that_is_missing")
    place.file.write_text(place.file.read_text().replace('type = "box"', 'type = "other"', 1))

    result = place.run("dispatch", "--until-empty")

    assert result.exit_code == 1
    assert "sinks.first: could not be opened" in result.stderr


def test_what_a_plugin_breaks_at_last_is_counted(place):
    """A hook that raises after the last delivery is in the ledger when the process has ended."""
    place.install(
        "listener",
        """
        from supertokens_events import hookimpl

        @hookimpl
        def delivery_settled(delivery, outcome):
            raise RuntimeError("out of order")
        """,
    )
    place.run("send", "user.created")

    assert place.run("dispatch", "--until-empty").exit_code == 0
    (line,) = [line for line in place.lines("status") if line["kind"] == "ledger"]
    assert (line["reason"], line["subject"]) == ("listener_failed", "listener")


def test_an_outbox_that_goes_away_is_one_sentence(place, monkeypatch):
    """When the outbox fails for every sink in the middle of it, that is said once, with exit code 1."""

    def claim(*_arguments):
        raise OutboxUnavailable("the outbox events.db cannot be used: database is locked")

    place.file.write_text(place.file.read_text().replace("enabled = false", "enabled = true"))
    monkeypatch.setattr(SqliteOutbox, "claim", claim)
    monkeypatch.setattr(SqliteOutbox, "look", claim)

    result = place.run("dispatch", "--until-empty")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[1:] == ["the outbox events.db cannot be used: database is locked"]


# dispatch


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_an_idle_dispatcher(place, signum):
    """A dispatcher with nothing to do ends at once on a signal, with exit code 0; its log is JSON."""
    process = place.start("dispatch")
    entry = until(process, "Dispatching.")
    process.send_signal(signum)
    stopping = until(process, "Stopping")

    assert process.wait(timeout=5) == 0
    assert (entry["level"], entry["event"], entry["sinks"]) == ("info", "Dispatching.", ["first"])
    assert stopping["signal"] == signum.name


def test_sighup_ends_nothing(place):
    """A dispatcher that is told SIGHUP, as logrotate does, looks at its configuration and goes on."""
    process = place.start("dispatch")
    until(process, "Dispatching.")
    process.send_signal(signal.SIGHUP)
    assert until(process, "Looking at the configuration.")["signal"] == "SIGHUP"
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=5) == 0


@pytest.mark.parametrize("arguments", [[], ["--until-empty"]])
def test_sigterm_lets_a_delivery_finish(place, arguments):
    """What is in flight when SIGTERM comes is finished and written down; nothing more is begun."""
    place.configure(WAITING)
    os.mkfifo(place.folder / "go")
    place.run("send", "user.created")

    process = place.start("dispatch", *arguments)
    until(process, "box: delivering")
    process.send_signal(signal.SIGTERM)
    until(process, "Stopping")
    place.run("send", "user.created")
    (place.folder / "go").write_text("go")

    assert process.wait(timeout=10) == 0
    assert [delivery["state"] for delivery in place.lines("deliveries")] == ["done", "pending"]


def test_a_second_signal_ends_at_once(place):
    """A second SIGTERM does not wait for what is in flight; the delivery is made again later."""
    place.configure(WAITING)
    os.mkfifo(place.folder / "go")
    place.run("send", "user.created")

    process = place.start("dispatch")
    until(process, "box: delivering")
    process.send_signal(signal.SIGTERM)
    until(process, "Stopping")
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=5) == -signal.SIGTERM
    assert [delivery["state"] for delivery in place.lines("deliveries")] == ["pending"]


BLOCKED = {
    "a worker thread": ["first"],
    "an executor's thread": [],
    "a thread of its own": [],
    "the event loop": ["first", "second"],
}


@pytest.mark.parametrize("blocked", BLOCKED)
def test_a_sink_that_blocks_does_not_keep_it_alive(place, blocked):
    """When a sink blocks a thread or the event loop, SIGTERM ends the process all the same, soon after the grace, with code 1 and
    a sentence that names the sinks it could not end with; what was in flight is pending.
    """
    place.file.write_text(
        place.file.read_text()
        .replace("enabled = false", "enabled = true")
        .replace('first.jsonl"', f'first.jsonl"\nblock = "{blocked}"')
    )
    place.run("send", "user.created", "--sink", "first")

    process = place.start("dispatch", program=[sys.executable, "-c", SHORT_GRACE])
    until(process, "box: blocking")
    process.send_signal(signal.SIGTERM)
    ending = until(process, "Ending at once")

    assert process.wait(timeout=5) == 1
    assert (ending["level"], sorted(ending["sinks"])) == ("error", BLOCKED[blocked])
    (delivery,) = place.lines("deliveries")
    assert (delivery["state"], delivery["used"]) == ("pending", 0)


def test_a_sink_that_does_not_close_is_named(place):
    """When a sink does not come to its end, the sentence names it, though its deliveries are done."""
    place.file.write_text(place.file.read_text().replace('first.jsonl"', 'first.jsonl"\nblock = "its close"'))
    place.run("send", "user.created", "--sink", "first")

    process = place.start("dispatch", program=[sys.executable, "-c", SHORT_GRACE])
    until(process, "box: blocking")
    process.send_signal(signal.SIGTERM)
    ending = until(process, "Ending at once")

    assert process.wait(timeout=5) == 1
    assert ending["sinks"] == ["first"]


def test_a_second_signal_ends_a_blocked_process(place):
    """Even while a sink blocks the event loop, another signal ends the process at once."""
    place.file.write_text(place.file.read_text().replace('first.jsonl"', 'first.jsonl"\nblock = "the event loop"'))
    place.run("send", "user.created")

    process = place.start("dispatch")
    until(process, "box: blocking")
    process.send_signal(signal.SIGTERM)
    until(process, "Stopping")
    deadline = time.monotonic() + 5
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGINT)  # again: Python may miss one that comes just as it begins to wait for a lock
        time.sleep(0.1)

    assert process.wait(timeout=1) == -signal.SIGINT


@pytest.mark.parametrize("arguments", [[], ["--until-empty"]])
def test_what_does_not_finish_is_given_back(place, monkeypatch, arguments):
    """A delivery that is still in flight at the end of the grace is due again at once, with no attempt used."""
    monkeypatch.setattr(dispatching, "_GRACE", 0.05)
    place.configure(WAITING)
    place.file.write_text(place.file.read_text().replace("wait_for = ", "hang = true # "))
    place.run("send", "user.created")

    result = place.run("dispatch", *arguments)

    assert result.exit_code == 0
    (delivery,) = place.lines("deliveries")
    assert (delivery["state"], delivery["used"], delivery["attempts"]) == ("pending", 0, [])


def test_on_a_terminal_the_log_is_for_people(place):
    """On a terminal the log has no JSON, but the sentence and its fields."""
    terminal, end = pty.openpty()
    process = place.start("dispatch", "--until-empty", stderr=end, stdout=end)
    os.close(end)
    process.wait(timeout=60)
    text = re.sub(r"\x1b\[[\d;]*m", "", os.read(terminal, 10_000).decode())
    os.close(terminal)

    assert re.search(r"\[info +\] Dispatching\..*sinks=\['first'\]", text)
    assert "0 delivered" in text


def test_an_outbox_that_breaks_is_one_sentence(place):
    """An outbox of a newer version is refused in a sentence."""
    place.run("status")
    with sqlite3.connect(place.folder / "events.db") as connection:
        connection.execute("UPDATE meta SET value = 999 WHERE key = 'schema_version'")
    connection.close()

    result = place.run("dispatch", "--until-empty")

    assert result.exit_code == 2
    assert "schema version 999" in result.stderr
