"""What the core's tests share: a clock that is moved by hand, an outbox in a fresh folder, records of what was logged."""

import logging
import os
import threading

import pytest
from hypothesis import settings

from supertokens_events.config import CONFIG_VARIABLE
from supertokens_events.outbox import SqliteOutbox
from supertokens_events.plugins import DISABLE_VARIABLE, load_plugins
from supertokens_events.testing import FakeClock

# A slow machine is not a broken one: no deadline. What is tried is the same in every run.
settings.register_profile("quick", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("quick")


FORKING = threading.Lock()  # what is installed beside us may not stand two at once


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """What is set or installed around the tests changes nothing in them."""
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.delenv(DISABLE_VARIABLE, raising=False)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def outbox(tmp_path, clock):
    outbox = SqliteOutbox(tmp_path / "events.db", clock=clock)
    yield outbox
    outbox.close()


@pytest.fixture
def make_plugins():
    """Plugins from objects alone: what happens to be installed stays out."""
    return lambda *objects: load_plugins(objects, disable="*")


@pytest.fixture
def logged(caplog):
    """The text of everything that was logged by us, so far."""
    caplog.set_level(logging.DEBUG, logger="supertokens_events")
    return lambda: "\n".join(record.getMessage() for record in caplog.records)


@pytest.fixture
def in_child():
    """Call a function in a forked child and return what it returned, as text; an exception's text if it raised."""

    def call(function):
        reading, writing = os.pipe()
        with FORKING:
            pid = os.fork()
        if pid == 0:
            try:
                answer = str(function())
            except BaseException as error:
                answer = repr(error)
            os.write(writing, answer.encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as pipe:
            answer = pipe.read()
        os.waitpid(pid, 0)
        return answer

    return call
