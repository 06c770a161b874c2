"""A Celery app whose tasks emit.

Its broker is a folder. The first tasks wait for each other, so that both children of the pool have some.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery

from apps.proc import outbox_files, threads
from supertokens_events import Events

CHILDREN = 2
PATIENCE = 30.0  # seconds

queue = Path("queue").absolute()
queue.mkdir(exist_ok=True)
celery = Celery("life", broker="filesystem://")
celery.conf.update(
    broker_transport_options={"data_folder_in": str(queue), "data_folder_out": str(queue), "polling_interval": 0.05},
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)
events = Events.from_toml()
if os.environ.get("LIFE_AT_IMPORT") == "start":
    events.start()


@celery.task
def pay(number: int) -> None:
    """Emit an event that says who did it, and with what it began."""
    began = {"threads": threads(os.getpid()), "files": sorted(outbox_files(os.getpid(), Path.cwd()))}
    _meet()
    event = events.emit_sync("app.order.paid", data={"number": number, "pid": os.getpid(), "began": began})
    assert event.sequence is not None


def _meet() -> None:
    """Every child of the pool is at work."""
    Path(f"child-{os.getpid()}").touch()
    deadline = time.monotonic() + PATIENCE
    while len(list(Path().glob("child-*"))) < CHILDREN:
        assert time.monotonic() < deadline, "the other child has no task"
        time.sleep(0.01)
