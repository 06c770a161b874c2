"""What can go wrong on our side: real locks and folders, and plugins as somebody may write them.

Each trouble begins where its ``with`` begins, before there are ``Events``, and is over where that ends.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio

from supertokens_events import hookimpl
from supertokens_events.capture import RECIPES
from supertokens_events.outbox import SqliteOutbox
from supertokens_events.sink import Delivered, Delivery, Sink

APPEND_TIMEOUT = 0.1
STORED = 7  # the story's events


@dataclass
class Trouble:
    """What the ledger must count and what the log must say of it (a pattern), and what it changes in the app.

    ``wait`` returns once it has happened. ``held``: deliveries are kept back, for a person to decide.
    """

    counted: Mapping[tuple[str, str], int]
    said: str
    tables: dict[str, Any] = field(default_factory=dict)
    plugins: Sequence[object] = ()
    wait: Callable[[], object] = lambda: None
    held: bool = False


Begin = Callable[[Path], AbstractContextManager[Trouble]]


# The outbox


@contextmanager
def unwritable_folder(folder: Path) -> Iterator[Trouble]:
    """The outbox lies in a folder where nobody can make a file, not even root."""
    (folder / "outbox").symlink_to("/sys")
    outbox = {"url": f"sqlite:///{folder}/outbox/events.db", "append_timeout": APPEND_TIMEOUT}
    yield Trouble({("late", ""): STORED}, "The outbox is not available; events wait in memory.", {"outbox": outbox})
    (folder / "outbox").unlink()
    (folder / "outbox").mkdir()


@contextmanager
def locked_outbox(folder: Path) -> Iterator[Trouble]:
    """Another connection holds the outbox for itself: a backup, a person with a shell."""
    outbox = SqliteOutbox(folder / "events.db")
    outbox.open()
    outbox.close()
    with locked_from_the_start(folder) as trouble:
        yield trouble


@contextmanager
def locked_from_the_start(folder: Path) -> Iterator[Trouble]:
    """The same, before the outbox was ever opened."""
    other = sqlite3.connect(folder / "events.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    said = "An event is not stored in time; it waits in memory."
    yield Trouble({("late", ""): STORED}, said, {"outbox": {"append_timeout": APPEND_TIMEOUT}})
    other.execute("ROLLBACK")
    other.close()


# Hooks


class Raising:
    @hookimpl
    def enrich_event(self, event: Any) -> Any:
        raise RuntimeError("enrich_event")

    @hookimpl
    def event_emitted(self, event: Any) -> None:
        raise RuntimeError("event_emitted")

    @hookimpl
    def delivery_settled(self, delivery: Any, outcome: Any) -> None:
        raise RuntimeError("delivery_settled")


class RaisingFilter:
    @hookimpl
    def filter_event(self, event: Any) -> bool:
        raise RuntimeError("filter_event")


@contextmanager
def hooks_raise(folder: Path) -> Iterator[Trouble]:
    """A plugin raises wherever it is asked or told something."""
    counted = {("enrich_failed", "Raising#1"): STORED, ("listener_failed", "Raising#1"): 2 * STORED}
    yield Trouble(counted, "A plugin's hook raised.", plugins=[Raising()])


@contextmanager
def filter_raises(folder: Path) -> Iterator[Trouble]:
    """A filter raises: the events are kept, and nothing leaves that it might have stopped."""
    yield Trouble(
        {("filter_failed", "RaisingFilter#1"): STORED}, "A plugin's hook raised.", plugins=[RaisingFilter()], held=True
    )


# Capture


@contextmanager
def capture_raises(folder: Path) -> Iterator[Trouble]:
    """A capture function of ours has a bug, in every function that is watched."""

    def handler() -> None:
        raise RuntimeError("a bug in a capture function")

    counted = {("capture_failed", "emailpassword.sign_in"): 2, ("capture_failed", "session.create_new_session"): 2}
    with extra_capture(handler):
        yield Trouble(counted, "A call could not be captured; it goes on as if nothing were there.")


@contextmanager
def extra_capture(handler: Callable[..., Any], **fields: Any) -> Iterator[None]:
    """``handler`` before all others, whatever any watched function comes to, in apps that start inside."""
    before = {recipe.id: list(recipe.captures) for recipe in RECIPES.values()}
    for recipe in RECIPES.values():
        watched = {(capture.name, capture.kind): capture for capture in recipe.captures}.values()
        always = {"handler": handler, "fields": fields, "matches": lambda _outcome: {}, "outside_api": False}
        recipe.captures[:0] = [replace(capture, **always) for capture in watched]
    try:
        yield
    finally:
        for recipe in RECIPES.values():
            recipe.captures[:] = before[recipe.id]


# Sinks


def second_sink(folder: Path, sink_type: str) -> dict[str, Any]:
    """A sink of this type beside the file, in an app that delivers by itself."""
    audit = {"type": "file", "path": str(folder / "audit.jsonl"), "events": ["*"]}
    return {"dispatcher": {"run": "thread"}, "sinks": {"audit": audit, "second": {"type": sink_type, "events": ["*"]}}}


class _Bad(Sink[Any]):
    """What goes wrong goes wrong once."""

    retry = Sink.retry.model_copy(update={"schedule": (0.0,) * 9, "jitter": 0.0})
    concurrency = 1
    happened: threading.Event

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Delivered]:
        return [Delivered()]

    def first_time(self) -> bool:
        first, _ = not self.happened.is_set(), self.happened.set()
        return first


class RaisingSink(_Bad):
    type = "raising"

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Delivered]:
        if self.first_time():
            raise RuntimeError("a bug in a sink")
        return await super().deliver(deliveries)


class HangingSink(_Bad):
    type = "hanging"
    deadline = 0.2

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Delivered]:
        if self.first_time():
            await anyio.sleep_forever()
        return await super().deliver(deliveries)


class UnopenableSink(_Bad):
    type = "unopenable"

    async def open(self) -> None:
        if self.first_time():
            raise RuntimeError("a bug in a sink")


def _bad_sink(sink_type: type[_Bad], reason: str, said: str) -> Begin:
    class Plugin:
        @hookimpl
        def register_sink_types(self) -> Sequence[type[Sink[Any]]]:
            return [sink_type]

    @contextmanager
    def begin(folder: Path) -> Iterator[Trouble]:
        sink_type.happened = happened = threading.Event()
        tables = second_sink(folder, sink_type.type)
        yield Trouble({(reason, "second"): 1}, said, tables, [Plugin()], wait=lambda: happened.wait(10))

    return begin


sink_raises = _bad_sink(RaisingSink, "sink_failed", "^A sink .*sink='second'")
sink_hangs = _bad_sink(HangingSink, "sink_failed", "^A sink .*sink='second'")
sink_cannot_be_opened = _bad_sink(UnopenableSink, "sink_unavailable", "^A sink .*sink='second'")

MENDED = """
from supertokens_events import hookimpl
from supertokens_events.sink import Delivered, Sink

class Mended(Sink):
    type = "broken"

    async def deliver(self, deliveries):
        return [Delivered()]

@hookimpl
def register_sink_types():
    return [Mended]
"""


@contextmanager
def package_does_not_import(folder: Path) -> Iterator[Trouble]:
    """A sink's package is installed in ``folder``, which is on ``sys.path``, and cannot be imported. In the end it is mended."""
    module = folder / "broken_sink.py"
    metadata = folder / "broken_sink-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-sink\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[supertokens_events]\nbroken = broken_sink\n")
    module.write_text("import a_module_that_is_missing\n")
    sys.modules.pop("broken_sink", None)
    yield Trouble({}, "A plugin could not be loaded; the others go on.", second_sink(folder, "broken"))
    module.write_text(MENDED)
    os.utime(module, (0, 0))  # no cached bytecode is of this age


TROUBLES: dict[str, Begin] = {
    "unwritable folder": unwritable_folder,
    "locked outbox": locked_outbox,
    "outbox locked from the start": locked_from_the_start,
    "hooks raise": hooks_raise,
    "filter raises": filter_raises,
    "capture raises": capture_raises,
    "sink raises": sink_raises,
    "sink hangs": sink_hangs,
    "sink cannot be opened": sink_cannot_be_opened,
    "sink's package does not import": package_does_not_import,
}
