"""A bad day, from its beginning to its end, with nothing but the command line."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from click.testing import CliRunner
from werkzeug import Response

from supertokens_events.cli import cli
from supertokens_events_webhook.receiver import Webhook
from supertokens_events_webhook.receiver.deduplicate import InMemoryDeduplicator

SECRET = "whsec_" + "c2VjcmV0" * 4
CONFIGURATION = """
[outbox]
url = "sqlite:events.db"

[sinks.crm]
type           = "webhook"
events         = ["user.*"]
url            = "{url}"
secret         = "{secret}"
allow_http     = true
allow_networks = ["127.0.0.0/8"]
retry          = {{ schedule = [] }}
"""


class Receiver:
    """Verifies, deduplicates, and notes what it handles; a bug of its own may have it answer 500, before or after that."""

    def __init__(self):
        self.requests = Counter()
        self.handled = []
        self.breaks = lambda _event: None
        self._webhook = Webhook(SECRET)
        self._seen = InMemoryDeduplicator()

    def __call__(self, request):
        event = self._webhook.verify(request.headers, request.get_data())
        self.requests[event.id] += 1
        if self.breaks(event) == "before":
            return Response(status=500)
        with self._seen.once(event.id) as first:
            if first:
                self.handled.append(event.id)
        return Response(status=500 if self.breaks(event) == "after" else 204)


@pytest.fixture
def receiver(httpserver, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    receiver = Receiver()
    httpserver.expect_request("/").respond_with_handler(receiver)
    text = CONFIGURATION.format(url=httpserver.url_for("/"), secret=SECRET)
    (tmp_path / "supertokens-events.toml").write_text(text)
    return receiver


def run(*arguments, code=0):
    """What a command prints for a person."""
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout


def lines(*arguments):
    """What it prints for a program."""
    return [json.loads(line) for line in run(*arguments, "--json").splitlines()]


def send(number):
    """So many events; their ids."""
    return [lines("send", "user.created", "--user-id", f"user{n}")[0]["id"] for n in range(number)]


def test_a_bad_day(receiver):
    """A receiver breaks and deliveries die; the operator sees it, understands it, repairs it, counts, replays: the receiver has
    every event exactly once after its own deduplication, those too that it had handled before it failed.
    """
    before = send(3)
    run("dispatch", "--until-empty")
    assert sorted(receiver.handled) == before

    # It breaks: half of the requests before anything was done, the others after everything was.
    receiver.breaks = lambda event: ["before", "after"][int(event.user_id[-1]) % 2]
    lost = send(6)
    run("dispatch", "--until-empty", code=1)

    # Something is wrong.
    (crm, *_) = lines("status")
    assert (crm["done"], crm["dead"], crm["pending"]) == (3, 6, 0)
    assert "answered 500" in run("status")
    assert [line["event_id"] for line in lines("dead", "list", "--sink", "crm")] == lost

    # What, and what now?
    said = run("why", lost[0])
    assert "(status 500)" in said
    assert f"'supertokens-events replay {lost[0]} --sink crm' sends it again" in said

    # Repaired; one first, to be sure.
    receiver.breaks = lambda _event: None
    assert run("replay", lost[0]) == "due again: 1 delivery\n"
    assert run("dispatch", "--until-empty").startswith("1 delivered")

    # The rest, counted first.
    assert run("replay", "--sink", "crm", "--since", "1h", "--dry-run") == "would be due again: 5 deliveries to crm\n"
    assert run("replay", "--sink", "crm", "--since", "1h", "--by", "ada") == "due again: 5 deliveries to crm\n"
    assert run("replay", "--sink", "crm", "--since", "1h", "--by", "bob").startswith("nothing to replay")
    assert run("dispatch", "--until-empty").startswith("5 delivered")

    # It is over.
    (crm, *_) = lines("status")
    assert (crm["done"], crm["dead"], crm["pending"]) == (9, 0, 0)
    assert sorted(receiver.handled) == sorted(before + lost)
    assert [receiver.requests[event_id] for event_id in before + lost] == [1] * 3 + [2] * 6
    assert "by ada" in run("why", lost[1])
