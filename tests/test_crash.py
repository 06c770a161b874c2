"""Kept once stored: what was committed when an auth call returned is delivered, whatever becomes of the process."""

from __future__ import annotations

import json

from apps.processes import in_process, run_python

ROUNDS = 50

CONFIGURATION = """
[outbox]
url = "sqlite:events.db"

[dispatcher]
run = "off"

[sinks.audit]
type = "file"
events = ["user.created"]
path = "{folder}/audit.jsonl"
"""


def test_a_killed_app_loses_nothing(core, tmp_path):
    """An app is killed 50 times, each time right after its answer; one ``dispatch --until-empty`` delivers all 50 users."""
    core.reset()
    (tmp_path / "supertokens-events.toml").write_text(CONFIGURATION.format(folder=tmp_path))

    users = in_process("apps.crash", core.url, tmp_path, ROUNDS)
    done = run_python("-m", "supertokens_events", "dispatch", "--until-empty", cwd=tmp_path)

    delivered = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert done.returncode == 0, done.stderr
    assert len(set(users)) == ROUNDS
    assert sorted(event["user_id"] for event in delivered) == sorted(users)
    assert {event["type"] for event in delivered} == {"user.created"}
    assert len({event["id"] for event in delivered}) == ROUNDS
