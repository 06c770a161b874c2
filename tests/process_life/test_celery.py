"""Celery's prefork pool: the app is loaded in the parent, tasks run in children that were forked from it."""

from __future__ import annotations

import signal

import pytest

from apps.life_kit import wait_for

CHILDREN, TASKS = 2, 6


SEND = f"from apps.life_celery import pay\nfor number in range({TASKS}): pay.delay(number)"


@pytest.mark.parametrize(
    ("life_on_each", "at_import"), [("sqlite", "start"), ("postgres", "nothing")], indirect=["life_on_each"]
)
def test_tasks(life_on_each, at_import):
    """What tasks emit in the children is stored and delivered, each event once, also when the parent has started the dispatcher
    as it loaded the app. A child begins without a thread of the parent's and without its outbox. SIGTERM ends it all cleanly.
    """
    life = life_on_each
    pool = ["--pool=prefork", f"--concurrency={CHILDREN}", "-Ofair", "-linfo", "--without-gossip", "--without-mingle"]
    worker = life.start("-m", "celery", "-A", "apps.life_celery:celery", "worker", *pool, LIFE_AT_IMPORT=at_import)
    worker.until(r"\bready\.")
    assert life.start("-c", SEND).wait() == 0

    wait_for(lambda: len(life.stored()) == TASKS, worker)
    stored = life.all_delivered(worker)
    assert sorted(event.data["number"] for event in stored) == list(range(TASKS))
    assert set(life.received().values()) == {1}
    began = {event.data["pid"]: event.data["began"] for event in reversed(stored)}
    assert worker.pid not in began
    assert list(began.values()) == [{"threads": 1, "files": []}] * CHILDREN

    assert worker.end(signal.SIGTERM) == 0
    assert "Traceback" not in worker.said
    assert life.events.outbox.ledger() == []
