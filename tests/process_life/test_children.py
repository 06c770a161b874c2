"""Children of a process that stores and delivers: by every start method of ``multiprocessing``, and as uWSGI forks and ends its
workers.
"""

from __future__ import annotations

import json

import pytest

from supertokens_events.outbox import DeliveryState

FORKED = ["fork", "atexit", "_exit"]


@pytest.mark.parametrize(
    ("life_on_each", "how"),
    [
        *(("sqlite", how) for how in [*FORKED, "spawn", "forkserver"]),
        *(("postgres", how) for how in ["fork", "_exit", "spawn"]),
    ],
    indirect=["life_on_each"],
)
def test_children(life_on_each, how):
    """Whatever the children are made by and however they end, all that they and their parent emit is stored, and delivered at
    the latest by the next process, but for what a child that ended without a word holds until its lease ends. No thread of the
    parent's is in a child, none of its files is open there, and a child stores over connections of its own.
    """
    life = life_on_each
    process = life.start("-m", "apps.life_children", how)
    assert process.wait() == 0, process.said
    told = json.loads(process.said)
    children = told["children"]

    emitted = told["parent"] + [event_id for child in children for event_id in child["ids"]]
    assert sorted(event.id for event in life.stored()) == sorted(emitted)
    assert life.events.outbox.ledger() == []
    assert [child["began"]["files"] for child in children] == [[]] * len(children)
    if how in FORKED:
        assert [child["began"]["threads"] for child in children] == [1] * len(children)
    if "postgres" in str(life.events.outbox):
        assert all(child["own_sockets"] for child in children)
        assert not any(set(child["own_sockets"]) & set(told["sockets"]) for child in children)

    assert life.start("-m", "supertokens_events", "dispatch", "--until-empty").wait() == 0
    pending = life.events.outbox.deliveries(state=DeliveryState.PENDING)
    held = {delivery.event_id for delivery in pending}
    assert life.received().keys() | held == set(emitted)
    assert "postgres" in str(life.events.outbox) or not held  # in a file only the parent leads
