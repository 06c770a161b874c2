"""`status`, `events` and `deliveries`."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import pytest

from supertokens_events.outbox import SqliteOutbox


@pytest.fixture
def busy(place):
    """A place where one event was delivered, one waits for its second attempt, and one was rejected."""
    for answer, user in (("delivered", "ada"), ("retry", "bob"), ("rejected", "eve")):
        text = place.file.read_text()
        place.configure(text.replace('first.jsonl"', f'first.jsonl"\nanswer = "{answer}"', 1))
        place.run("send", "user.created", "--user-id", user)
        place.run("dispatch", "--until-empty")
        place.configure(text)
    return place


def change(place, statement):
    """Change the outbox behind everybody's back."""
    connection = sqlite3.connect(place.folder / "events.db", isolation_level=None)
    connection.execute(statement)
    connection.close()


# status


def test_status_counts_each_sink(busy):
    """Each sink is shown with its counts, its oldest pending event, its last success and its last failure."""
    first, second, outbox = busy.lines("status")

    assert (first["pending"], first["due"], first["done"], first["dead"]) == (1, 0, 1, 1)
    assert first["last_reason"] == "the box is locked"
    assert first["oldest"].endswith("Z")
    assert (second["sink"], second["configuration"], second["skipped"]) == ("second", "turned off", 0)
    assert (outbox["kind"], outbox["events"]) == ("outbox", 3)


def test_status_for_people(busy):
    """The table keeps to 80 columns, and says the last failure's reason and the outbox's size."""
    lines = busy.run("status").stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert lines[1].split()[:5] == ["first", "1", "0", "1", "1"]
    assert any(line.startswith("first failed last ") and line.endswith(": the box is locked") for line in lines)
    assert any(line.startswith("outbox: 3 events, ") for line in lines)


@pytest.fixture
def store(place):
    """The outbox of the place, as a dispatcher has it."""
    outbox = SqliteOutbox(place.folder / "events.db")
    yield outbox
    outbox.close()


def test_status_of_a_sink_that_is_away(place, store):
    """An open breaker is shown: since when, what the last probe said, when the next one is due; what a rate holds back too."""
    place.file.write_text(place.file.read_text().replace('["user.*"]', '["user.*"]\nrate = "30/m"'))
    place.run("send", "user.created")
    store.open_breaker("first", failing_for=60.0, probe_in=10.0, reason="no answer", detail={"status": 503})

    first, *_ = place.lines("status")
    said = place.run("status").stdout

    assert (first["rate"], first["blocked"], first["breaker"]["reason"]) == (0.5, 0, "no answer")
    assert [first["breaker"][name][-1] for name in ("open_since", "failing_since", "probe_at")] == ["Z", "Z", "Z"]
    assert re.search(
        r"first is away since 1 min ago: no answer\n1 probe failed; its deliveries wait; the next probe is due in \d+ s",
        said,
    )
    assert (first["breaker"]["probes"], first["breaker"]["detail"]) == (1, {"status": 503})
    assert "first gets at most 30 calls a minute" in said


def test_deliveries_to_a_sink_that_is_away(busy, store):
    """What waits behind an open breaker says why and until when, whether it was tried or not; what is settled does not."""
    busy.run("send", "user.created", "--user-id", "eva")
    store.open_breaker("first", failing_for=60.0, probe_in=10.0, reason="no answer", detail={"status": 503})

    lines = busy.lines("deliveries", "--sink", "first")
    said = " ".join(busy.run("deliveries", "--sink", "first").stdout.split())

    waiting = [line for line in lines if line["state"] == "pending"]
    assert [len(line["attempts"]) for line in waiting] == [1, 0]
    assert [line["breaker"]["detail"] for line in waiting] == [{"status": 503}] * 2
    assert all(line["breaker"]["probe_at"].endswith("Z") for line in waiting)
    assert {line["breaker"] for line in lines if line["state"] != "pending"} == {None}
    assert len(re.findall(r"pending, the place is away: no answer.{0,60}next probe in \d+ s", said)) == 2


def test_status_of_a_sink_in_order(place, store):
    """Deliveries that wait for an earlier one of the same user are counted."""
    place.file.write_text(place.file.read_text().replace('["user.*"]', '["user.*"]\nordering = "user"'))
    for _ in range(3):
        place.run("send", "user.created", "--user-id", "ada")

    first, *_ = place.lines("status")

    assert (first["pending"], first["blocked"], first["breaker"]) == (3, 2, None)
    assert "first: 2 deliveries wait for an earlier one of the same user" in place.run("status").stdout


def test_a_sink_that_is_gone_is_shown(busy):
    """A sink that has deliveries and is not configured any more is shown as such."""
    busy.file.write_text(busy.file.read_text().replace("[sinks.first]", "[sinks.renamed]"))

    states = {line["sink"]: line["configuration"] for line in busy.lines("status") if line["kind"] == "sink"}

    assert states == {"first": "not configured any more", "renamed": "on", "second": "turned off"}
    assert "not configured any more" in busy.run("status").stdout.replace("\n", " ").replace("  ", " ")


def test_the_ledger_is_shown(place):
    """What did not become a delivery is counted by reason."""
    place.install(
        "censor",
        """
        from supertokens_events import hookimpl

        @hookimpl
        def filter_event(event):
            return event.user_id != "eve"
        """,
    )
    place.run("send", "user.created", "--user-id", "eve")

    (line,) = [line for line in place.lines("status") if line["kind"] == "ledger"]

    assert (line["reason"], line["subject"], line["event_type"], line["count"]) == (
        "filtered",
        "censor",
        "user.created",
        1,
    )
    assert "filtered" in place.run("status").stdout


def test_the_hooks_are_shown(place):
    """How long each plugin's hooks took is shown, of processes that have ended too, what took longest first."""
    place.install(
        "geo",
        """
        import time
        from supertokens_events import hookimpl

        @hookimpl
        def enrich_event(event):
            time.sleep(0.01)
            return {"country": "NZ"}

        @hookimpl
        def event_emitted(event):
            raise LookupError("nobody is there")
        """,
    )
    for _ in range(3):
        place.run("send", "user.created")

    enrich, told = [line for line in place.lines("status") if line["kind"] == "hook"]
    text = place.run("status").stdout

    assert (enrich["plugin"], enrich["hook"], enrich["calls"], enrich["failures"]) == ("geo", "enrich_event", 3, 0)
    assert 0.01 <= enrich["longest"] <= enrich["total"]
    assert enrich["total"] >= 0.03
    assert enrich["median"] >= 0.009
    assert enrich["last_at"].endswith("Z")
    assert (told["hook"], told["calls"], told["failures"]) == ("event_emitted", 3, 3)
    assert re.search(r"^geo +enrich_event +3 +0 +\d+(\.\d)? ms", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80


def test_status_of_an_empty_outbox(place):
    """A new outbox shows every configured sink with zeros."""
    first, *_ = place.lines("status")

    assert (first["sink"], first["pending"], first["oldest"]) == ("first", 0, None)
    assert place.run("status").exit_code == 0


# events


def test_events_are_listed_in_order(busy):
    """The list has the latest events, oldest first, as they were stored."""
    assert [event["user_id"] for event in busy.lines("events")] == ["ada", "bob", "eve"]
    assert [event["user_id"] for event in busy.lines("events", "--limit", "2")] == ["bob", "eve"]
    assert [event["sequence"] for event in busy.lines("events", "--after", "1", "--limit", "1")] == [2]
    assert [event["user_id"] for event in busy.lines("events", "--user-id", "bob")] == ["bob"]
    assert busy.lines("events", "--type", "session.created") == []


def test_the_list_fits_80_columns(busy):
    """The table keeps to 80 columns and breaks no event id."""
    event_ids = [event["id"] for event in busy.lines("events")]

    lines = busy.run("events").stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("evt_")] == event_ids


def test_an_id_is_never_broken(busy, monkeypatch):
    """On a narrow terminal, too, an event id can be copied."""
    event_ids = [event["id"] for event in busy.lines("events")]
    monkeypatch.setenv("COLUMNS", "45")

    words = busy.run("events").stdout.split()

    assert [word for word in words if word.startswith("evt_")] == event_ids


def test_square_brackets_are_not_markup(place):
    """What looks like markup is printed as it is."""
    place.run("send", "user.created", "--user-id", "[bold]ada[/bold]:smile:")

    assert "[bold]ada[/bold]:smile:" in place.run("events").stdout


def test_one_event_is_shown_as_it_was_stored(busy):
    """With an id the stored JSON is printed, indented."""
    event = busy.lines("events")[0]

    result = busy.run("events", event["id"])

    assert json.loads(result.stdout) == event
    assert result.stdout.startswith('{\n  "id": "evt_')
    assert busy.lines("events", event["id"]) == [event]


def test_an_unknown_event_is_wrong(place):
    """An id that is not in the outbox exits 1."""
    result = place.run("events", "evt_0")

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "there is no event 'evt_0' in the outbox\n"


def test_an_erased_event_shows_what_is_left(busy):
    """An event without its payload is shown by its skeleton."""
    change(busy, "UPDATE event SET payload = NULL WHERE user_id = 'ada'")

    event = busy.lines("events")[0]

    assert (event["user_id"], event["erased"]) == ("ada", True)
    assert "data" not in event


def test_a_terminal_never_obeys_an_event(place):
    """Control characters that came in with an event are spelled out, for people and for programs."""
    place.run("send", "user.created", "--user-id", "a\x1b[2J\x9bb", "--tenant-id", "\u202e")
    (event,) = place.lines("events")

    outputs = [place.run("events", *arguments).stdout for arguments in ([], ["--json"], [event["id"]])]

    assert [output for output in outputs if not all(c.isprintable() or c == "\n" for c in output)] == []
    assert json.loads(outputs[2]) == event


# deliveries


def test_deliveries_have_their_attempts(busy):
    """Each delivery is shown with its state and every attempt, with times in ISO format."""
    done, pending, dead = busy.lines("deliveries", "--sink", "first")

    assert [delivery["state"] for delivery in (done, pending, dead)] == ["done", "pending", "dead"]
    assert (dead["attempts"][0]["outcome"], dead["attempts"][0]["reason"]) == ("rejected", "the box is locked")
    assert (pending["used"], pending["attempts"][0]["number"]) == (1, 1)
    assert done["attempts"][0]["started_at"].endswith("Z")


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--state", "dead"], 1),
        (["--sink", "second"], 0),
        (["--sink", "first"], 3),
        (["--type", "user.created"], 3),
        (["--type", "session.created"], 0),
        (["--since", "1h"], 3),
        (["--since", "2999-01-01"], 0),
        (["--limit", "2"], 2),
        (["--event", "evt_0"], 0),
    ],
)
def test_deliveries_can_be_chosen(busy, arguments, count):
    """Deliveries are chosen by sink, state, type, time and event."""
    assert len(busy.lines("deliveries", *arguments)) == count


def test_a_time_is_in_utc(busy, monkeypatch):
    """A time without a zone is in UTC, wherever the program runs."""
    just_now = datetime.now(UTC) - timedelta(minutes=5)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        without_zone = busy.lines("deliveries", "--since", just_now.strftime("%Y-%m-%dT%H:%M"))
        with_zone = busy.lines("deliveries", "--since", just_now.isoformat())
    time.tzset()

    assert (len(without_zone), len(with_zone)) == (3, 3)


def test_a_skipped_delivery_says_why(place):
    """A delivery without an attempt is shown with its reason."""
    place.run("send", "user.created", "--tenant-id", "acme")

    assert "the sink is turned off" in place.run("deliveries", "--state", "skipped").stdout


def test_deliveries_for_people(busy):
    """The table keeps to 80 columns, with each attempt on a line of its own."""
    text = busy.run("deliveries", "--state", "dead").stdout

    assert max(map(len, text.splitlines())) <= 80
    assert "dead" in text
    assert "1. " in text
    assert "the box is locked" in " ".join(text.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["deliveries", "--since", "yesterday"],
        ["deliveries", "--type", "user created"],
        ["deliveries", "--state", "lost"],
        ["deliveries", "--after", "now"],
        ["events", "--limit", "0"],
        ["events", "--limit", "9" * 22],
        ["events", "--after", "9" * 22],
        ["deliveries", "--limit", "9" * 22],
    ],
)
def test_wrong_options_are_wrong_usage(place, arguments):
    """An option that says nothing sensible exits 2 with what was expected."""
    result = place.run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert arguments[1] in result.stderr
