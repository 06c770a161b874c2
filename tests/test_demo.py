"""The demo tells the whole story and exits 0; what is missing it names, and exits 1."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from demo import evidence
from demo.evidence import EXPECTED, Arrival
from demo.receiver import Post
from supertokens_events.outbox import Attempt, Breaker, DeliveryState, StoredDelivery, StoredEvent

ROOT = Path(__file__).parent.parent
ID = re.compile(r"evt_[0-9A-Z]{26}")
DOWN = "3. The receiver goes down, and Ada signs in"
STILL_DOWN = "4. It is still down, and Ada asks for a password reset"
BACK = "5. The receiver comes back"
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
    return demo("--receiver-secret", "wrong")


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
        ("POST /auth/signin → 200 WRONG_CREDENTIALS_ERROR", ["user.sign_in.failed"]),
        ("POST /auth/signin → 200 OK", ["user.signed_in", "session.created"]),
        ("POST /auth/user/password/reset/token → 200 OK", ["password.reset.requested"]),
        (None, ["user.signed_in", "session.created", "password.reset.requested"]),
        ("POST /auth/session/refresh → 200", []),
        ("POST /auth/signout → 200 OK", ["session.revoked"]),
    ]


def test_what_waits_is_shown_with_its_reason_and_next_try(run):
    """While the receiver is away, each event of the outage says why it waits and when it or a probe is tried again. The
    first finds out by an attempt of its own, the last, stored when that was known, by a probe.
    """
    steps = parts(run.stdout)
    first, last = steps[DOWN], steps[STILL_DOWN]
    waits = r"… (attempt 1|waits): 127.0.0.1:\d+ .*\n +next (attempt|probe) (?:in \d\.\d s|now)"

    assert [len(ID.findall(step)) for step in (first, last)] == [2, 1]
    assert len(re.findall(waits, first)) == 2
    assert re.findall(waits, first)[0][0] == "attempt 1"
    assert re.findall(waits, last) == [("waits", "probe")]


def test_the_outage_wastes_no_attempt(run):
    """Before the receiver returns, the table says how many attempts each event has used up, and why it waits; however
    many probes have failed, that is at most one, and none for what came later.
    """
    back = parts(run.stdout)[BACK]
    table = re.findall(r"^ +(\S+\.\S+) +(\d) +127.0.0.1:\d+ \S", back, re.MULTILINE)

    assert [event_type for event_type, _ in table] == list(EXPECTED[3:6])
    attempts = [int(used) for _, used in table]
    assert (attempts[0], attempts[2]) == (1, 0)
    assert attempts[1] in (0, 1), "it was on its way when the first one failed, or it was not"
    assert re.search(r"webhook crm   … 127.0.0.1:\d+ .*\n +failing for \d+\.\d s, next probe (in \d\.\d s|now)\n", back)


def test_what_waited_arrives_under_the_same_id(run):
    """The ids that come in once the receiver is back are those of the outage, each with one attempt more than it had, and
    with how soon that was.
    """
    steps = parts(run.stdout)
    during = [*ID.findall(steps[DOWN]), *ID.findall(steps[STILL_DOWN])]
    before = re.findall(r"^ +\S+\.\S+ +(\d) +127", steps[BACK], re.MULTILINE)
    after = re.findall(
        r"event +\S+ +(\S+)\n.* ✓ signature verified, attempt (\d), \d+\.\d s after its return$",
        steps[BACK],
        re.MULTILINE,
    )

    assert len(during) == 3
    assert [event_id for event_id, _ in after] == during
    assert [int(attempt) for _, attempt in after] == [int(used) + 1 for used in before]


def test_the_table_has_every_event_once(run):
    """The table at the end lists the seven events in order, each verified and each with its own line of the file."""
    table = re.findall(r"^ +(\S+) +✓ verified, attempt \d +✓ line (\d)$", run.stdout, re.MULTILINE)

    assert table == [(event_type, str(line)) for line, event_type in enumerate(EXPECTED, start=1)]


def test_the_output_is_narrow_and_plain(run):
    """Without a terminal the output has no control characters and, but for paths, at most 88 columns."""
    wide = [line for line in run.stdout.splitlines() if len(line) > 88 and os.sep + "kept" not in line]

    assert wide == []
    assert not re.search(r"[^\S\n ]|\x1b", run.stdout)


def test_the_commands_to_try_next_work(run, kept):
    """The files are kept where asked, and the commands that the demo ends with exit 0 on them."""
    commands = re.findall(
        r"^ {5}(export .*|.*supertokens-events (?:status|events|deliveries).*)$", run.stdout, re.MULTILINE
    )

    tried = subprocess.run(
        ["sh", "-ec", "\n".join(commands)], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60, check=False
    )

    assert len(commands) == 5
    assert tried.returncode == 0, tried.stderr
    assert tried.stdout.count("user.created") == 2
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
    assert re.findall(r"✗ (\S+) \(evt_", missing) == list(EXPECTED)
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

    before = " ".join((steps["1. Ada signs up"] + steps["2. Ada mistypes her password"]).split())
    assert len(re.findall(f"… {own} next attempt ", before)) == 3
    assert all(re.search(rf"; ({own}|{of_probes})\.$", sentence) for sentence in why)
    assert all(re.search(rf"; {of_probes}\.$", sentence) for sentence in why[3:])
    assert all("; waits: " in sentence for sentence in why[5:])
    assert re.search(r"The receiver refused a request \d+ times: No matching signature found\.", missing)
    assert "uses up no attempt" in steps[BACK]


def arrival(
    event_type: str = "user.created",
    *,
    verified: int = 1,
    lines: tuple[int, ...] = (1,),
    attempts: int = 1,
    **event: object,
) -> Arrival:
    """One that is as it should be, but for what is given."""
    stored = {"sequence": 1, "id": "evt_1", "tenant_id": None, "user_id": None, "correlation_id": None}
    stored |= {"type": event_type, "timestamp": "", "stored_at": 0.0, "body": b"{}"} | event
    attempt = Attempt(number=1, started_at=0.0, duration=0.0, outcome="delivered", reason=None, detail={})
    webhook = StoredDelivery(
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
    return Arrival(StoredEvent(**stored), webhook, verified, lines)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"verified": 0}, "user.created (evt_1) did not come to the receiver with a signature that it accepts."),
        ({"verified": 2}, "user.created (evt_1) came to the receiver twice, expected once."),
        ({"lines": ()}, "user.created (evt_1) is not in the file."),
        ({"lines": (1, 4)}, "user.created (evt_1) is in the file twice, expected once."),
    ],
)
def test_a_place_that_an_event_is_missing_from_is_named(fault: Mapping, sentence):
    """An event that is not at the receiver or in the file exactly once is named with that place."""
    assert list(evidence._places(arrival(**fault))) == [sentence]
    assert list(evidence._places(arrival())) == []


def test_an_outage_that_wastes_attempts_is_named():
    """The way through the outage is an attempt that failed and one that did not, and a probe that failed between them."""
    away = Breaker(open_since=0.0, failing_since=0.0, probe_at=0.0, probes=1, reason="refused")

    assert list(evidence._outage([arrival(attempts=2)], away)) == []
    assert list(evidence._outage([arrival(attempts=3)], away)) == [
        "user.created (evt_1) had 3 attempts, expected at most 2: the outage wasted some."
    ]
    assert list(evidence._outage([arrival(attempts=2)], None)) == [
        "No probe failed while the receiver was down: that it is away was not found out."
    ]
    assert list(evidence._outage([arrival()], away)) == [
        "No event arrived after an attempt that failed: the way through the outage was not seen."
    ]


def test_a_request_that_the_receiver_refused_is_named():
    """Each reason of the receiver's is told once, with how often it gave it."""
    posts = [Post("/", {}, b"", "too old"), Post("/", {}, b""), Post("/", {}, b"", "too old")]

    assert list(evidence._refusals(SimpleNamespace(receiver=SimpleNamespace(posts=posts)))) == [
        "The receiver refused a request twice: too old."
    ]


def test_an_event_that_did_not_happen_is_named():
    """An expected event that is not there, and one that nobody expected, both have a sentence."""
    seen = [arrival(event_type, body=b'{"data": {"reason": "wrong_credentials"}}') for event_type in EXPECTED]

    assert list(evidence._events(seen)) == []
    assert list(evidence._events(seen[1:])) == ["user.created happened never, expected once."]
    assert list(evidence._events([*seen, arrival("user.deleted")])) == ["user.deleted happened once, expected never."]


def test_a_wrong_reason_is_named():
    """A failed sign-in that gives another reason is not taken for the expected one."""
    failed = arrival("user.sign_in.failed", body=b'{"data": {"reason": "other"}}')

    assert "user.sign_in.failed gives the reason 'other', expected 'wrong_credentials'." in evidence._events([failed])


def test_a_secret_is_found_wherever_it_is(tmp_path):
    """A password in a file, in the body or in a header of a request is named with its place, and not repeated."""
    (tmp_path / "audit.jsonl").write_text('{"password": "hunter2"}')
    posts = [Post("/", {"webhook-id": "evt_1"}, b"hunter2"), Post("/", {"webhook-id": "evt_2", "x": "hunter2"}, b"")]
    stage = SimpleNamespace(toml=tmp_path / "supertokens-events.toml", receiver=SimpleNamespace(posts=posts))

    assert list(evidence._secrets(stage, {"Ada's password": "hunter2", "the cookie": "st-1"})) == [
        "audit.jsonl holds Ada's password.",
        "a request to the receiver, evt_1 holds Ada's password.",
        "a request to the receiver, evt_2 holds Ada's password.",
    ]
