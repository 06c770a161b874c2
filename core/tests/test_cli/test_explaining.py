"""`why`."""

from __future__ import annotations

import pytest

from supertokens_events.outbox import LedgerCount, Pulse, SqliteOutbox


@pytest.fixture
def store(place):
    """The outbox of the place, as a dispatcher has it."""
    outbox = SqliteOutbox(place.folder / "events.db")
    yield outbox
    outbox.close()


def change(place, old, new):
    """Change the configuration."""
    text = place.file.read_text()
    assert old in text
    place.file.write_text(text.replace(old, new, 1))


def sent(place, event_type="user.created", *options):
    """Send one; its id."""
    return place.lines("send", event_type, "--user-id", "ada", *options)[0]["id"]


def told(place, event_id, sink="first"):
    """What is said of one sink, on one line."""
    (line,) = place.lines("why", event_id, "--sink", sink)
    return " ".join(line["sentences"])


def test_for_people(place):
    """Each sink has a heading with its delivery's state, and sentences."""
    event_id = sent(place)
    place.run("dispatch", "--until-empty")

    lines = place.run("why", event_id).stdout.splitlines()

    assert lines[0].startswith(f"{event_id} user.created, user ada, stored ")
    assert lines[2:4] == ["first: done", "  It is wanted: 'user.*' matches user.created."]
    assert lines[4].startswith("  Attempt 1, ")
    assert lines[5:8] == ["  Done: the sink has it.", "", "second: no delivery"]
    assert lines[8].endswith(" it wants the tenants public, acme only, and this is of no tenant.")


@pytest.mark.parametrize(
    ("event_type", "options", "configured", "sentence"),
    [
        ("session.created", (), ("", ""), "none of its patterns is about session.created ('user.*')"),
        ("user.created", (), ('["user.*"]', '["user.*", "!*.created"]'), "'!*.created' excludes user.created"),
        (
            "user.created",
            (),
            ('["user.*"]', '["user.*"]\ntenants = ["acme"]'),
            "it wants the tenants acme only, and this is of no tenant",
        ),
        (
            "user.created",
            ("--tenant-id", "public"),
            ('["user.*"]', '["user.*"]\nwhere = { "data.method" = "thirdparty" }'),
            '\'where\' asks for data.method = "thirdparty", and data.method is "emailpassword"',
        ),
        (
            "user.created",
            (),
            ('["user.*"]', '["user.*"]\nwhere = { "data.nothing" = { exists = true } }'),
            "'where' asks for data.nothing = {\"exists\": true}, and data.nothing is not there",
        ),
        (
            "sink.disabled",
            ("--data", '{"sink": "first", "why": "gone"}'),
            ('["user.*"]', '["*"]'),
            "it is about this sink itself",
        ),
    ],
)
def test_not_wanted(place, event_type, options, configured, sentence):
    """Where a sink has no delivery, what of its subscription keeps the event out is said."""
    change(place, *configured) if configured[0] else None
    event_id = sent(place, event_type, *options)

    assert told(place, event_id).startswith("It has no delivery, and would get none now: ")
    assert sentence in told(place, event_id)


def test_wanted_since(place):
    """A sink that would get it now and has no delivery was added or changed later; how to send it is said."""
    event_id = sent(place, "session.created")
    change(place, '["user.*"]', '["*"]')

    assert told(place, event_id).startswith(
        "It has no delivery, and would get one now: '*' matches session.created. So it was added, or what it wants was changed"
    )
    assert f"'supertokens-events replay {event_id} --to first' sends it." in told(place, event_id)


def test_not_wanted_any_more(place):
    """A delivery that would not be made now says so."""
    event_id = sent(place)
    change(place, '["user.*"]', '["session.*"]')

    assert told(place, event_id).startswith(
        "It was wanted when it was stored, or a person sent it; now it would not be: none of its patterns is about"
    )


def test_dead(place):
    """A dead letter says which tries there were, why it was given up, and how to send it again; after that, who did."""
    change(place, 'first.jsonl"', 'first.jsonl"\nanswer = "rejected"')
    event_id = sent(place)
    place.run("dispatch", "--until-empty")

    said = told(place, event_id)
    assert "rejected for good" in said
    assert "Dead: the box is locked. When what was wrong is mended: 'supertokens-events replay" in said

    place.run("replay", event_id, "--by", "grace")
    assert "by grace: its schedule began anew. Pending, due" in told(place, event_id)


def test_waiting(place, store):
    """What is pending says what it waits for: a dispatcher, its time, the one that has it, its place, a person."""
    event_id = sent(place)
    assert "and no dispatcher is running" in told(place, event_id)
    store.beat(Pulse("a", "host", 1, "0.1.0", ("first",)))
    assert "a dispatcher takes it when those before it are under way" in told(place, event_id)
    (claim,) = store.claim("first", 1, 60.0)
    assert "a dispatcher has it at this moment; should that one die, its lease ends in" in told(place, event_id)
    store.release([claim])
    store.open_breaker("first", failing_for=60.0, probe_in=10.0, reason="no answer")
    assert "its place is away since 1 min ago: no answer." in told(place, event_id)
    assert "1 probe failed; the next one is due in" in told(place, event_id)
    change(place, 'type = "box"', 'type = "box"\nenabled = false')
    assert "the sink is turned off in the configuration (sinks.first.enabled)" in told(place, event_id)
    change(place, "[sinks.first]", "[sinks.renamed]")
    assert "nobody delivers it: the sink is not configured any more" in told(place, event_id)


def test_waiting_for_its_time(place):
    """A retry says which attempt it is, and when it is due; a sink's rate is said too."""
    change(place, '["user.*"]', '["user.*"]\nrate = "30/m"')
    change(place, 'first.jsonl"', 'first.jsonl"\nanswer = "retry"')
    event_id = sent(place)
    place.run("dispatch", "--until-empty")

    assert "failed after" in told(place, event_id)
    assert "Pending: attempt 2 of 10 is due in" in told(place, event_id)
    assert "The sink gets at most 30 calls a minute." in told(place, event_id)


def test_waiting_in_order(place):
    """What waits for an earlier event of its user says for which."""
    change(place, '["user.*"]', '["user.*"]\nordering = "user"')
    first, second = sent(place), sent(place)

    assert f"it waits for {first}, an earlier event of the same user" in told(place, second)


def test_disabled(place):
    """A sink whose place wants no more says so, and how to enable it."""
    change(place, 'first.jsonl"', 'first.jsonl"\nanswer = "gone"')
    sent(place)
    place.run("dispatch", "--until-empty")

    assert "its place wants no more events since" in told(place, sent(place))


def test_erased(place):
    """Of an erased event the rest is told, and that nothing is left to send."""
    change(place, '["user.*"]', '["user.*"]\nwhere = { "data.method" = "emailpassword" }')
    event_id = sent(place)
    place.run("erase", "ada", "--yes")

    assert "Its data was erased" in place.run("why", event_id).stdout
    assert "whether 'where' holds cannot be said" in told(place, event_id)
    assert "Dead: the event was erased before it went out." in told(place, event_id)


def test_a_filter_that_failed(place):
    """What a failing filter holds says which plugin's, and that somebody has to make sure first."""
    place.install(
        "censor", "from supertokens_events import hookimpl\n@hookimpl\ndef filter_event(event):\n    raise KeyError\n"
    )
    event_id = sent(place)

    assert "Dead: held: filter_event of the plugin 'censor' raised KeyError." in told(place, event_id)
    assert "--held' sends it." in told(place, event_id)


# What never became an event


def why_not(place, *arguments):
    (line,) = place.lines("why", "--type", *arguments)
    return line


def test_not_captured(place):
    """A type that is not asked for says which setting keeps it out, and that it was counted."""
    assert (
        "it is high-volume, and '@default' leaves such types out" in why_not(place, "session.refreshed")["sentences"][0]
    )

    place.file.write_text(place.file.read_text() + '\n[capture]\nevents = ["*", "!user.*"]\n')
    place.run("send", "user.created")
    said = why_not(place, "user.created")

    assert said["kept_out"]
    assert said["sentences"][0].endswith("capture.events does not ask for it: '!user.*' excludes it.")
    assert "not captured: capture.events did not ask for this type" in said["sentences"][1]


def test_filtered(place):
    """What a plugin dropped is told with its name; that the ledger knows no users is said."""
    place.install(
        "censor", "from supertokens_events import hookimpl\n@hookimpl\ndef filter_event(event):\n    return False\n"
    )
    place.run("send", "user.created")

    first, second = why_not(place, "user.created", "--user-id", "ada")["sentences"]

    assert first.startswith("Counted 1 time, last ")
    assert first.endswith(": dropped by filter_event of the plugin 'censor'.")
    assert "whether one of these was about this user, it does not know" in second


def test_other_failures(place, store):
    """A capture that failed is told of the types that its function brings, an outbox that was damaged of all."""
    pytest.importorskip("supertokens_python")
    from supertokens_events.ledger import LedgerKey, Reason

    store.record(
        {
            LedgerKey(Reason.CAPTURE_FAILED, "emailpassword.sign_in", ""): 2,
            LedgerKey(Reason.CAPTURE_GAP, "emailpassword", ""): 1,
            LedgerKey(Reason.OUTBOX_MOVED, "", ""): 1,
            LedgerKey(Reason.LOST, "", "user.signed_in"): 3,
        }
    )

    said = " ".join(why_not(place, "user.signed_in")["sentences"])
    other = why_not(place, "role.created")["sentences"]

    assert "its capture failed in emailpassword.sign_in" in said
    assert "emailpassword is not captured" in said
    assert "lost: it could not be stored" in said
    assert ["file was moved" in sentence for sentence in other] == [True]
    assert why_not(place, "user.signed_in", "--since", "2035-01-01")["kept_out"] is False
    assert isinstance(store.ledger()[0], LedgerCount)


def test_nobody_told(place):
    """Where nothing is stored and nothing counted, what that means is said; what is stored is named."""
    said = why_not(place, "user.signed_in", "--user-id", "ada")
    assert said["sentences"][0].startswith("No user.signed_in is stored, and nothing is counted that kept one out")

    event_id = sent(place)
    assert event_id in place.run("why", "--type", "user.created", "--user-id", "ada").stdout
    assert why_not(place, "user.created", "--user-id", "bob")["stored"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ((), 2, "say what to explain"),
        (("evt_x", "--type", "user.created"), 2, "say what to explain"),
        (("evt_x", "--user-id", "ada"), 2, "--user-id and --since go with --type"),
        (("--type", "user created"), 2, "is not an event type"),
        (("--type", "user.created", "--sink", "first"), 2, "--sink goes with the ID of an event"),
        (("evt_x",), 1, "there is no event 'evt_x' in the outbox, and that is no id of one"),
        (("evt_01JD7Q3K5X9V0W1Y2Z3A4B5C6D",), 1, "made 2024-11-21, and events are pruned after 90 d"),
    ],
)
def test_what_cannot_be_explained(place, arguments, code, sentence):
    """An unknown id, a type that is none, options that exclude each other: a sentence and the exit code."""
    result = place.run("why", *arguments)

    assert (result.exit_code, sentence in result.stderr) == (code, True), result.stderr


def test_an_unknown_sink(place):
    """A sink that is none is wrong usage, with the nearest known one."""
    result = place.run("why", sent(place), "--sink", "frist")

    assert result.exit_code == 2
    assert "there is no such sink, did you mean 'first'?" in result.stderr


def test_a_type_that_is_none(place):
    """A type that is not in the catalog is offered the nearest one."""
    assert "did you mean 'user.created'?" in place.run("why", "--type", "user.craeted").stdout
