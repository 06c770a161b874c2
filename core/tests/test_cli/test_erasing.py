"""`erase`."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from supertokens_events.cli import erasing
from supertokens_events.operate import erase as erasure


@pytest.fixture
def delivered(place):
    """A place where an event about ada, one about her other login and one about bob were delivered."""
    place.run("send", "user.created", "--user-id", "ada")
    place.run(
        "send",
        "user.id_mapping.created",
        "--user-id",
        "ada-1",
        "--data",
        json.dumps({"supertokens_user_id": "ada", "external_user_id": "ada-1"}),
    )
    place.run("send", "user.created", "--user-id", "bob")
    place.run("dispatch", "--until-empty")
    return place


@pytest.fixture
def terminal(monkeypatch):
    """Somebody sits there, and says what is given."""
    asked = []

    def says(answer):
        monkeypatch.setattr(erasing, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
        monkeypatch.setattr(erasing.click, "confirm", lambda question, **_: asked.append(question) or answer)
        return asked

    return says


def left(place):
    """Whose events still have their data."""
    return [event["user_id"] for event in place.lines("events") if "data" in event]


def test_erase(delivered):
    """Everything that names the user goes, also by another id; the skeletons stay, and all others, and an event says so."""
    (said,) = delivered.lines("erase", "ada", "--yes")

    assert (said["events"], said["deliveries"], said["dry_run"]) == (2, 0, False)
    assert [(link["user_id"], link["through"]) for link in said["linked"]] == [("ada-1", "ada")]
    assert left(delivered) == ["bob", "ada"]
    told = delivered.lines("events", said["event_id"])[0]
    assert (told["type"], told["user_id"], told["actor"]) == ("user.data_erased", "ada", {"type": "system"})
    assert told["data"] == {"user_ids": ["ada", "ada-1"], "events": 2, "deliveries": 0, "attempts": 0, "records": 0}


def test_from_the_other_id(delivered):
    """Whichever of a user's ids is given, the same goes."""
    assert delivered.lines("erase", "ada-1", "--yes")[0]["events"] == 2
    assert left(delivered) == ["bob", "ada-1"]


def test_the_event_goes_out(delivered):
    """Whoever wants the event that says so gets it, as any other: a place that has the user's data may have to erase too."""
    (said,) = delivered.lines("erase", "ada", "--yes")
    delivered.run("dispatch", "--until-empty")

    assert delivered.received("first")[-1]["id"] == said["event_id"]


def test_dry_run(delivered):
    """Who it is, by what, and what would go is said, and nothing goes; then as much does."""
    said = delivered.run("erase", "ada", "--dry-run")

    assert said.exit_code == 0
    assert "ada-1" in said.stdout
    assert "user.id_mapping.created evt_" in said.stdout
    assert said.stdout.endswith(
        "would erase: the data of 2 events and what was said in 0 attempts; 0 deliveries will not go out\n"
    )
    assert left(delivered) == ["ada", "ada-1", "bob"]
    (counted,) = delivered.lines("erase", "ada", "--dry-run")
    (done,) = delivered.lines("erase", "ada", "--yes")
    assert {**counted, "event_id": done["event_id"], "dry_run": False} == done


def test_what_waits(place):
    """What has not gone out does not go out any more, and `why` and `deliveries` say so."""
    event_id = place.run("send", "user.created", "--user-id", "ada").stdout.split()[0]

    assert "1 delivery will not go out" in place.run("erase", "ada", "--yes").stdout

    first = place.lines("deliveries", "--sink", "first", "--type", "user.created")[0]
    assert (first["state"], first["reason"]) == ("dead", "erased")
    assert "the event was erased before it went out" in " ".join(place.run("why", event_id).stdout.split())
    place.run("dispatch", "--until-empty")
    assert [event["type"] for event in place.received("first")] == ["user.data_erased"]


def test_what_was_given_up(place):
    """A reason that a sink gave goes; that it was given up stays, and `why` says that there is nothing left to send."""
    place.configure(place.file.read_text().replace('type = "box"', 'type = "box"\nanswer = "rejected"', 1))
    event_id = place.run("send", "user.created", "--user-id", "ada").stdout.split()[0]
    place.run("dispatch", "--until-empty")

    place.run("erase", "ada", "--yes")

    (dead,) = place.lines("deliveries", "--state", "dead")
    assert (dead["reason"], [attempt["reason"] for attempt in dead["attempts"]]) == (
        "the reason is erased",
        ["the reason is erased"],
    )
    said = " ".join(place.run("why", event_id).stdout.split())
    assert "the reason is erased, and so is the event. There is nothing left to send." in said
    assert "is locked" not in place.run("status", "--json").stdout


def test_twice(delivered):
    """Who erases twice hears that nothing is left, by whichever id; no second event says so."""
    delivered.run("erase", "ada", "--yes")
    before = len(delivered.lines("events"))

    for user_id in ("ada", "ada-1"):
        again = delivered.run("erase", user_id, "--yes")
        assert (again.exit_code, again.stdout) == (0, f"nothing is left to erase of '{user_id}'\n")
    assert delivered.lines("erase", "ada", "--yes")[0]["events"] == 0
    assert len(delivered.lines("events")) == before


def test_nobody(delivered):
    """A user whom no event names or has ever named: that is said, and is a failure, for it may be mistyped."""
    result = delivered.run("erase", "eve", "--yes")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "no stored event names 'eve': there is nothing to erase\n"


def test_what_is_not_captured(delivered):
    """With the type turned off the user is erased all the same; nothing is stored that says so."""
    delivered.file.write_text(delivered.file.read_text() + '\n[capture]\nevents = ["*", "!user.data_erased"]\n')

    (said,) = delivered.lines("erase", "ada", "--yes")

    assert (said["events"], said["event_id"]) == (2, None)
    assert left(delivered) == ["bob"]


def test_a_full_outbox(delivered):
    """An outbox that takes nothing new is erased like any other, and the event that says so is stored."""
    text = delivered.file.read_text()
    delivered.file.write_text(text.replace('url = "sqlite:events.db"', 'url = "sqlite:events.db"\nmax_size = "1MB"'))
    for size in (400_000, 100_000, 4_000):
        while delivered.run("send", "app.large", "--data", json.dumps({"text": "x" * size})).exit_code == 0:
            pass

    (said,) = delivered.lines("erase", "ada", "--yes")

    assert (said["events"], bool(said["event_id"])) == (2, True)


def test_hooks(delivered):
    """Plugins have their say about the event that says so, and are told of it, as of any other."""
    delivered.install(
        "curious",
        """
        from pathlib import Path
        from supertokens_events import hookimpl

        @hookimpl
        def enrich_event(event):
            return {"ticket": 4711}

        @hookimpl
        def event_emitted(event):
            Path("told").write_text(f"{event.type} {event.sequence} {event.data['events']}")
        """,
    )

    delivered.run("erase", "ada", "--yes")

    assert (delivered.folder / "told").read_text() == "user.data_erased 4 2"
    assert delivered.lines("events", "--type", "user.data_erased")[0]["context"] == {"ticket": 4711}


def test_without_a_terminal(delivered):
    """Without somebody to ask, it has to be said; nothing is erased."""
    result = delivered.run("erase", "ada")

    assert result.exit_code == 2
    assert "confirm it with --yes" in result.stderr
    assert left(delivered) == ["ada", "ada-1", "bob"]


@pytest.mark.parametrize("answer", [True, False])
def test_asks(delivered, terminal, answer):
    """On a terminal the user is named in a question, what would go too, and no is no."""
    asked = terminal(answer)
    delivered.run("send", "user.created", "--user-id", "ada\x1b[2J")

    delivered.run("erase", "ada\x1b[2J")
    assert "the data of 1 event " in asked[0]
    assert "'ada\\x1b[2J'" in asked[0]
    result = delivered.run("erase", "ada")

    assert "'ada' and 1 other id: erase the data of 2 events " in asked[1]
    assert result.exit_code == (0 if answer else 1)
    assert ("ada-1" in left(delivered)) is not answer


@pytest.mark.parametrize(("user_id", "why"), [("", "USER_ID is empty"), ("a\udcff", "USER_ID is not text")])
def test_no_id(place, user_id, why):
    """An empty id, as a script's unset variable makes it, and bytes that are no text, are mistakes."""
    result = place.run("erase", user_id, "--yes")

    assert result.exit_code == 2
    assert why in result.stderr


def test_somebody_reads(delivered):
    """While another reads the outbox, traces stay in the WAL: that is said, and fails; later the same command ends them."""
    path = delivered.folder / "events.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event").fetchone()
        result = delivered.run("erase", "ada", "--yes")

    assert result.exit_code == 1
    assert "erased: the data of 2 events" in result.stdout
    assert "events.db-wal: it still has what was erased" in result.stderr
    assert delivered.run("erase", "ada", "--yes").exit_code == 0


def test_a_large_outbox(delivered, monkeypatch):
    """A large file is written anew only when asked to; until then it is said that it may have traces."""
    monkeypatch.setattr(erasure, "AT_ONCE", 1000)

    result = delivered.run("erase", "ada", "--yes")

    assert result.exit_code == 1
    assert "events.db: unused parts of it may still have what was erased: --rewrite" in result.stderr
    again = delivered.run("erase", "ada", "--yes", "--rewrite")
    assert (again.exit_code, again.stderr) == (0, "")
    assert delivered.run("erase", "ada", "--yes").exit_code == 0


def test_what_was_set_aside(delivered):
    """A damaged file that was set aside cannot be searched: it is named each time until somebody deletes it."""
    aside = delivered.folder / "events.db.damaged-20260101T000000Z"
    aside.write_bytes(b"ada")

    result = delivered.run("erase", "ada", "--yes")

    assert result.exit_code == 1
    assert f"{aside.name}: it was set aside and is not searched; delete it" in result.stderr
    aside.unlink()
    assert delivered.run("erase", "ada", "--yes").exit_code == 0
