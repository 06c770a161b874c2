"""`prune`."""

from __future__ import annotations

import pytest


@pytest.fixture
def delivered(place):
    """A place where an event about ada and one about bob were delivered."""
    for user in ("ada", "bob"):
        place.run("send", "user.created", "--user-id", user)
    place.run("dispatch", "--until-empty")
    return place


def keep(place, **ages):
    lines = "\n".join(f'{name} = "{age}"' for name, age in ages.items())
    place.file.write_text(f"{place.file.read_text()}\n[outbox.retention]\n{lines}\n")


def test_prune(delivered):
    """What is older than the configuration says is deleted and counted; the rest stays."""
    keep(delivered, events="0s", deliveries="0s", attempts="0s")

    assert delivered.lines("prune") == [{"events": 2, "deliveries": 2, "attempts": 2, "ledger": 0, "dry_run": False}]
    assert delivered.lines("events") == []


def test_prune_dry_run(delivered):
    """What would go is said, by table, and nothing goes; then as much does."""
    keep(delivered, events="0s", deliveries="0s")

    assert delivered.lines("prune", "--dry-run") == [
        {"events": 2, "deliveries": 2, "attempts": 2, "ledger": 0, "dry_run": True}
    ]
    said = delivered.run("prune", "--dry-run").stdout
    assert said == "would delete: 2 events, 2 deliveries, 2 attempts, 0 lines of the ledger\n"
    assert len(delivered.lines("events")) == 2
    assert delivered.run("prune").stdout == said.replace("would delete", "deleted")


def test_prune_what_is_young(delivered):
    """Nothing is old enough: nothing goes, and that is said."""
    result = delivered.run("prune")

    assert result.stdout == "deleted: 0 events, 0 deliveries, 0 attempts, 0 lines of the ledger\n"
    assert len(delivered.lines("events")) == 2
