"""The sink: each event becomes one line of JSON at the end of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread
from pydantic import ValidationInfo, field_validator

from supertokens_events.sink import BatchPolicy, Delivered, Delivery, Outcome, Retry, Sink, SinkSettings
from supertokens_events_file.lines import append, problems_with

__all__ = ["FileSettings", "FileSink"]


class FileSettings(SinkSettings):
    """``path`` is the file; it is made, its directory is not. ``fsync`` waits until the lines are on the disk."""

    path: Path
    fsync: bool = False

    @field_validator("path")
    @classmethod
    def _beside_the_configuration(cls, path: Path, info: ValidationInfo) -> Path:
        return Path((info.context or {}).get("folder", "")) / path


class FileSink(Sink[FileSettings]):
    """Appends events as they were stored, up to 100 at once. What cannot be written is tried again."""

    type = "file"
    Settings = FileSettings
    batch = BatchPolicy(size=100)
    concurrency = 1

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        lines = b"".join(delivery.body + b"\n" for delivery in deliveries)
        try:
            await to_thread.run_sync(self._append, lines, abandon_on_cancel=True)
        except OSError as error:
            return [Retry(self._reason(error), away=True)] * len(deliveries)
        return [Delivered()] * len(deliveries)

    async def check(self) -> Sequence[str]:
        return await to_thread.run_sync(problems_with, self.settings.path)

    def _append(self, lines: bytes) -> None:
        append(self.settings.path, lines, fsync=self.settings.fsync)

    def _reason(self, error: OSError) -> str:
        path = self.settings.path
        missing = isinstance(error, FileNotFoundError)
        return f"{path}: " + (f"the directory {path.parent} does not exist" if missing else f"{error.strerror}")
