"""The sink: each event becomes a line at the end of a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from anyio import to_thread
from pydantic import ValidationInfo, field_validator
from supertokens_events.sink import Delivered, Delivery, Outcome, Retry, Sink, SinkSettings

__all__ = ["NotebookSettings", "NotebookSink"]


class NotebookSettings(SinkSettings):
    """Its keys in the TOML table. ``path`` is the file; a relative one begins at the configuration."""

    path: Path

    @field_validator("path")
    @classmethod
    def _beside_the_configuration(cls, path: Path, info: ValidationInfo) -> Path:
        return Path((info.context or {}).get("folder", "")) / path


class NotebookSink(Sink[NotebookSettings]):
    """Appends events as they were stored. What cannot be written is tried again."""

    type = "notebook"
    Settings = NotebookSettings
    concurrency = 1

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        return [await self._write(delivery) for delivery in deliveries]

    async def check(self) -> Sequence[str]:
        folder = self.settings.path.parent
        return [] if await to_thread.run_sync(folder.is_dir) else [f"the directory {folder} does not exist"]

    async def _write(self, delivery: Delivery) -> Outcome:
        try:
            # Whatever blocks, blocks in a thread: other sinks share the event loop.
            await to_thread.run_sync(self._append, delivery.body + b"\n", abandon_on_cancel=True)
        except OSError as error:
            return Retry(f"{self.settings.path}: {error.strerror}", away=True)
        return Delivered()

    def _append(self, line: bytes) -> None:
        owner_only = partial(os.open, mode=0o600)
        with open(self.settings.path, "ab", buffering=0, opener=owner_only) as file:
            file.write(line)
