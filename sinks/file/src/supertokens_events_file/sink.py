"""The sink: each event becomes one line at the end of a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from anyio import to_thread

from supertokens_events.log import get_logger
from supertokens_events.sink import BatchPolicy, Delivered, Delivery, Outcome, Rejected, Retry, Sink
from supertokens_events_file.formats import encoder
from supertokens_events_file.lines import mend
from supertokens_events_file.log import Log
from supertokens_events_file.problems import doubts_about, problems_with, reason
from supertokens_events_file.settings import FileSettings
from supertokens_events_file.syncing import Syncing
from supertokens_events_file.tidying import tidy
from supertokens_events_file.upkeep import Upkeep

__all__ = ["FileSink"]

_HOUR = 3600.0

logger = get_logger(__name__)


class FileSink(Sink[FileSettings]):
    """Appends events, up to 100 or a MiB of them at once. What cannot be written is tried again."""

    type = "file"
    Settings = FileSettings
    batch = BatchPolicy(size=100, max_bytes=1024 * 1024)
    concurrency = 1

    def __init__(self, name: str, settings: FileSettings) -> None:
        super().__init__(name, settings)
        fsync = settings.fsync
        self._encode = encoder(settings.format)
        self._syncing = Syncing(settings.fsync_interval, self._not_synced) if fsync == "interval" else None
        self._log = Log(settings.path, settings.rotate, fsync=fsync == "always", syncing=self._syncing)
        self._upkeep = Upkeep(self._tidy)
        self._tidied = 0.0

    async def open(self) -> None:
        await to_thread.run_sync(mend, self.settings.path)
        self._tidy_soon()

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        return await to_thread.run_sync(self._write, deliveries, abandon_on_cancel=True)

    async def close(self) -> None:
        await to_thread.run_sync(self._upkeep.stop)
        if self._syncing is not None:
            await to_thread.run_sync(self._syncing.flush)

    def warnings(self) -> Sequence[str]:
        return doubts_about(self.settings)

    async def check(self) -> Sequence[str]:
        return await to_thread.run_sync(problems_with, self.settings)

    def _write(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        lines = [self._line(delivery) for delivery in deliveries]
        outcome = self._append(b"".join(line + b"\n" for line in lines if isinstance(line, bytes)))
        return [outcome if isinstance(line, bytes) else line for line in lines]

    def _line(self, delivery: Delivery) -> bytes | Rejected:
        try:
            return self._encode(delivery)
        except ValueError:
            return Rejected(f"it cannot be said as {self.settings.format}: what is stored is not an event")

    def _append(self, lines: bytes) -> Outcome:
        try:
            was_put_aside = self._log.append(lines)
        except OSError as error:
            return Retry(reason(self.settings.path, error), away=True)
        if was_put_aside or time.monotonic() - self._tidied > _HOUR:
            self._tidy_soon()
        return Delivered()

    def _tidy_soon(self) -> None:
        self._tidied = time.monotonic()
        if self.settings.rotate is not None:
            self._upkeep.wake()

    def _tidy(self, stopped: threading.Event) -> None:
        assert self.settings.rotate is not None
        try:
            tidy(self.settings.path, self.settings.rotate, datetime.now(UTC), stopped)
        except OSError as error:
            logger.warning(
                "Files that were put aside could not be compressed or removed; the next time is in an hour at the latest.",
                sink=self.name,
                reason=reason(self.settings.path, error),
            )

    def _not_synced(self, error: OSError) -> None:
        logger.error(
            "Events were written but could not be forced to the disk: if the machine stops now, they may be lost.",
            sink=self.name,
            reason=reason(self.settings.path, error),
        )
