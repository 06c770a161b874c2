"""A fork while a thread of ours imports: the child must not wait for that import for ever."""

from __future__ import annotations

import pytest

AT_THE_START = """
import os, signal, sys, time
signal.alarm(60)
from supertokens_events import Events

events = Events.from_toml()
events.start()
time.sleep(float(sys.argv[1]))
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    event = events.emit_sync("app.order.paid")
    import aiohttp, anyio
    anyio.run(anyio.sleep, 0)
    events.stop()
    os._exit(0 if event.sequence else 1)
print("ended", os.waitpid(pid, 0)[1])
events.stop()
"""

THE_CATALOG = """
import os, signal, sys, threading
signal.alarm(60)
from supertokens_events.catalog import builtin_catalog

class Slow:
    begun, go_on = threading.Event(), threading.Event()

    def find_spec(self, name, path=None, target=None):
        if name == "supertokens_events.catalog.user":
            self.begun.set()
            self.go_on.wait(30)

sys.meta_path.insert(0, Slow())
catalog = builtin_catalog()
threading.Thread(target=catalog.get, args=["user.created"]).start()
Slow.begun.wait(30)
threading.Timer(0.3, Slow.go_on.set).start()
pid = os.fork()
if pid == 0:
    signal.alarm(5)
    os._exit(0 if catalog.get("user.created").event_type == "user.created" else 1)
print("ended", os.waitpid(pid, 0)[1])
"""


@pytest.mark.parametrize("moment", [0, 0.02, 0.06, 0.15])
def test_right_after_the_start(life, moment):
    """A child that is forked while the dispatcher's thread begins, and imports half of what it needs, stores its events, and
    its app can import the same.
    """
    process = life.start("-c", AT_THE_START, moment)

    assert process.wait() == 0, process.said
    assert process.said == "ended 0\n"
    assert len(life.stored()) == 1


def test_the_catalog(life):
    """A child that is forked while another thread loads a part of the catalog for the first time can load it, too."""
    process = life.start("-c", THE_CATALOG)

    assert process.wait() == 0
    assert process.said == "ended 0\n"


WHILE_A_HOOK_IMPORTS = """
import os, signal, sys, threading, types
signal.alarm(60)
from supertokens_events import Events, hookimpl

class Slow:
    begun, go_on = threading.Event(), threading.Event()

    def find_spec(self, name, path=None, target=None):
        if name == "tabnanny":
            self.begun.set()
            self.go_on.wait(30)

sys.meta_path.insert(0, Slow())

class Plugin:
    @hookimpl
    def enrich_event(self, event):
        import tabnanny

events = Events.from_toml(plugins=[Plugin()])
emitting = threading.Thread(target=events.emit_sync, args=["app.order.paid"])
emitting.start()
Slow.begun.wait(30)
threading.Timer(0.3, Slow.go_on.set).start()
pid = os.fork()
if pid == 0:
    signal.alarm(10)
    event = events.emit_sync("app.order.paid")
    os._exit(0 if event.sequence else 1)
print("ended", os.waitpid(pid, 0)[1])
emitting.join()
events.stop()
"""


def test_a_hook(life):
    """Nor is the child's own thread stuck when the parent's was in a hook that imports something."""
    process = life.start("-c", WHILE_A_HOOK_IMPORTS)

    assert process.wait() == 0, process.said
    assert process.said == "ended 0\n"
    assert len(life.stored()) == 2
