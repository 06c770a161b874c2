"""A configuration that changes while the process runs: noticed by a look at its files now and then, checked, applied."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from supertokens_events.config import ConfigurationError, Settings, Stamp, load_file, stamp
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.plugins import Plugins

__all__ = ["Reloader"]

log = get_logger(__name__)

_EVERY = 1.0  # seconds between looks
_SETTLED = 0.3  # seconds since a file was written after which nobody is writing it any more


class Reloader:
    """Looks at the files that ``settings`` were read from, from whichever thread comes by, and calls ``apply`` with new ones.

    A file with a mistake is told once, and what runs goes on as it is. Settings that come from no file never change.
    """

    def __init__(self, settings: Settings, plugins: Plugins, apply: Callable[[Settings], None]) -> None:
        self._path = settings.path
        self._name = settings.file
        self._plugins = plugins
        self._apply = apply
        self._known: Mapping[Path, Stamp] = settings.files
        self._seen: Mapping[Path, Stamp] = settings.files
        self._next_look = time.monotonic() + _EVERY
        self._looking = threading.Lock()
        self._pid = os.getpid()

    @property
    def due(self) -> bool:
        """Whether it is time to look again."""
        return self._path is not None and time.monotonic() >= self._next_look

    def look(self) -> None:
        """Look, when it is time to, and apply what has changed. Never raises; quick while nothing has."""
        if not self.due:
            return
        if self._pid != os.getpid():  # forked, perhaps while another thread was looking
            self._looking, self._pid = threading.Lock(), os.getpid()
        if self._looking.acquire(blocking=False):
            try:
                self._next_look = time.monotonic() + _EVERY
                if self._path is not None and self._changed():
                    self._reload(self._path)
            except Exception as error:  # a bug of ours must not end the thread that came by
                log.error("The configuration could not be looked at.", error=describe_exception(error))
            finally:
                self._looking.release()

    def _changed(self) -> bool:
        """Whether the files are others, and whole: half a file may be valid, and say that there are no sinks."""
        before, self._seen = self._seen, {path: stamp(path) for path in self._known}
        changed = [found for path, found in self._seen.items() if found != self._known[path]]
        return bool(changed) and (self._seen == before or all(map(_is_settled, changed)))

    def _reload(self, path: Path) -> None:
        self._known = self._seen  # whatever comes of it, once is enough
        try:
            settings = load_file(path, self._plugins, name=self._name)
        except ConfigurationError as error:
            self._known = self._seen = {**self._seen, **error.files}
            log.error(
                "The configuration has changed and is wrong; what was configured before goes on.",
                problems=list(error.problems),
            )
            return
        self._known = self._seen = settings.files
        self._apply(settings)


def _is_settled(found: Stamp) -> bool:
    return found != Stamp() and time.time() - found.modified > _SETTLED
