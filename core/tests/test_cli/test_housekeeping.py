"""`prune` and `erase`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from supertokens_events.cli import housekeeping


@pytest.fixture
def delivered(place):
    """A place where an event about ada and one about bob were delivered."""
    for user in ("ada", "bob"):
        place.run("send", "user.created", "--user-id", user)
    place.run("dispatch", "--until-empty")
    return place


@pytest.fixture
def terminal(monkeypatch):
    """Somebody sits there, and says what is given."""
    asked = []

    def says(answer):
        monkeypatch.setattr(housekeeping, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
        monkeypatch.setattr(housekeeping.click, "confirm", lambda question, **_: asked.append(question) or answer)
        return asked

    return says


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


def test_erase(delivered):
    """The payloads that name the user are gone, in the outbox; the skeletons and all others stay."""
    assert delivered.lines("erase", "ada", "--yes") == [{"events": 1, "deliveries": 0}]

    ada, bob = delivered.lines("events")
    assert (ada["user_id"], "data" in ada) == ("ada", False)
    assert (bob["user_id"], "data" in bob) == ("bob", True)


def test_erase_what_waits(place):
    """What has not gone out does not go out any more."""
    place.run("send", "user.created", "--user-id", "ada")

    result = place.run("erase", "ada", "--yes")

    assert result.stdout == "erased: 1 payload; 1 delivery that had not gone out will not\n"
    (delivery,) = place.lines("deliveries")
    assert (delivery["state"], delivery["reason"]) == ("dead", "erased")


def test_erase_nobody(delivered):
    """A user whom no event names."""
    assert delivered.run("erase", "eve", "--yes").stdout.startswith("erased: 0 payloads; 0 deliveries")


def test_erase_without_a_terminal(delivered):
    """Without somebody to ask, it has to be said; nothing is erased."""
    result = delivered.run("erase", "ada")

    assert result.exit_code == 2
    assert "confirm it with --yes" in result.stderr
    assert all("data" in event for event in delivered.lines("events"))


@pytest.mark.parametrize(("answer", "left"), [(True, 1), (False, 2)])
def test_erase_asks(delivered, terminal, answer, left):
    """On a terminal the user is named in a question, and no is no."""
    asked = terminal(answer)

    result = delivered.run("erase", "ada\x1b[2J")
    assert "'ada\\x1b[2J'" in asked[0]
    result = delivered.run("erase", "ada")

    assert result.exit_code == (0 if answer else 1)
    assert sum("data" in event for event in delivered.lines("events")) == left


def test_erase_an_empty_id(place):
    """An empty id, as a script's unset variable makes it, is a mistake."""
    assert place.run("erase", "", "--yes").exit_code == 2
    assert place.lines("events") == []
