"""``Events``: the one object an app holds. It puts the line together and hands the app its two ends: the plugin, and
``emit``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

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
from supertokens_events.retry import RetryPolicy
from supertokens_events.sink import Sink
from supertokens_events.stored.following import Following
from supertokens_events.subscription import Patterns, Subscription

if TYPE_CHECKING:
    from supertokens_python.plugins import SuperTokensPlugin

    from supertokens_events.dispatch import Dispatcher, DispatcherThread
    from supertokens_events.handlers import BeforeResponse, Function, Handler, Handlers
    from supertokens_events.reconcile.schedule import Schedule

__all__ = ["Events", "retention"]

log = get_logger(__name__)

_NONE: Mapping[str, SinkConfig] = {}

FunctionT = TypeVar("FunctionT", bound="Function")

_STORING = 0.5  # of the time to stop: what the outbox may take before the dispatcher gets the rest


class Events:
    """The line, put together from a configuration: capture and ``emit`` at one end, the dispatcher at the other.

    Making one touches neither the network nor the outbox; both begin with the first event. ``thread=False``: it starts no
    dispatcher by itself, whatever the settings say. ``follow=False``: it goes by these settings alone, and not by sinks that are
    stored in the outbox.
    """

    def __init__(self, settings: Settings, plugins: Plugins, *, thread: bool = True, follow: bool = True) -> None:
        self.settings = settings
        self.plugins = plugins
        self.ledger = Ledger()
        self.outbox = _outbox(settings)
        self._following = Following(settings, plugins, self.outbox, self.ledger, self._apply, stored=follow)
        self._handlers: Handlers | None = None
        self._before_response: BeforeResponse | None = None
        self._may_dispatch = thread
        self._diverted = False
        self._thread = self._dispatcher_thread() if thread and settings.dispatcher.run == "thread" else None
        self._stopping = False
        plan = self.plan
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
            configuration=self._following,
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
        settings, capture = self.settings, self.settings.capture
        sinks = [Route(sink.name, sink.subscription, sink.enabled, sink.ordered) for sink in settings.sinks.values()]
        return Plan(
            (*sinks, *(self._handlers.routes() if self._handlers else ())),
            settings.captured(self.plugins.catalog),
            settings.app.source,
            capture.trusted_proxies,
            None if capture.context is None else frozenset(capture.context),
        )

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

    # The app's own handlers ----------------------------------------------------------------------------------------

    def on(
        self,
        *event_types: str,
        before_response: bool = False,
        timeout: float = 2.0,
        name: str | None = None,
        retry: RetryPolicy | None = None,
        ordered: bool = False,
    ) -> Callable[[FunctionT], FunctionT]:
        """Have the decorated function called with each event of these types, which may be patterns: at least once, by this
        process's dispatcher, and again by the schedule of ``retry`` when it raises. It is async or not.

        ``before_response``: it is called inside the request first, once the event is stored, for up to ``timeout`` seconds. When
        it fails or takes longer, the request goes on, and the dispatcher calls it again.

        ``name`` is what ``status`` shows behind ``on:``, by default its module and name: deliveries that wait for it keep it.
        ``ordered``: each user's events one after the other.

        Raises ``ValueError`` for a pattern, a timeout or a name that is none, and for a name that is taken.
        """
        from supertokens_events.handlers import Handler, Handlers

        if not event_types or not all(isinstance(one, str) for one in event_types):
            raise ValueError('on() takes the types of the events: @events.on("user.created")')
        if before_response and not 0 < timeout < float("inf"):
            raise ValueError("timeout is a number of seconds above 0")
        subscription = Subscription(Patterns(event_types))

        def register(function: FunctionT) -> FunctionT:
            self._register(
                Handler(
                    Handlers.name_of(function, name),
                    function,
                    subscription,
                    timeout=timeout if before_response else None,
                    retry=retry or RetryPolicy(),
                    ordered=ordered,
                )
            )
            return function

        return register

    def _register(self, handler: Handler) -> None:
        from supertokens_events.handlers import BeforeResponse, Handlers

        self._say_what_never_comes(handler)
        if self._handlers is None:
            self._handlers = Handlers(self.settings.outbox.append_timeout)
        self._handlers.add(handler)
        if handler.timeout is not None and self._before_response is None:
            self._before_response = BeforeResponse(self.outbox, self._handlers.get)
            self.emitter.following = self._before_response
        if not self._diverted:
            self._dispatch_for_handlers()
        self.emitter.replace(self.plan)

    def _dispatch_for_handlers(self) -> None:
        """Whatever the settings say: no other process has the app's handlers."""
        if self._handlers is not None and self._thread is None and self._may_dispatch:
            self._thread = self._dispatcher_thread()

    def _say_what_never_comes(self, handler: Handler) -> None:
        """An app may emit types that are in no catalog, so this is no error."""
        for pattern in handler.subscription.patterns.patterns:
            if "*" in pattern or pattern.startswith("!"):
                continue
            if not self.emitter.captured.matches(pattern):
                log.warning(
                    "A handler is never called: [capture] leaves out its event type.",
                    sink=handler.name,
                    event_type=pattern,
                )
            elif pattern not in self.plugins.catalog and (near := self.plugins.catalog.nearest(pattern)):
                log.warning(
                    "A handler's event type is in no catalog; there is one much like it.",
                    sink=handler.name,
                    event_type=pattern,
                    nearest=near,
                )

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
        if self._before_response is not None:
            self._before_response.stop(max(0.0, deadline - time.monotonic()))
        if self._thread is not None:
            self._thread.stop(max(0.0, deadline - time.monotonic()))
            self.emitter.stop(max(0.0, deadline - time.monotonic()))  # what the dispatcher has counted, and told
        self.outbox.close()
        self._stopping = False

    @contextmanager
    def diverted(self, outbox: Outbox) -> Iterator[None]:
        """Until this ends, store in ``outbox`` and nowhere else, and start no dispatcher: for tests, which
        :func:`supertokens_events.testing.capture_events` writes shorter.

        What was emitted before is stored where it was to be first. ``outbox`` stays open; it is the caller's. Stored sinks are
        those that were known before.
        """
        before = self.outbox, self._thread, self._diverted
        if self._thread is not None:
            self._thread.stop()
        self._thread, self._diverted = None, True
        with self._following.paused():
            self._store_in(outbox)
            try:
                yield
            finally:
                self._store_in(before[0])
                _, self._thread, self._diverted = before
                if not self._diverted:
                    self._dispatch_for_handlers()  # of those that were registered meanwhile

    def _store_in(self, outbox: Outbox) -> None:
        self.emitter.store_in(outbox)
        self.outbox = outbox
        if self._before_response is not None:
            self._before_response.store_in(outbox)

    def replace_sinks(self, sinks: Mapping[str, Any]) -> None:
        """Have these sinks from now on, all of them and no others: the tables under ``sinks`` of a configuration. What is stored
        next goes to them; this process's dispatcher delivers to them within a second or so, and what is in flight to one that
        changes or goes is finished first. Callable from any thread.

        It is about this process. Raises ``ConfigurationError`` with every problem found, or when the configuration is a file:
        that is to be changed itself, and every process that reads it follows. Then nothing has changed.
        """
        if self.configured.path is not None:
            raise ConfigurationError(f"{self.settings.file}: the sinks come from this file; change them there")
        new = with_sinks(self.configured, sinks, self.plugins)
        self._following.configure(new)

    @property
    def configured(self) -> Settings:
        """The settings without the sinks that are stored in the outbox."""
        return self._following.configured

    def follow(self, *, now: bool = False) -> None:
        """Look whether the configuration's file or the stored sinks have changed, when it is time to or ``now``. Storing and
        delivering do it by themselves. Never raises; may wait for the outbox.
        """
        self._following.look(now=now)

    def dispatcher(self, *, handlers_alone: bool = False) -> Dispatcher:
        """A dispatcher over every sink that can deliver, and over the app's handlers, for one event loop. It follows the
        configuration's file. ``handlers_alone``: it leaves the sinks to others.
        """
        from supertokens_events.dispatch import Dispatcher
        from supertokens_events.dispatch.keeper import Keeping
        from supertokens_events.dispatch.notices import Notices
        from supertokens_events.reconcile import follow

        supply = _Supply(
            self.follow,
            (lambda: _NONE) if handlers_alone else (lambda: self.settings.sinks),
            self._build,
            lambda: self._handlers.sinks() if self._handlers else (),
        )
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
            chores=[] if handlers_alone or self.settings.reconcile.every is None else [self._schedule().run],
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
        self.settings = new
        self.emitter.replace(self.plan)

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

        return DispatcherThread(partial(self.dispatcher, handlers_alone=self.settings.dispatcher.run == "off"))

    def _stored(self, _events: Sequence[Event]) -> None:
        if self._thread is not None and not self._stopping:
            self._thread.wake()


class _Supply:
    """The sinks of one dispatcher: those that are ``configured`` now, each from ``build``, and the app's ``handlers``."""

    def __init__(
        self,
        follow: Callable[[], None],
        configured: Callable[[], Mapping[str, SinkConfig]],
        build: Callable[[SinkConfig], Sink[Any] | None],
        handlers: Callable[[], Sequence[Sink[Any]]],
    ) -> None:
        self._follow = follow
        self._configured = configured
        self._build = build
        self._handlers = handlers
        self._seen: tuple[Mapping[str, SinkConfig], Sequence[Sink[Any]]] | None = None
        self._made: dict[str, tuple[SinkConfig, Sink[Any] | None]] = {}

    def look(self) -> None:
        """Look for a change."""
        self._follow()

    def sinks(self) -> Sequence[Sink[Any]] | None:
        """All that are turned on and can be made; ``None`` when nothing has changed since the last time."""
        found = configured, handlers = self._configured(), self._handlers()
        if self._seen is not None and configured is self._seen[0] and handlers == self._seen[1]:
            return None
        self._seen = found
        self._made = {config.name: self._sink(config) for config in configured.values() if config.enabled}
        return [*(sink for _, sink in self._made.values() if sink is not None), *handlers]

    def _sink(self, config: SinkConfig) -> tuple[SinkConfig, Sink[Any] | None]:
        before, sink = self._made.get(config.name, (None, None))
        if before is None or sink is None or not config.builds_like(before):
            sink = self._build(config)
        return config, sink


def retention(settings: Settings) -> Retention:
    """``[outbox.retention]`` as the outbox takes it."""
    return Retention(**settings.outbox.retention.model_dump())


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
