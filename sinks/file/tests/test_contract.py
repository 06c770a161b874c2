"""The file sink keeps the contract of sinks."""

from pathlib import Path

import pytest

from supertokens_events.testing import Place, SinkContract
from supertokens_events_file import FileSink


class Folder(Place):
    """A file that the sink writes, in a folder that may go."""

    def __init__(self, folder: Path):
        self.file = folder / "events.jsonl"
        self.take()

    def take(self):
        self.file.parent.mkdir(exist_ok=True)

    def go_away(self):
        self.file.unlink(missing_ok=True)
        self.file.parent.rmdir()

    def received(self):
        return self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []


class TestFileSink(SinkContract):
    """It writes lines to a file: nobody answers, but the folder may be missing."""

    sink_type = FileSink
    is_remote = False
    can_be_away = True
    can_be_busy = False
    can_refuse = False
    sends_body = True
    secrets = ()

    @pytest.fixture
    def place(self, tmp_path):
        return Folder(tmp_path / "log")

    @pytest.fixture
    def sink_settings(self, place):
        return {"path": str(place.file)}
