"""The notebook sink keeps the contract of sinks, and what it promises itself."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from supertokens_events.testing import Place, SinkContract

from supertokens_events_notebook import NotebookSink


class Folder(Place):
    """Where the sink writes: a folder, which may go."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "events.jsonl"
        self.take()

    def take(self) -> None:
        self.file.parent.mkdir(exist_ok=True)

    def received(self) -> Sequence[str]:
        return self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []

    def go_away(self) -> None:
        self.file.unlink(missing_ok=True)
        self.file.parent.rmdir()


class TestNotebookSink(SinkContract):
    """What every sink is asked for."""

    sink_type = NotebookSink
    is_remote = False
    can_be_away = True
    can_be_busy = False
    can_refuse = False
    sends_body = True
    secrets = ()

    @pytest.fixture
    def place(self, tmp_path: Path) -> Folder:
        return Folder(tmp_path / "notebook")

    @pytest.fixture
    def sink_settings(self, place: Folder) -> Mapping[str, Any]:
        return {"path": str(place.file)}

    def test_an_event_is_a_line(self, sink: NotebookSink, place: Folder) -> None:
        """Each event is one line of JSON, in order, in a file that only its owner may read."""
        deliveries = self.deliveries(2)

        self.run_once(sink, deliveries)

        written = [json.loads(line)["id"] for line in place.received()]
        assert written == [delivery.event_id for delivery in deliveries]
        assert stat.S_IMODE(place.file.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
