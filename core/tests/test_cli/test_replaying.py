"""`replay` and `dead`."""

from __future__ import annotations

import getpass
import json
import signal

import anyio
import pytest

from supertokens_events import Events
from supertokens_events.outbox import SqliteOutbox
from supertokens_events.retry import RetryPolicy


def answering(place, answer):
    """Have the first box answer so from now on."""
    place.configure()
    if answer != "delivered":
        place.file.write_text(place.file.read_text().replace('first.jsonl"', f'first.jsonl"\nanswer = "{answer}"', 1))


@pytest.fixture
def bad(place):
    """A place whose first box has rejected three events, and takes them now; and the ids of the events."""
    answering(place, "rejected")
    ids = [place.lines("send", "user.created", "--user-id", user)[0]["id"] for user in ("ada", "bob", "eve")]
    place.run("dispatch", "--until-empty")
    answering(place, "delivered")
    place.ids = ids
    return place


def test_dead_letters(bad):
    """They are listed with the reason, by sink and type; none is said where there are none."""
    said = bad.run("dead", "list").stdout

    assert said.count("the box is locked") == 3
    assert "1 attempt, the last" in said
    assert [line["event_id"] for line in bad.lines("dead", "list", "--sink", "first", "--type", "user.*")] == bad.ids
    assert bad.lines("dead", "list", "--type", "session.*") == []
    assert bad.run("dead", "list", "--sink", "second").stdout == "none\n"


def test_one(bad):
    """One event is sent again by its id, and arrives under that id; a person is in its log."""
    result = bad.run("replay", bad.ids[1], "--by", "grace")
    bad.run("dispatch", "--until-empty")

    assert (result.exit_code, result.stdout) == (0, "due again: 1 delivery\n")
    assert [event["id"] for event in bad.received("first")] == [bad.ids[1]]
    (delivery,) = bad.lines("deliveries", "--event", bad.ids[1], "--sink", "first")
    assert [attempt["outcome"] for attempt in delivery["attempts"]] == ["rejected", "replayed", "delivered"]
    assert delivery["attempts"][1]["detail"] == {"by": "grace"}
    assert "by grace" in bad.run("deliveries").stdout


def test_a_range(bad):
    """A range is counted first, sent again by a rate, and is nothing the second time; who runs it is who did it."""
    dry = bad.run("replay", "--sink", "first", "--since", "1h", "--dry-run")
    assert dry.stdout == "would be due again: 3 deliveries to first\n"
    assert [line["state"] for line in bad.lines("deliveries", "--sink", "first")] == ["dead"] * 3

    assert bad.run("replay", "--sink", "first", "--since", "1h", "--rate", "100/s").stdout == (
        "due again: 3 deliveries to first\n"
    )
    bad.run("dispatch", "--until-empty")
    again = bad.run("replay", "--sink", "first", "--since", "1h")

    assert again.stdout == "nothing to replay: there are no dead deliveries to first in that range\n"
    assert again.exit_code == 0
    assert sorted(event["id"] for event in bad.received("first")) == bad.ids
    (delivery, *_) = bad.lines("deliveries", "--sink", "first")
    assert delivery["attempts"][1]["reason"] == f"by {getpass.getuser()}"


def test_by_type_and_time(bad):
    """Only events of a pattern, and of a time, are in a range."""
    assert bad.lines("replay", "--sink", "first", "--type", "user.*", "--dry-run")[0]["due"] == 3
    assert (
        bad.lines("replay", "--sink", "first", "--type", "user.*", "--type", "!user.created", "--dry-run")[0]["due"]
        == 0
    )
    assert bad.lines("replay", "--sink", "first", "--until", "1h", "--dry-run")[0]["due"] == 0


def test_to_another_sink(bad):
    """What one sink did not get goes to another, whatever that one subscribes to; what it has is left alone."""
    bad.file.write_text(bad.file.read_text().replace("enabled = false", "").replace('["user.created", ', "["))

    assert bad.run("replay", "--sink", "first", "--to", "second").stdout == "due again: 3 deliveries to second\n"
    bad.run("dispatch", "--until-empty")
    again = bad.run("replay", bad.ids[0], "--to", "second")

    assert sorted(event["id"] for event in bad.received("second")) == bad.ids
    assert (again.exit_code, again.stdout) == (
        1,
        "due again: 0 deliveries to second\nleft alone: 1 that second has already (--again)\n",
    )


def test_left_alone(bad):
    """What is erased, pending or done is left alone, and each is said."""
    bad.run("erase", "eve", "--yes")
    bad.run("replay", bad.ids[0])

    said = bad.run("replay", *bad.ids)

    assert said.exit_code == 1
    assert said.stdout.splitlines() == [
        "due again: 1 delivery",
        "left alone: 1 pending, which go out anyway",
        "left alone: 1 whose event was erased: there is nothing left to send",
    ]


def test_what_a_filter_held(place):
    """What a failing filter held back goes out only with --held."""
    place.install(
        "censor",
        """
        from supertokens_events import hookimpl

        @hookimpl
        def filter_event(event):
            raise KeyError(event.id)
        """,
    )
    place.run("send", "user.created")

    assert place.run("replay", "--sink", "first").stdout.splitlines()[1] == (
        "left alone: 1 held back since a filter failed on them: they may be meant to stay (--held)"
    )
    assert place.run("replay", "--sink", "first", "--held").stdout == "due again: 1 delivery to first\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "say what to replay: ids of events, or the sink whose deliveries it is about"),
        (("--sink", "frist"), "there is no sink 'frist', did you mean 'first'?"),
        (("--sink", "second"), "the sink 'second' is turned off in the configuration"),
        (("--sink", "first", "--to", "third"), "there is no sink 'third'"),
        (("--sink", "first", "--state", "done"), "that is everything that 'first' has ever got"),
        (("--sink", "first", "--since", "1h", "--until", "2h"), "the range of times is empty"),
        (("--sink", "first", "--since", "yesterday"), "expected a time ago such as '2h'"),
        (("--sink", "first", "--rate", "fast"), "expected a rate such as '10/s'"),
        (("--sink", "first", "--type", "user created"), "'user created' is not an event pattern"),
        (("--sink", "first", "--state", "pending"), "'pending' is not one of"),
        (("--sink", "first", "--by", " "), "say who replays"),
        (("evt_x", "--since", "1h"), "exclude each other"),
        (("evt_x", "--sink", "first", "--to", "second"), "leave one sink out"),
    ],
)
def test_what_cannot_be_meant(place, arguments, sentence):
    """What would do nothing, or hardly what was meant, is refused with a sentence; nothing changes."""
    place.file.write_text(place.file.read_text().replace("enabled = false", "enabled = false\n"))

    result = place.run("replay", *arguments)

    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_unknown_ids(bad):
    """An id that is not in the outbox is named, exit code 1; the others are sent again."""
    result = bad.run("replay", "evt_nobody", bad.ids[0])

    assert result.exit_code == 1
    assert result.stdout == "due again: 1 delivery\n"
    assert result.stderr == "there is no event 'evt_nobody' in the outbox\n"


def test_a_sink_that_is_disabled(place):
    """Nothing is replayed to a sink whose place wants no more; the sentence says how to enable it."""
    answering(place, "gone")
    sent = place.lines("send", "user.created")[0]["id"]
    place.run("dispatch", "--until-empty")

    for arguments in (("--sink", "first"), (sent,)):
        result = place.run("replay", *arguments)

        assert result.exit_code == 2
        assert "its place wants no more events: the box is gone; 'supertokens-events enable first'" in result.stderr


def test_interrupted(bad):
    """Ctrl-C ends it between two steps; the same command goes on, says whose it was, and sends nothing twice."""
    process = bad.start("replay", "--sink", "first", "--rate", "1/h", "--by", "ada", "--json", stdout=-1)
    outbox = SqliteOutbox(bad.folder / "events.db")
    while not any(delivery.state == "pending" for delivery in outbox.deliveries(sink="first")):
        pass
    process.send_signal(signal.SIGINT)
    printed, complained = process.communicate(timeout=30)
    assert (process.returncode, printed) == (130, "")
    assert complained == "interrupted: 1 delivery of 3 became due; the same command goes on from there\n"
    outbox.close()

    bad.run("dispatch", "--until-empty")
    said = bad.run("replay", "--sink", "first", "--by", "bob").stdout
    bad.run("dispatch", "--until-empty")

    assert said.splitlines()[0].startswith("goes on with what ada began")
    assert said.splitlines()[1] == "due again: 2 deliveries to first"
    assert sorted(event["id"] for event in bad.received("first")) == bad.ids


def test_for_programs(bad):
    """With --json the counts are one object."""
    (line,) = bad.lines("replay", "--sink", "first")

    assert line == {
        "due": 3,
        "left_alone": dict.fromkeys(["pending", "done", "dead", "skipped", "erased", "held", "replayed"], 0),
        "dry_run": False,
        "resumed": False,
        "sink": "first",
        "to": None,
    }
    assert json.dumps(line)


def test_a_handler_of_the_app(place):
    """What a handler could not do is found, explained and made due again like any sink's; its app delivers it."""
    events = Events.from_toml(place.folder / "supertokens-events.toml")

    @events.on("app.said", name="mirror", retry=RetryPolicy(schedule=()))
    def mirror(_event):
        raise ValueError("not now")

    event = events.emit_sync("app.said")
    anyio.run(events.dispatcher(handlers_alone=True).run_until_empty)
    events.stop()

    why = place.run("why", event.id, "--sink", "on:mirror")
    assert "by a handler of the app" in " ".join(why.stdout.split())
    assert f"'supertokens-events replay {event.id} --sink on:mirror' sends it again" in " ".join(why.stdout.split())
    assert "a handler of the app" in " ".join(place.run("status").stdout.split())
    assert place.run("replay", event.id, "--sink", "on:mirror").exit_code == 0
    (delivery,) = [one for one in place.lines("deliveries") if one["sink"] == "on:mirror"]
    assert delivery["state"] == "pending"
    assert "in the app that has the handler" in " ".join(place.run("why", event.id).stdout.split())
