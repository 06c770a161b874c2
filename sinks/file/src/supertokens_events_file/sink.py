"""The sink: each event becomes one line at the end of a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from anyio import move_on_after, to_thread

from supertokens_events.log import get_logger
from supertokens_events.sink import BatchPolicy, Delivered, Delivery, Outcome, Rejected, Retry, Sink
from supertokens_events_file.formats import encoder
from supertokens_events_file.lines import mend
from supertokens_events_file.log import Log
from supertokens_events_file.pipe import Pipe, is_pipe
from supertokens_events_file.problems import clashes_between, doubts_about, problems_with, reason
from supertokens_events_file.settings import FileSettings
from supertokens_events_file.syncing import Syncing
from supertokens_events_file.tidying import tidy
from supertokens_events_file.turn import Turn
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
        self._pipe = Pipe(settings.path)
        self._writes = threading.Lock()
        self._upkeep = Upkeep(self._tidy)
        self._tidied = 0.0

    async def open(self) -> None:
        self._upkeep.start()
        await to_thread.run_sync(mend, self.settings.path)
        self._tidy_soon()

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        turn = Turn(self.deadline / 2)  # the other half is for the disk
        with move_on_after(self.deadline * 0.9):
            try:
                return await to_thread.run_sync(self._write, deliveries, turn, abandon_on_cancel=True)
            finally:
                turn.give_up()
        return [self._hangs] * len(deliveries)

    async def close(self) -> None:
        await to_thread.run_sync(self._upkeep.stop)
        await to_thread.run_sync(self._pipe.close)
        if self._syncing is not None:
            await to_thread.run_sync(self._syncing.flush)

    def warnings(self) -> Sequence[str]:
        return doubts_about(self.settings)

    def clashes(self, others: Sequence[Sink[Any]]) -> Sequence[str]:
        return clashes_between(self.settings, {one.name: one.settings for one in others if isinstance(one, FileSink)})

    async def check(self) -> Sequence[str]:
        return await to_thread.run_sync(problems_with, self.settings)

    def _write(self, deliveries: Sequence[Delivery], turn: Turn) -> Sequence[Outcome]:
        """On a thread, which a call that takes too long leaves behind: then no other call gets one."""
        if not self._writes.acquire(blocking=False):
            return [self._hangs] * len(deliveries)
        try:
            lines = [self._line(delivery) for delivery in deliveries]
            outcomes = iter(self._append([line for line in lines if isinstance(line, bytes)], turn))
            return [next(outcomes) if isinstance(line, bytes) else line for line in lines]
        finally:
            self._writes.release()

    def _line(self, delivery: Delivery) -> bytes | Rejected:
        try:
            return self._encode(delivery) + b"\n"
        except ValueError:
            return Rejected(f"it cannot be said as {self.settings.format}: what is stored is not an event")

    def _append(self, lines: Sequence[bytes], turn: Turn) -> Sequence[Outcome]:
        """An outcome for each line."""
        try:
            if is_pipe(self.settings.path):
                return self._pour(lines, turn)
            was_put_aside = self._log.append(b"".join(lines), turn)
        except OSError as error:
            return [self._later(error)] * len(lines)
        if was_put_aside or time.monotonic() - self._tidied > _HOUR:
            self._tidy_soon()
        return [Delivered()] * len(lines)

    def _pour(self, lines: Sequence[bytes], turn: Turn) -> Sequence[Outcome]:
        """What is in a pipe cannot be taken back: only the rest is tried again."""
        outcomes: list[Outcome] = [Delivered()] * len(lines)
        done, error = self._pipe.write(lines, turn)
        if error is not None:
            outcomes[done:] = [self._later(error)] * (len(lines) - done)
        return outcomes

    def _later(self, error: OSError) -> Retry:
        return Retry(reason(self.settings.path, error), away=True)

    @property
    def _hangs(self) -> Retry:
        return Retry(f"{self.settings.path}: a write to it has not come to its end", away=True)

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
