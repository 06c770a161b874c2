"""What a process goes by: its configuration and the stored sinks, both looked at now and then and put together."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from supertokens_events.config import Settings, SinkConfig, Stamp, stamp
from supertokens_events.ledger import Ledger, Reason
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import Outbox, OutboxError, StoredSink
from supertokens_events.plugins import Plugins
from supertokens_events.reload import Reloader
from supertokens_events.stored.reading import document_of, read_sink

__all__ = ["DELETED", "Following", "skip_all"]

log = get_logger(__name__)

DELETED = "the sink was deleted"

_EVERY = 1.0  # seconds between looks at the stored sinks


class Following:
    """Calls ``apply`` with the settings to go by, whenever ``settings`` or the stored sinks have become others.

    A sink of the configuration goes before a stored one of the same name. What of a stored sink cannot be used here is told once,
    and its events wait. Without ``stored`` there are none. Safe to use from any thread, and after a fork.
    """

    def __init__(
        self,
        settings: Settings,
        plugins: Plugins,
        outbox: Outbox,
        ledger: Ledger,
        apply: Callable[[Settings], None],
        *,
        stored: bool = True,
    ) -> None:
        self.reloader = Reloader(settings, plugins, self.configure)
        self.configured = settings
        self._plugins = plugins
        self._outbox = outbox
        self._ledger = ledger
        self._apply = apply
        self._looks_at_stored = stored
        self._revision: int | None = None
        self._stored: Sequence[StoredSink] = []
        self._files: Mapping[Path, Stamp] = {}
        self._told: Sequence[str] = ()
        self._gone: set[str] = set()
        self._next_look = 0.0
        self._pid = os.getpid()
        self._looking, self._applying = threading.Lock(), threading.Lock()

    @property
    def due(self) -> bool:
        """Whether it is time to look at the configuration's file. Which types are stored at all is said only there."""
        return self.reloader.due

    def look(self, *, now: bool = False) -> None:
        """Look, when it is time to or ``now``, and apply what has changed. Never raises; quick while nothing has."""
        self._notice_fork()
        if self._looks_at_stored and (now or time.monotonic() >= self._next_look):
            self._try_to_look(wait=now)
        self.reloader.look()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Until this ends, do not look at the stored sinks."""
        before, self._looks_at_stored = self._looks_at_stored, False
        try:
            yield
        finally:
            self._looks_at_stored = before

    def _try_to_look(self, *, wait: bool) -> None:
        """Unless another thread does, and nobody waits for it."""
        if self._looking.acquire(blocking=wait):
            try:
                self._next_look = time.monotonic() + _EVERY
                self._look_at_stored()
            except OutboxError:
                pass  # whoever stores or delivers tells of it
            except Exception as error:  # a bug of ours must not end the thread that came by
                log.error("The stored sinks could not be looked at.", error=describe_exception(error))
            finally:
                self._looking.release()

    def configure(self, settings: Settings) -> None:
        """Go by this configuration from now on, and by the stored sinks as before."""
        self._notice_fork()
        with self._applying:
            before = self.configured
            self.configured = replace(
                settings,
                outbox=before.outbox,
                dispatcher=before.dispatcher,
                core=before.core,
                reconcile=before.reconcile,
            )
            self._put_together()
        _warn(before, settings)
        log.info("The configuration has changed and is applied.", file=settings.file, sinks=list(settings.sinks))

    def _notice_fork(self) -> None:
        """Another thread of the parent may have been in the middle of something: look at everything again."""
        if self._pid != os.getpid():
            self._looking, self._applying = threading.Lock(), threading.Lock()
            self._revision, self._next_look = None, 0.0
            self._pid = os.getpid()

    def _look_at_stored(self) -> None:
        self._skip_for_those_gone()
        revision = self._outbox.sinks_revision()
        if revision == self._revision and all(stamp(path) == known for path, known in self._files.items()):
            return
        stored = self._outbox.stored_sinks()
        with self._applying:
            before, self._stored = self._stored, stored
            self._revision = revision
            if stored or before:
                self._put_together()
        if stored != before:
            log.info("The stored sinks have changed and are applied.", sinks=[sink.name for sink in stored])
        self._gone = {sink.name for sink in before} - {sink.name for sink in stored}
        self._skip_for_those_gone(again=True)

    def _skip_for_those_gone(self, *, again: bool = False) -> None:
        """What this process has stored for them since they were deleted; ``again``: also at the next look, for what another
        thread is just storing.
        """
        for name in self._gone - self.configured.sinks.keys():
            skip_all(self._outbox, name)
        self._gone = self._gone if again else set()

    def _put_together(self) -> None:
        found = {
            sink.name: read_sink(sink.name, document_of(sink), self.configured, self._plugins) for sink in self._stored
        }
        sinks = {name: one.config for name, one in found.items() if one.config is not None}
        self._files = {path: known for one in found.values() for path, known in one.files.items()}
        self._tell([problem for one in found.values() for problem in one.problems], sinks)
        self._apply(replace(self.configured, sinks={**sinks, **self.configured.sinks}))

    def _tell(self, problems: Sequence[str], sinks: Mapping[str, SinkConfig]) -> None:
        taken = [
            f"sinks.{name}: {self.configured.file} has one of this name"
            for name in sinks
            if name in self.configured.sinks
        ]
        if (told := [*problems, *taken]) and told != self._told:
            log.error("Some of the stored sinks cannot be used here; their deliveries wait.", problems=told)
            for name in (name for name, config in sinks.items() if config.settings is None):
                self._ledger.count(Reason.SINK_UNAVAILABLE, subject=name)
        self._told = told


def _warn(before: Settings, now: Settings) -> None:
    if now.outbox != before.outbox:
        log.warning("[outbox] has changed; that needs a restart.", file=now.file)
    dispatcher = before.dispatcher
    if (now.dispatcher.run, now.dispatcher.poll_interval) != (dispatcher.run, dispatcher.poll_interval):
        log.warning("[dispatcher] has changed; that needs a restart.", file=now.file)
    if (now.core, now.reconcile) != (before.core, before.reconcile):
        log.warning("[core] or [reconcile] has changed; that needs a restart.", file=now.file)


def skip_all(outbox: Outbox, name: str) -> int:
    """Skip what waits for a sink that was deleted; returns how many that were."""
    total = 0
    while skipped := outbox.skip(name, DELETED):
        total += skipped
    return total
