"""The demo tells the whole story and exits 0; what is missing it names, and exits 1."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from demo import evidence
from demo.arrivals import Arrival, Trail
from demo.evidence import EXPECTED, WANTED
from demo.receiver import Post
from demo.shown import as_message
from doubles.segment import Received
from doubles.slack import Message, Request
from supertokens_events.outbox import (
    Attempt,
    Breaker,
    DeliveryState,
    Disabled,
    SinkStatus,
    StoredDelivery,
    StoredEvent,
)

ROOT = Path(__file__).parent.parent
ID = re.compile(r"evt_[0-9A-Z]{26}")
DOWN = "3. The receiver goes down, and Ada signs in"
STILL_DOWN = "4. It is still down, and somebody guesses at Ada's password"
BACK = "5. The receiver comes back"
THEFT = "7. Somebody uses a copy of the cookies that Ada had before that"
SINKS = ("crm", "oncall", "analytics", "audit")
OF_OTHER_TESTS = re.compile(r"SUPERTOKENS_|TEST_MODE$|SSL_CERT_|NOX_|FORCE_COLOR$|COLUMNS$")


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    """Run it as ``nox -s demo`` does."""
    environment = {name: value for name, value in os.environ.items() if not OF_OTHER_TESTS.match(name)}
    return subprocess.run(
        [sys.executable, "-m", "demo", *options],
        env=environment | {"PYTHONPATH": str(ROOT / "tests"), "PYTHONIOENCODING": "utf-8"},
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def parts(output: str) -> dict[str, str]:
    """The output by heading: whatever begins in the first column."""
    found = re.split(r"^(\S.*)$", output, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("demo") / "kept"


@pytest.fixture(scope="module")
def run(kept) -> subprocess.CompletedProcess[str]:
    return demo("--keep", str(kept))


@pytest.fixture(scope="module")
def refused() -> subprocess.CompletedProcess[str]:
    return demo("--wrong-secret", "crm")


@pytest.fixture(scope="module")
def nowhere() -> subprocess.CompletedProcess[str]:
    return demo("--wrong-secret", "oncall", "--wrong-secret", "analytics")


# The story, told


def test_the_demo_finds_nothing_missing(run):
    """The demo exits 0 and says nothing on stderr that is not a log line of ours: one about the whole outage."""
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Traceback" not in run.stderr
    assert run.stderr.count("A sink's place is away; its deliveries wait. sink='crm'") == 1, run.stderr


def test_each_step_names_what_happened(run):
    """Each step says what the browser asked, what it was answered, and which events came of it."""
    told = [
        (re.search(r"browser +(.*)", text), re.findall(r"event +(\S+\.\S+) +evt_", text))
        for heading, text in parts(run.stdout).items()
        if re.match(r"\d\. ", heading)
    ]

    assert [(asked and asked[1], events) for asked, events in told] == [
        ("POST /auth/signup → 200 OK", ["user.created", "session.created"]),
        ("POST /auth/user/password/reset/token → 200 OK", ["password.reset.requested"]),
        ("POST /auth/signin → 200 OK", ["user.signed_in", "session.created"]),
        ("POST /auth/signin → 200 WRONG_CREDENTIALS_ERROR", ["user.sign_in.failed"]),
        (None, ["user.signed_in", "user.sign_in.failed"]),
        ("POST /auth/session/refresh → 200", []),
        ("POST /auth/session/refresh → 401", ["session.token_theft_detected", "session.revoked"]),
    ]


def test_the_toml_is_one_for_every_sink_type(kept, run):
    """It has one sink of each type that we ship, and its webhook asks for what the README's asks for."""
    sinks = tomllib.loads((kept / "supertokens-events.toml").read_text(encoding="utf-8"))["sinks"]
    (readme,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)

    assert [table["type"] for table in sinks.values()] == ["webhook", "slack", "segment", "file"]
    assert {path.parent.name for path in ROOT.glob("sinks/*/pyproject.toml")} == {
        table["type"] for table in sinks.values()
    }
    assert sinks["crm"]["events"] == tomllib.loads(readme)["sinks"]["crm"]["events"]


def test_a_webhook_a_batch_and_messages_are_shown(run):
    """The output shows what came to each place: a signed request and a batch about the same event, with its id, and in Slack a
    message about the failure and one about the theft, as a person reads them.
    """
    steps = parts(run.stdout)
    signed_up, guessed, stolen = steps["1. Ada signs up"], steps[STILL_DOWN], steps[THEFT]
    event_id = ID.search(signed_up)[0]

    assert f"webhook-id: {event_id}" in signed_up
    assert re.search(r"webhook-signature: v1,\S{44}\n", signed_up)
    batch = signed_up[signed_up.index("POST /v1/batch") :]
    assert re.findall(r'"type": "(\w+)",\s+"messageId": "(\S+)",\s+"userId": "(\S{36})"', batch) == [
        ("identify", f"{event_id}-identify", (user := re.search(r'"user_id": "(\S+)"', signed_up)[1])),
        ("track", event_id, user),
    ]
    assert '"event": "Signed Up"' in batch
    assert re.search(r"│ ⚠️ Sign-in failed for ada@example.com with emailpassword: wrong_credentials\n", guessed)
    assert re.search(rf"│ 🚨 Token theft detected for user {user}: a\n +│ refresh token", stolen)
    assert re.search(r"│ From +127.0.0.1\n +│ With +stranger/1.0\n", stolen)
    assert all(ID.findall(step).count(ID.search(step)[0]) == 2 for step in (guessed, stolen))


def test_an_outage_of_one_sink_is_no_matter_to_the_others(run):
    """While the receiver is away, Slack, Segment and the file have what they asked for."""
    steps = parts(run.stdout)

    assert re.findall(r"(segment analytics|file audit) +✓ (?:batch|line) \d", steps[DOWN]) == [
        "segment analytics",
        "file audit",
        "file audit",
    ]
    assert re.findall(r"(slack oncall|segment analytics|file audit) +✓ \w+ \d", steps[STILL_DOWN]) == [
        "slack oncall",
        "segment analytics",
        "file audit",
    ]


def test_what_waits_is_shown_with_its_reason_and_next_try(run):
    """While the receiver is away, each event of the outage says why it waits and when it or a probe is tried again. The
    first finds out by an attempt of its own, the last, stored when that was known, by a probe.
    """
    steps = parts(run.stdout)
    first, last = steps[DOWN], steps[STILL_DOWN]
    waits = r"… (attempt 1|waits): 127.0.0.1:\d+ .*\n +next (attempt|probe) (?:in \d\.\d s|now)"

    assert [found[0] for found in re.findall(waits, first)] == ["attempt 1"]
    assert re.findall(waits, last) == [("waits", "probe")]


def test_the_outage_wastes_no_attempt(run):
    """Before the receiver returns, the table says how many attempts each event has used up, and why it waits; however
    many probes have failed, that is at most one, and none for what came later.
    """
    back = parts(run.stdout)[BACK]
    table = re.findall(r"^ +(\S+\.\S+) +(\d) +127.0.0.1:\d+ \S", back, re.MULTILINE)

    assert table == [("user.signed_in", "1"), ("user.sign_in.failed", "0")]
    assert re.search(r"webhook crm   … 127.0.0.1:\d+ .*\n +failing for \d+\.\d s, next probe (in \d\.\d s|now)\n", back)


def test_what_waited_arrives_under_the_same_id(run):
    """The ids that come in once the receiver is back are those of the outage, each with one attempt more than it had, and
    with how soon that was.
    """
    steps = parts(run.stdout)
    during = [ID.search(steps[step])[0] for step in (DOWN, STILL_DOWN)]
    before = re.findall(r"^ +\S+\.\S+ +(\d) +127", steps[BACK], re.MULTILINE)
    after = re.findall(
        r"event +\S+ +(\S+)\n.* ✓ signature verified, attempt (\d), \d+\.\d s after its return$",
        steps[BACK],
        re.MULTILINE,
    )

    assert [event_id for event_id, _ in after] == during
    assert [int(attempt) for _, attempt in after] == [int(used) + 1 for used in before]


def test_the_table_has_every_event_once(run):
    """The table at the end lists the eight events in order, each at all sinks that want it and at no other."""
    rows = [row.split(maxsplit=1) for row in parts(run.stdout)["Where it all went"].splitlines() if "✓" in row]
    cells = [re.split(r"  +", cells) for _, cells in rows]

    assert [event_type for event_type, _ in rows] == list(EXPECTED)
    assert [[sink for sink, cell in zip(SINKS, row, strict=True) if cell != "·"] for row in cells] == [
        list(WANTED[event_type]) for event_type in EXPECTED
    ]
    assert [row[3] for row in cells] == [f"✓ line {n}" for n in range(1, len(EXPECTED) + 1)]
    assert [row[1] for row in cells if row[1] != "·"] == ["✓ message 1", "✓ message 2"]
    assert all(re.fullmatch(r"· *|✓ (attempt|message|batch|line) \d", cell) for row in cells for cell in row)


def test_the_output_is_narrow_and_plain(run):
    """Without a terminal the output has no control characters and, but for paths and Slack's URL, at most 88 columns."""
    long = (os.sep + "kept", "export SLACK_WEBHOOK_URL=")
    wide = [line for line in run.stdout.splitlines() if len(line) > 88 and not any(part in line for part in long)]

    assert wide == []
    assert not re.search(r"[^\S\n ]|\x1b| $", run.stdout, re.MULTILINE)


def test_the_commands_to_try_next_work(run, kept):
    """The files are kept where asked, and the commands that the demo ends with exit 0 on them."""
    commands = re.findall(
        r"^ {5}(export .*|.*supertokens-events (?:status|events|deliveries).*)$", run.stdout, re.MULTILINE
    )

    tried = subprocess.run(
        ["sh", "-ec", "\n".join(commands)], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False
    )

    assert len(commands) == 7
    assert tried.returncode == 0, tried.stderr
    assert tried.stdout.count("user.created") == 2
    assert "oncall" in tried.stdout
    assert {"audit.jsonl", "events.db", "supertokens-events.toml"} <= {path.name for path in kept.iterdir()}


def test_a_folder_with_files_is_refused(run, kept):
    """An earlier run's files are neither mixed with a new one's nor overwritten: exit 2, with a sentence."""
    again = demo("--keep", str(kept))

    assert again.returncode == 2
    assert "is not an empty folder" in again.stderr


# What is missing


def test_a_wrong_secret_is_found_out(refused):
    """When the receiver accepts no signature, the demo exits 1 and names every event that did not come to it."""
    missing = parts(refused.stdout)["What is missing"]

    assert refused.returncode == 1, refused.stdout + refused.stderr
    assert re.findall(r"✗ (\S+) \(evt_", missing) == [one for one in EXPECTED if "crm" in WANTED[one]]
    assert "What you saw" not in refused.stdout


def test_a_wrong_secret_is_the_reason_of_every_event(refused):
    """What was refused before the outage says so by its own attempt, with the receiver's words. After the outage only
    probes go out, and are refused: that is why the rest waits, with no attempt or with the one that met nobody.
    """
    steps = parts(refused.stdout)
    missing = " ".join(steps["What is missing"].split())
    why = [sentence.strip() for sentence in missing.split("✗ ") if "(evt_" in sentence]
    own = r"attempt \d: 127.0.0.1:\d+ answered 401 Unauthorized: No matching signature found"
    of_probes = r"(since then|waits): 127.0.0.1:\d+ answered 401 Unauthorized"

    assert re.search(f"… {own} next attempt ", " ".join(steps["1. Ada signs up"].split()))
    assert re.search(rf"; ({own}|{of_probes})\.$", why[0])
    assert all(re.search(rf"; {of_probes}\.$", sentence) for sentence in why[1:])
    assert "; waits: " in why[2]
    assert re.search(r"The receiver refused a request (twice|\d+ times): No matching signature found\.", missing)
    assert "uses up no attempt" in steps[BACK]


def test_what_slack_and_segment_refuse_is_found_out(nowhere):
    """When Slack does not know the webhook and Segment not the write key, the demo exits 1 and names each event that did not
    come there, with what they said; the receiver and the file have theirs.
    """
    missing = " ".join(parts(nowhere.stdout)["What is missing"].split())
    said = re.findall(
        r"✗ (\S+) \(\S+\) (is in no Slack message|is in no batch that Segment took); (.*?)\.(?= ✗|$)", missing
    )

    assert nowhere.returncode == 1, nowhere.stdout + nowhere.stderr
    assert [(event_type, "Slack" in place) for event_type, place, _ in said] == [
        (event_type, sink == "oncall")
        for event_type in EXPECTED
        for sink in ("oncall", "analytics")
        if sink in WANTED[event_type]
    ]
    assert all("answered invalid_token" in why for _, place, why in said if "Slack" in place)
    assert all("answered 401 Unauthorized: is write_key the key" in why for _, place, why in said if "Segment" in place)
    assert "sink.disabled happened once, expected never." in missing
    assert len(re.findall("✗ ", missing)) == len(said) + 1
    assert "as asked  the sink 'oncall' has a secret that is wrong\n" in nowhere.stdout


def trail(
    event_type: str = "user.created",
    *,
    attempts: int = 1,
    body: bytes = b"{}",
    sinks: Sequence[str] | None = None,
    **found: Sequence[int],
) -> Trail:
    """One that is where it should be, but for what is given."""
    stored = {"sequence": 1, "id": "evt_1", "tenant_id": None, "user_id": None, "correlation_id": None}
    stored |= {"type": event_type, "timestamp": "", "stored_at": 0.0, "body": body}
    attempt = Attempt(number=1, started_at=0.0, duration=0.0, outcome="delivered", reason=None, detail={})
    delivery = StoredDelivery(
        sequence=1,
        event_id="evt_1",
        event_type=event_type,
        sink="crm",
        state=DeliveryState.DONE,
        used=attempts,
        due_at=0.0,
        reason=None,
        attempts=[attempt] * attempts,
    )
    wanted = WANTED.get(event_type, ()) if sinks is None else sinks
    return Trail(
        StoredEvent(**stored), {sink: Arrival(sink, delivery, found.get(sink, [1])) for sink in [*wanted, *found]}
    )


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"crm": ()}, "user.created (evt_1) did not come to the receiver with a signature that it accepts."),
        ({"crm": (1, 2)}, "user.created (evt_1) came to the receiver twice, expected once."),
        ({"analytics": ()}, "user.created (evt_1) is in no batch that Segment took."),
        ({"analytics": (1, 2)}, "user.created (evt_1) came to Segment twice, expected once."),
        ({"oncall": (1,)}, "user.created (evt_1) went to oncall, which does not ask for it."),
        ({"audit": ()}, "user.created (evt_1) is not in the file."),
        ({"audit": (1, 4)}, "user.created (evt_1) is in the file twice, expected once."),
        (
            {"sinks": ("analytics", "audit")},
            "user.created (evt_1) did not come to the receiver with a signature that it accepts.",
        ),
    ],
)
def test_a_place_that_an_event_is_missing_from_is_named(fault: Mapping, sentence):
    """An event that is not where it should be exactly once, or where it should not, is named with that place."""
    assert list(evidence._places(trail(**fault))) == [sentence]
    assert list(evidence._places(trail())) == []


def test_an_event_that_is_in_no_slack_message_is_named():
    """So it is where Slack should have told of it, with why it waits there."""
    waiting = trail().at["crm"].delivery._replace(state=DeliveryState.PENDING, attempts=())
    disabled = SinkStatus("oncall", disabled=Disabled(0.0, "hooks.slack.com is gone"))
    theft = trail("session.token_theft_detected")
    theft.at["oncall"] = Arrival("oncall", waiting, (), disabled)

    assert list(evidence._places(theft)) == [
        "session.token_theft_detected (evt_1) is in no Slack message; waits: the sink is disabled: hooks.slack.com is gone."
    ]
    assert theft.settled


def test_an_outage_that_wastes_attempts_is_named():
    """The way through the outage is an attempt that failed and one that did not, and a probe that failed between them."""
    away = Breaker(open_since=0.0, failing_since=0.0, probe_at=0.0, probes=1, reason="refused")

    assert list(evidence._outage([trail(attempts=2)], away)) == []
    assert list(evidence._outage([trail(attempts=3)], away)) == [
        "user.created (evt_1) had 3 attempts, expected at most 2: the outage wasted some."
    ]
    assert list(evidence._outage([trail(attempts=2)], None)) == [
        "No probe failed while the receiver was down: that it is away was not found out."
    ]
    assert list(evidence._outage([trail()], away)) == [
        "No event arrived after an attempt that failed: the way through the outage was not seen."
    ]


def places(posts: Sequence[Post] = (), **more: object) -> SimpleNamespace:
    """What has come there."""
    return SimpleNamespace(
        receiver=SimpleNamespace(posts=posts),
        slack=SimpleNamespace(requests=more.get("messages", ()), refusals=more.get("refusals", ())),
        segment=SimpleNamespace(requests=more.get("batches", ()), dropped=more.get("dropped", ())),
    )


def test_a_request_that_was_refused_is_named():
    """Each reason of the receiver's, of Slack's and of Segment's is told once, with how often it was given."""
    posts = [Post("/", {}, b"", "too old"), Post("/", {}, b""), Post("/", {}, b"", "too old")]
    dropped = [("no_user_anon_id", {})]

    assert list(evidence._refusals(places(posts, refusals=["no_text"], dropped=dropped))) == [
        "The receiver refused a request twice: too old.",
        "Slack refused a message once: no_text.",
        "Segment dropped a message once: no_user_anon_id.",
    ]


def test_a_message_is_shown_as_a_person_reads_it():
    """Slack's markup becomes what it stands for, a field's label and value are side by side, and nothing is wider than 80."""
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": "*Theft* of `a&lt;b` " + "word " * 20}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*From*\n`127.0.0.1`"}]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "<!date^0^{date_short}|1970> · `evt_1`"}]},
    ]
    shown = as_message(Message("oncall", "1.0", "fallback", blocks, None, {})).splitlines()

    assert shown[2].startswith("│ Theft of a<b word word")
    assert [*shown[:2], *shown[-4:]] == ["#oncall", "│", "│", "│ From       127.0.0.1", "│", "│ 1970 · evt_1"]
    assert max(map(len, shown)) <= 80


def test_an_event_that_did_not_happen_is_named():
    """An expected event that is not there, and one that nobody expected, both have a sentence."""
    seen = [trail(event_type, body=b'{"data": {"reason": "wrong_credentials"}}') for event_type in EXPECTED]

    assert list(evidence._events(seen)) == []
    assert list(evidence._events(seen[1:])) == ["user.created happened never, expected once."]
    assert list(evidence._events([*seen, trail("user.deleted")])) == ["user.deleted happened once, expected never."]


def test_a_wrong_reason_is_named():
    """A failed sign-in that gives another reason is not taken for the expected one."""
    failed = trail("user.sign_in.failed", body=b'{"data": {"reason": "other"}}')

    assert "user.sign_in.failed gives the reason 'other', expected 'wrong_credentials'." in evidence._events([failed])


def test_a_secret_is_found_wherever_it_is(tmp_path):
    """A password in a file, in the body or in a header of a request is named with its place, and not repeated."""
    (tmp_path / "audit.jsonl").write_text('{"password": "hunter2"}')
    posts = [Post("/", {"webhook-id": "evt_1"}, b"hunter2"), Post("/", {"webhook-id": "evt_2", "x": "hunter2"}, b"")]
    came = places(
        posts,
        messages=[Request("/services/its-own", {}, b"{}"), Request("/", {}, b"hunter2")],
        batches=[Received("POST /v1/batch HTTP/1.1", {}, b"hunter2")],
    )
    stage = SimpleNamespace(toml=tmp_path / "supertokens-events.toml", places=came)

    assert list(
        evidence._secrets(stage, {"Ada's password": "hunter2", "the cookie": "st-1", "Slack's": "its-own"})
    ) == [
        "audit.jsonl holds Ada's password.",
        "a request to the receiver, evt_1 holds Ada's password.",
        "a request to the receiver, evt_2 holds Ada's password.",
        "request 2 to Slack holds Ada's password.",
        "request 1 to Segment holds Ada's password.",
    ]
