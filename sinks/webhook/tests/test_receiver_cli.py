"""`webhook keygen`, `webhook verify` and `listen`, as a user runs them."""

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest
from click.testing import CliRunner

from supertokens_events.cli import cli
from supertokens_events.testing import sample_event
from supertokens_events_webhook.signing import key_from, new_key_pair, new_secret, signature_header, verifier_from

SECRET = new_secret()
PROGRAM = [sys.executable, "-m", "supertokens_events"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("WEBHOOK_KEY", SECRET)
    monkeypatch.delenv("SUPERTOKENS_EVENTS_DISABLE", raising=False)


def run(*arguments, stdin=None):
    """In this process; what it does not handle itself is raised here."""
    return CliRunner().invoke(cli, arguments, input=stdin, catch_exceptions=False)


def signed(event, *, secret=SECRET, timestamp=None):
    now = int(time.time()) if timestamp is None else timestamp
    signature = signature_header([key_from(secret)], event.id, now, event.to_bytes())
    return {"webhook-id": event.id, "webhook-timestamp": str(now), "webhook-signature": signature}


def captured(event, *, first="", newline="\n", **options):
    """A request as a file has it."""
    lines = [first] * bool(first) + [f"{name}: {value}" for name, value in signed(event, **options).items()]
    return (newline.join(lines) + newline * 2).encode() + event.to_bytes()


# webhook keygen


def test_keygen_prints_a_secret():
    """One line, which is a key."""
    done = run("webhook", "keygen")

    assert (done.exit_code, done.stderr) == (0, "")
    assert key_from(done.stdout.strip()).version == "v1"


def test_keygen_prints_a_pair():
    """The secret for the sender, the public key for the receiver, and they belong together."""
    done = run("webhook", "keygen", "--asymmetric")
    as_json = json.loads(run("webhook", "keygen", "--asymmetric", "--json").stdout)

    (name, secret), (public_name, public) = (line.split() for line in done.stdout.splitlines())
    assert (name, public_name) == ("secret", "public")
    assert key_from(secret).public == verifier_from(public)
    assert key_from(as_json["secret"]).public == verifier_from(as_json["public"])


# webhook verify


@pytest.mark.parametrize("first", ["", "POST /hooks HTTP/1.1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_verify_takes_a_request_as_it_was_captured(tmp_path, first, newline):
    """With or without its first line, with either kind of line ends, of any age."""
    event = sample_event(data={"text": "one\n\ntwo"})
    (tmp_path / "request").write_bytes(captured(event, first=first, newline=newline, timestamp=1_700_000_000))

    done = run("webhook", "verify", str(tmp_path / "request"), "--secret-env", "WEBHOOK_KEY")

    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Verified: user.created {event.id}, signed ")


def test_verify_reads_stdin_and_a_key_file(tmp_path):
    """A file may have several keys, and `--json` prints the event."""
    event, pair = sample_event(), new_key_pair()
    (tmp_path / "keys").write_text(f"{new_secret()}\n{pair.public}\n")

    done = run(
        *("webhook", "verify", "-", "--secret-file", str(tmp_path / "keys"), "--json"),
        stdin=captured(event, secret=pair.to_text()),
    )

    said = json.loads(done.stdout)
    assert (said["verified"], said["id"], said["event"]["type"]) == (True, event.id, "user.created")


@pytest.mark.parametrize(
    ("change", "arguments", "reason"),
    [
        (lambda raw: raw + b" ", [], "not_signed"),
        (lambda raw: raw.replace(b"webhook-id", b"x-id"), [], "missing_header"),
        (lambda raw: raw, ["--tolerance", "300"], "too_old"),
    ],
)
def test_verify_says_why_not(tmp_path, change, arguments, reason):
    """The reason and a sentence, exit code 1, and no key."""
    (tmp_path / "request").write_bytes(change(captured(sample_event(), timestamp=1_700_000_000)))
    command = ["webhook", "verify", str(tmp_path / "request"), "--secret-env", "WEBHOOK_KEY", *arguments]

    done, as_json = run(*command), run(*command, "--json")

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Not verified ({reason}): ")
    assert (as_json.exit_code, json.loads(as_json.stdout)["reason"]) == (1, reason)
    assert SECRET[6:] not in done.stderr + as_json.stdout


def test_verify_takes_what_is_no_event():
    """A body in another format is verified all the same, and said to be one."""
    now = int(time.time())
    signature = signature_header([key_from(SECRET)], "evt_1", now, b"[]")
    raw = f"webhook-id: evt_1\nwebhook-timestamp: {now}\nwebhook-signature: {signature}\n\n[]"

    done = run("webhook", "verify", "-", "--secret-env", "WEBHOOK_KEY", stdin=raw)

    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("Verified: evt_1, whose body is not an event as it is stored, signed ")


@pytest.mark.parametrize(
    ("raw", "arguments", "sentence"),
    [
        (b"x", ["--secret-env", "WEBHOOK_KEY"], "The file has no empty line between the headers and the body."),
        (b"\n\n", ["--secret-env", "NO_SUCH_KEY"], "The environment variable NO_SUCH_KEY is not set, or empty."),
        (b"\n\n", ["--secret-file", "no/such/file"], "no/such/file: cannot be read: No such file or directory."),
    ],
)
def test_a_mistake_is_a_sentence(raw, arguments, sentence):
    """Exit code 2, and no traceback."""
    done = run("webhook", "verify", "-", *arguments, stdin=raw)

    assert (done.exit_code, done.stderr.strip()) == (2, sentence)


def test_a_key_that_is_none_is_not_repeated(tmp_path):
    """The sentence says where it came from and what is wrong."""
    (tmp_path / "key").write_text("whsec_aHVudGVyMg==")

    done = run("webhook", "verify", "-", "--secret-file", str(tmp_path / "key"), stdin="a: b\n\n{}")

    assert done.exit_code == 2
    assert done.stderr.endswith("key: expected 'whsec_' and the base64 of 24 to 64 bytes, got 7 bytes.\n")


# listen


@contextmanager
def listening(*arguments):
    """The command, once it listens: its URL, what it said, and how to end it."""
    process = subprocess.Popen(
        [*PROGRAM, "listen", "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if line.startswith("Listening at "):
                break
        url = said[-1].split()[2].rstrip(";") if said else ""
        yield SimpleNamespace(url=url, said="".join(said), process=process)
    finally:
        process.kill()
        process.communicate()


def ended(place, with_signal=signal.SIGINT):
    """What it has printed when it is told to end."""
    place.process.send_signal(with_signal)
    stdout, stderr = place.process.communicate(timeout=20)
    return place.process.returncode, stdout, stderr


def post(place, event, **options):
    return httpx.post(place.url, content=event.to_bytes(), headers=signed(event, **options), trust_env=False)


def test_listen_prints_what_comes():
    """Each event with its id, its sequence and its data, a repeat as one; what is not verified with the reason."""
    event = sample_event(data={"city": "Zürich"})
    with listening("--secret-env", "WEBHOOK_KEY") as place:
        statuses = [post(place, event).status_code, post(place, event).status_code]
        statuses.append(post(place, event, secret=new_secret()).status_code)
        code, stdout, stderr = ended(place)

    assert statuses == [204, 204, 400]
    assert (code, stderr) == (0, "")
    first, second, third = (line[9:] for line in stdout.splitlines() if line[2:3] == ":")
    assert first == "user.created verified → 204"
    assert second == "user.created verified, again → 204"
    assert third.startswith("not verified → 400: No signature of the request is by one of our keys")
    assert f"  id         {event.id}\n" in stdout
    assert '  data       {"city": "Zürich"}\n' in stdout
    assert SECRET[6:] not in stdout + place.said


def test_listen_makes_a_secret_and_says_what_to_configure(tmp_path, monkeypatch):
    """Without a key it makes one; the lines that it prints are a configuration that delivers to it."""
    with listening("--json") as place:
        toml = place.said[place.said.index("[sinks.local]") : place.said.index("Listening")]
        (tmp_path / "supertokens-events.toml").write_text(f'[outbox]\nurl = "sqlite:events.db"\n{toml}')
        monkeypatch.chdir(tmp_path)
        event_id = json.loads(run("send", "user.created", "--json").stdout)["id"]
        done = run("dispatch", "--until-empty")
        code, stdout, _ = ended(place, signal.SIGTERM)

    (received,) = map(json.loads, stdout.splitlines())
    assert (code, done.exit_code) == (0, 0), done.stderr
    assert (received["verified"], received["status"], received["event"]["id"]) == (True, 204, event_id)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["--status", "410"], 410), (["--fail-rate", "1"], 500), (["--status", "429", "--fail-rate", "0"], 429)],
)
def test_listen_fails_as_it_is_told(arguments, status):
    """The status is what a sink's retries are tried with; the event is printed all the same."""
    with listening("--secret-env", "WEBHOOK_KEY", *arguments) as place:
        assert post(place, sample_event()).status_code == status
        assert f"verified → {status}" in ended(place)[1]


def test_listen_waits_as_it_is_told():
    """The answer comes after the delay."""
    with listening("--secret-env", "WEBHOOK_KEY", "--delay", "0.3") as place:
        began = time.monotonic()
        post(place, sample_event())

        assert time.monotonic() - began >= 0.3


def test_listen_says_when_the_port_is_taken():
    """One sentence, exit code 1."""
    with listening("--secret-env", "WEBHOOK_KEY") as place:
        port = place.url.rstrip("/").rpartition(":")[2]

        done = run("listen", "--port", port, "--secret-env", "WEBHOOK_KEY")

    assert done.exit_code == 1
    assert done.stderr.startswith(f"Cannot listen at 127.0.0.1, port {port}: ")
    assert "Traceback" not in done.stderr


def test_a_body_that_is_too_large_is_not_kept():
    """413, and it goes on."""
    with listening("--secret-env", "WEBHOOK_KEY") as place:
        answer = httpx.post(place.url, content=b"x" * 1_100_000, trust_env=False)

        assert answer.status_code == 413
        assert post(place, sample_event()).status_code == 204
