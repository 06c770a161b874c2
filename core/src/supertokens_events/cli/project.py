"""What a command works on: the configuration that the user named, and what it leads to, loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

import click

from supertokens_events.cli.group import plugins_of

if TYPE_CHECKING:
    from supertokens_events.config import Settings
    from supertokens_events.events import Events
    from supertokens_events.outbox import Outbox
    from supertokens_events.plugins import Plugins

__all__ = ["Project", "pass_project"]


class Project:
    """The configuration ``file`` (``None``: the default one), its plugins, its line and its outbox."""

    def __init__(self, context: click.Context, file: str | None) -> None:
        self._context = context
        self.file = file

    @property
    def plugins(self) -> Plugins:
        """What is installed. A plugin that fails to load is told on stderr."""
        return plugins_of(self._context)

    @cached_property
    def settings(self) -> Settings:
        """The configuration. Raises ``ConfigurationError``."""
        from supertokens_events.config import find_file, load_file

        return load_file(find_file(self.file), self.plugins)

    @contextmanager
    def events(self, settings: Settings | None = None, *, follow: bool = True) -> Iterator[Events]:
        """The line of this configuration, or of changed ``settings``, stopped at the end; ``follow``: with the stored
        sinks. Its outbox is open, and it starts no dispatcher.

        Raises ``ConfigurationError`` if the outbox cannot be.
        """
        from supertokens_events.config import ConfigurationError
        from supertokens_events.events import Events
        from supertokens_events.outbox import OutboxError

        events = Events(settings or self.settings, self.plugins, thread=False, follow=follow)
        try:
            events.outbox.open()
        except OutboxError as error:
            raise ConfigurationError(f"{events.settings.file}: outbox.url: {error}") from None
        try:
            yield events
        finally:
            events.stop()

    @cached_property
    def settings_with_stored(self) -> Settings:
        """The configuration with the sinks that are stored in the outbox."""
        with self.events() as events:
            events.follow(now=True)
            return events.settings

    @contextmanager
    def outbox(self) -> Iterator[Outbox]:
        """The outbox, to look into."""
        with self.events() as events:
            yield events.outbox


pass_project = click.make_pass_decorator(Project)
