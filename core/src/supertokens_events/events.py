"""``Events``: the one object an app holds. It puts the line together and hands the app its two ends: the plugin, and
``emit``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from supertokens_events.config import (
    ConfigurationError,
    Settings,
    SinkConfig,
    find_file,
    load_file,
    load_settings,
    with_sinks,
)
from supertokens_events.emit import Emitter, Plan, Route
from supertokens_events.event import Actor, Event
from supertokens_events.ledger import Ledger, Reason
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import Outbox, Retention, open_outbox
from supertokens_events.plugins import Plugins, load_plugins
from supertokens_events.reload import Reloader
from supertokens_events.sink import Sink

if TYPE_CHECKING:
    from supertokens_python.plugins import SuperTokensPlugin

    from supertokens_events.dispatch import Dispatcher, DispatcherThread
    from supertokens_events.reconcile.schedule import Schedule

__all__ = ["Events", "retention"]

log = get_logger(__name__)

_STORING = 0.5  # of the time to stop: what the outbox may take before the dispatcher gets the rest


class Events:
    """The line, put together from a configuration: capture and ``emit`` at one end, the dispatcher at the other.

    Making one touches neither the network nor the outbox; both begin with the first event. ``thread=False``: it starts no
    dispatcher by itself, whatever the settings say.
    """

    def __init__(self, settings: Settings, plugins: Plugins, *, thread: bool = True) -> None:
        self.settings = settings
        self.plugins = plugins
        self.ledger = Ledger()
        self.outbox = _outbox(settings)
        self._reloader = Reloader(settings, plugins, self._apply)
        self._thread = self._dispatcher_thread() if thread and settings.dispatcher.run == "thread" else None
        self._stopping = False
        plan = _plan(settings, plugins)
        self.emitter = Emitter(
            self.outbox,
            plugins,
            plan.routes,
            captured=plan.captured,
            source=plan.source,
            trusted_proxies=plan.trusted_proxies,
            append_timeout=settings.outbox.append_timeout,
            context_fields=settings.capture.context,
            ledger=self.ledger,
            stored=self._stored,
            configuration=self._reloader,
        )

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str] | None = None, *, plugins: Sequence[object] = ()) -> Events:
        """From a TOML file: ``path``, else ``SUPERTOKENS_EVENTS_CONFIG``, else ``supertokens-events.toml``.

        ``plugins`` are pluggy plugins without an entry point. Raises ``ConfigurationError`` with every problem found.
        """
        loaded = load_plugins(plugins)
        return cls(load_file(find_file(path), loaded), loaded)

    @classmethod
    def from_dict(cls, configuration: Mapping[str, Any], *, plugins: Sequence[object] = ()) -> Events:
        """From the same tables as a ``dict``."""
        loaded = load_plugins(plugins)
        return cls(load_settings(configuration, loaded), loaded)

    def __repr__(self) -> str:
        return f"<Events {self.settings.file} sinks={list(self.settings.sinks)}>"

    @property
    def plan(self) -> Plan:
        """What is stored now, and who gets it."""
        return _plan(self.settings, self.plugins)

    # Capture -------------------------------------------------------------------------------------------------------

    def plugin(self) -> SuperTokensPlugin:
        """For ``SupertokensExperimentalConfig(plugins=[…])``, SDK ≥ 0.31. List it first: the first plugin is the
        innermost.

        Raises ``ImportError`` when the SDK is not installed or is older than 0.27, ``RuntimeError`` when it has no plugins.
        """
        from supertokens_events.capture import make_plugin

        return make_plugin(self.emitter)

    def instrument(self) -> None:
        """The same without the SDK's plugins, for SDK 0.27 to 0.30: call it after ``init()``. Calling it again changes
        nothing. Raises ``ImportError`` when the SDK is not installed or is older than 0.27.
        """
        from supertokens_events.capture import instrument

        instrument(self.emitter)

    # The app's own events ------------------------------------------------------------------------------------------

    async def emit(
        self,
        event_type: str,
        *,
        data: Mapping[str, Any] | None = None,
        user_id: str | None = None,
        tenant_id: str | None = None,
        actor: Actor | None = None,
        timestamp: datetime | None = None,
        correlation_id: str | None = None,
    ) -> Event:
        """Emit an event of the app's own through the same line; returns it once it is stored, or ``append_timeout`` has
        passed.

        Its ``sequence`` says that it is stored. Raises ``ValueError`` for a bad type name, for ``data`` that is not
        JSON, and for ``data`` that does not fit a type of the catalog.
        """
        event = self._event(
            event_type,
            data,
            timestamp,
            user_id=user_id,
            tenant_id=tenant_id,
            actor=actor or Actor(type="system"),
            correlation_id=correlation_id,
        )
        return (await self.emitter.emit([event]))[0] or event

    def emit_sync(
        self,
        event_type: str,
        *,
        data: Mapping[str, Any] | None = None,
        user_id: str | None = None,
        tenant_id: str | None = None,
        actor: Actor | None = None,
        timestamp: datetime | None = None,
        correlation_id: str | None = None,
    ) -> Event:
        """:meth:`emit` for code without an event loop."""
        event = self._event(
            event_type,
            data,
            timestamp,
            user_id=user_id,
            tenant_id=tenant_id,
            actor=actor or Actor(type="system"),
            correlation_id=correlation_id,
        )
        return self.emitter.emit_sync([event])[0] or event

    def _event(
        self, event_type: str, data: Mapping[str, Any] | None, timestamp: datetime | None, **fields: Any
    ) -> Event:
        model = self.plugins.catalog.get(event_type)
        if timestamp is not None:
            fields["timestamp"] = timestamp
        if model is not None:
            fields["schema_version"] = model.schema_version
        try:
            if model is not None:
                data = model.model_validate(data or {}).model_dump(mode="json", exclude_none=True)
            event = Event(type=event_type, source=self.emitter.source, data=dict(data or {}), **fields)
            # As it will be stored: whatever the app does with its objects later does not change it.
            return Event.from_bytes(event.to_bytes())
        except ValidationError as error:
            raise ValueError(_sentence(event_type, error)) from None

    # The dispatcher ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the dispatcher thread now instead of with the first event, unless ``[dispatcher] run = "off"``."""
        if self._thread is not None:
            self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Store what waits, finish deliveries in flight, give the rest back, all within ``timeout`` seconds. Safe to call
        twice.
        """
        deadline = time.monotonic() + timeout
        self._stopping = True
        self.emitter.stop(timeout * _STORING if self._thread is not None else timeout)
        if self._thread is not None:
            self._thread.stop(max(0.0, deadline - time.monotonic()))
            self.emitter.stop(max(0.0, deadline - time.monotonic()))  # what the dispatcher has counted, and told
        self.outbox.close()
        self._stopping = False

    def replace_sinks(self, sinks: Mapping[str, Any]) -> None:
        """Have these sinks from now on, all of them and no others: the tables under ``sinks`` of a configuration. What is stored
        next goes to them; this process's dispatcher delivers to them within a second or so, and what is in flight to one that
        changes or goes is finished first. Callable from any thread.

        It is about this process. Raises ``ConfigurationError`` with every problem found, or when the configuration is a file:
        that is to be changed itself, and every process that reads it follows. Then nothing has changed.
        """
        if self.settings.path is not None:
            raise ConfigurationError(f"{self.settings.file}: the sinks come from this file; change them there")
        self._apply(with_sinks(self.settings, sinks, self.plugins))

    def dispatcher(self) -> Dispatcher:
        """A dispatcher over every sink that can deliver, for one event loop. It follows the configuration's file."""
        from supertokens_events.dispatch import Dispatcher
        from supertokens_events.dispatch.keeper import Keeping
        from supertokens_events.dispatch.notices import Notices
        from supertokens_events.reconcile import follow

        supply = _Supply(self._reloader, lambda: self.settings, self._build)
        return Dispatcher(
            supply.sinks() or (),
            self.outbox,
            self.plugins,
            self.ledger,
            poll_interval=self.settings.dispatcher.poll_interval,
            keeping=Keeping(
                retention(self.settings), self.settings.outbox.erase_on_user_deleted, partial(follow, self.outbox)
            ),
            supply=supply,
            notices=Notices(self.emitter),
            chores=[self._schedule().run] if self.settings.reconcile.every is not None else (),
        )

    def _schedule(self) -> Schedule:
        from supertokens_events.reconcile.schedule import Schedule

        return Schedule(
            self.outbox,
            self.plugins,
            self.ledger,
            lambda: self.plan,
            core=self.settings.core,
            settings=self.settings.reconcile,
            stored=lambda: self._stored(()),
        )

    def _apply(self, new: Settings) -> None:
        """Do by ``new`` from now on; the dispatcher asks for its sinks by itself."""
        outbox, dispatcher = self.settings.outbox, self.settings.dispatcher
        if new.outbox != outbox:
            log.warning("[outbox] has changed; that needs a restart.", file=new.file)
        if (new.dispatcher.run, new.dispatcher.poll_interval) != (dispatcher.run, dispatcher.poll_interval):
            log.warning("[dispatcher] has changed; that needs a restart.", file=new.file)
        if (new.core, new.reconcile) != (self.settings.core, self.settings.reconcile):
            log.warning("[core] or [reconcile] has changed; that needs a restart.", file=new.file)
        self.settings = replace(
            new, outbox=outbox, dispatcher=dispatcher, core=self.settings.core, reconcile=self.settings.reconcile
        )
        self.emitter.replace(_plan(new, self.plugins))
        log.info("The configuration has changed and is applied.", file=new.file, sinks=list(new.sinks))

    def _build(self, config: SinkConfig) -> Sink[Any] | None:
        """The sink of a configuration; ``None``, counted and logged, when it cannot be made."""
        try:
            return config.build()
        except Exception as error:
            self.ledger.count(Reason.SINK_UNAVAILABLE, subject=config.name)
            why = describe_exception(error)
            log.error("A sink could not be made; its deliveries wait.", sink=config.name, error=why)
            return None

    def _dispatcher_thread(self) -> DispatcherThread:
        # Imported here: an app that only stores does not pay for anyio.
        from supertokens_events.dispatch import DispatcherThread

        return DispatcherThread(self.dispatcher)

    def _stored(self, _events: Sequence[Event]) -> None:
        if self._thread is not None and not self._stopping:
            self._thread.wake()


class _Supply:
    """The sinks of one dispatcher, by the ``settings`` as they are now, each from ``build``."""

    def __init__(
        self,
        reloader: Reloader,
        settings: Callable[[], Settings],
        build: Callable[[SinkConfig], Sink[Any] | None],
    ) -> None:
        self._reloader = reloader
        self._settings = settings
        self._build = build
        self._seen: Settings | None = None
        self._made: dict[str, tuple[SinkConfig, Sink[Any] | None]] = {}

    def look(self) -> None:
        """Look for a change."""
        self._reloader.look()

    def sinks(self) -> Sequence[Sink[Any]] | None:
        """All that are turned on and can be made; ``None`` when nothing has changed since the last time."""
        settings = self._settings()
        if settings is self._seen:
            return None
        self._seen = settings
        self._made = {config.name: self._sink(config) for config in settings.sinks.values() if config.enabled}
        return [sink for _, sink in self._made.values() if sink is not None]

    def _sink(self, config: SinkConfig) -> tuple[SinkConfig, Sink[Any] | None]:
        before, sink = self._made.get(config.name, (None, None))
        if before is None or sink is None or not config.builds_like(before):
            sink = self._build(config)
        return config, sink


def retention(settings: Settings) -> Retention:
    """``[outbox.retention]`` as the outbox takes it."""
    return Retention(**settings.outbox.retention.model_dump())


def _plan(settings: Settings, plugins: Plugins) -> Plan:
    capture = settings.capture
    return Plan(
        tuple(Route(sink.name, sink.subscription, sink.enabled, sink.ordered) for sink in settings.sinks.values()),
        settings.captured(plugins.catalog),
        settings.app.source,
        capture.trusted_proxies,
        None if capture.context is None else frozenset(capture.context),
    )


def _outbox(settings: Settings) -> Outbox:
    outbox = settings.outbox
    try:
        return open_outbox(
            outbox.url.get_secret_value(),
            folder=settings.folder,
            durability=outbox.durability,
            max_size=outbox.max_size,
            when_full=outbox.when_full,
        )
    except ValueError as error:
        raise ConfigurationError(f"{settings.file}: outbox.url: {error}") from None


def _sentence(event_type: str, error: ValidationError) -> str:
    """What is wrong with an event, without repeating any value."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    listed = "; ".join(f"{'.'.join(map(str, problem['loc'])) or 'data'}: {problem['msg']}" for problem in problems)
    return f"the event {event_type!r} is not valid: {listed}"
