"""What is installed: plugins found by entry point, what each brings, and which failed to load and why.

pluggy's own loader stops at the first plugin that cannot be imported and names neither it nor its package, so the loop
is ours.
"""

from __future__ import annotations

import difflib
import inspect
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import Distribution, EntryPoint, entry_points, version
from typing import Any

import pluggy
from pydantic import ValidationError

from supertokens_events import hookspecs
from supertokens_events.catalog import Catalog, EventData, builtin_catalog
from supertokens_events.hook_times import HookTimes
from supertokens_events.hookspecs import DISABLE_VARIABLE, NO_HOOK, turned_off, wrong_api
from supertokens_events.log import get_logger
from supertokens_events.sink import Sink
from supertokens_events.sink_types import wrong_sink_type

__all__ = [
    "DISABLE_VARIABLE",
    "HookCall",
    "HookResult",
    "Plugin",
    "PluginError",
    "Plugins",
    "add_plugin",
    "load_plugins",
]

log = get_logger(__name__)

_REQUIREMENT = re.compile(r"supertokens[-_.]events(?:\s*\[[^]]*\])?\s*((?:[(<>=!~][^;]*)?)(?:;.*)?$", re.IGNORECASE)


class PluginError(Exception):
    """A plugin breaks the contract. The text names it and says what to do."""


@dataclass(frozen=True)
class Plugin:
    """One plugin: an entry point, or an object that the app gave. ``requires`` is the range of ``supertokens-events`` that its
    distribution asks for, ``api`` the version of the contract that it is used by; ``None`` when it is not.
    """

    name: str
    distribution: str = ""
    version: str = ""
    requires: str = ""
    api: int | None = None
    hooks: tuple[str, ...] = ()
    sink_types: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    error: str = ""
    disabled: bool = False

    def __str__(self) -> str:
        package = f" ({self.distribution} {self.version})" if self.distribution else ""
        return f"{self.name!r}{package}"


@dataclass(frozen=True)
class HookResult:
    """What one plugin's hook answered, or the exception that it raised."""

    plugin: str
    value: Any = None
    error: BaseException | None = None


class HookCall:
    """One plugin's hook, ready to be called. How long that takes goes into ``times``."""

    def __init__(
        self, hook: str, implementation: pluggy.HookImpl, arguments: Mapping[str, Any], times: HookTimes
    ) -> None:
        self.plugin = implementation.plugin_name
        self._hook = hook
        self._implementation = implementation
        self._arguments = arguments
        self._times = times

    def __call__(self) -> HookResult:
        began = time.perf_counter()
        result = self._result()
        self._times.add(self.plugin, self._hook, time.perf_counter() - began, failed=result.error is not None)
        return result

    def _result(self) -> HookResult:
        implementation = self._implementation
        try:
            value = implementation.function(*(self._arguments[name] for name in implementation.argnames))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a hook that exits must not take the other plugins, or our thread, with it
            return HookResult(self.plugin, error=error)
        return HookResult(self.plugin, value)


@dataclass
class Plugins:
    """All plugins, loaded, failed and disabled, what the loaded ones bring, and how long their hooks take."""

    manager: pluggy.PluginManager
    catalog: Catalog
    found: list[Plugin] = field(default_factory=list)
    sink_types: dict[str, type[Sink[Any]]] = field(default_factory=dict)
    times: HookTimes = field(default_factory=HookTimes)

    @property
    def failed(self) -> list[Plugin]:
        """The plugins that could not be loaded, each with its ``error``."""
        return [plugin for plugin in self.found if plugin.error]

    def call(self, hook: str, /, **arguments: Any) -> Iterator[HookResult]:
        """Call every plugin's ``hook``, last registered first, one by one: what one raises does not stop the others."""
        for call in self.calls(hook, **arguments):
            yield call()

    def calls(self, hook: str, /, **arguments: Any) -> Iterator[HookCall]:
        """The same calls, to be made by who asks for them."""
        caller: pluggy.HookCaller = getattr(self.manager.hook, hook)
        for implementation in reversed(caller.get_hookimpls()):
            yield HookCall(hook, implementation, arguments, self.times)

    def has(self, hook: str) -> bool:
        """Whether any plugin implements ``hook``."""
        caller: pluggy.HookCaller = getattr(self.manager.hook, hook)
        return bool(caller.get_hookimpls())


def add_plugin(plugins: Plugins, plugin: object, name: str) -> None:
    """Add one that has no entry point, before anything is built of ``plugins``. Raises :class:`PluginError`."""
    plugins.found.append(_register(plugins, plugin, Plugin(name)))


def load_plugins(extra: Sequence[object] = (), *, disable: str | None = None) -> Plugins:
    """Load the entry points of group ``supertokens_events``, then ``extra`` (objects that the app gives).

    One that fails is logged, listed in :attr:`Plugins.failed`, and the others go on. ``disable`` holds comma-separated
    names, ``*`` for all entry points; it defaults to the variable ``SUPERTOKENS_EVENTS_DISABLE``. Raises
    :class:`PluginError` for a fault in ``extra``: that is the app's own code.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    plugins = Plugins(manager, builtin_catalog())
    disabled = turned_off(disable)
    for entry_point in sorted(entry_points(group=hookspecs.PROJECT), key=lambda entry_point: entry_point.name):
        plugins.found.append(_load(plugins, entry_point, disabled))
    for number, plugin in enumerate(extra, start=1):
        plugins.found.append(_register(plugins, plugin, Plugin(_name_of(plugin, number))))
    return plugins


def _name_of(plugin: object, number: int) -> str:
    name = getattr(plugin, "__name__", None) or type(plugin).__name__
    return f"{name}#{number}"


def _load(plugins: Plugins, entry_point: EntryPoint, disabled: set[str]) -> Plugin:
    package = entry_point.dist
    plugin = Plugin(entry_point.name)
    if package is not None:
        plugin = replace(plugin, distribution=package.name, version=package.version, requires=_requires(package))
    if disabled & {"*", plugin.name}:
        return replace(plugin, disabled=True)
    try:
        return _register(plugins, entry_point.load(), plugin)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # one that exits, or worse, must not take the other plugins, or the app, with it
        text = str(error) if isinstance(error, PluginError) else _told(error) + _range_hint(error, plugin)
        log.error("A plugin could not be loaded; the others go on.", plugin=str(plugin), error=text)
        return replace(plugin, error=text)


def _register(plugins: Plugins, module: object, plugin: Plugin) -> Plugin:
    """Register ``module`` whole, or not at all."""
    manager = plugins.manager
    if (wrong := wrong_api(module)) is not None:
        raise PluginError(f"plugin {plugin} {wrong}")
    _check_name(plugins, module, plugin)
    try:
        manager.register(module, plugin.name)
        _check_hooks(manager, module, plugin)
        sink_types = _sink_types(plugins, plugin)
        event_types = list(_event_types(plugins, plugin))
        catalog = plugins.catalog.extended(event_types)
    except BaseException as error:
        manager.unregister(name=plugin.name)
        if isinstance(error, PluginError | KeyboardInterrupt):
            raise
        raise PluginError(f"plugin {plugin}: {_told(error)}") from error
    plugins.sink_types.update(sink_types)
    plugins.catalog = catalog
    hooks = tuple(sorted(caller.name for caller in manager.get_hookcallers(module) or ()))
    if not hooks:
        log.warning("A plugin is never called.", plugin=str(plugin), why=f"it {NO_HOOK}")
    return replace(
        plugin,
        api=hookspecs.API,
        hooks=hooks,
        sink_types=tuple(sink_types),
        event_types=tuple(model.event_type for model in event_types),
    )


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _requires(package: Distribution) -> str:
    """The range of ``supertokens-events`` that a distribution asks for; empty when it names none."""
    found = (_REQUIREMENT.match(line) for line in package.requires or ())
    return next((match[1].strip(" ()") for match in found if match), "")


def _range_hint(error: BaseException, plugin: Plugin) -> str:
    """What it misses of ours may be there in the versions that it was made for. pip minds the range, but only once."""
    if not (isinstance(error, ImportError) and (error.name or "").startswith(hookspecs.PROJECT) and plugin.requires):
        return ""
    return f"; it asks for supertokens-events{plugin.requires}, and {version('supertokens-events')} is installed"


def _check_name(plugins: Plugins, module: object, plugin: Plugin) -> None:
    for known in plugins.found:
        if not known.error and known.name == plugin.name:
            raise PluginError(
                f"two plugins have the same name, {known} and {plugin}; uninstall one, or turn both off with "
                f"{DISABLE_VARIABLE}"
            )
    if (name := plugins.manager.get_name(module)) is not None:
        raise PluginError(f"plugin {plugin} is there already, as {name!r}")


def _check_hooks(manager: pluggy.PluginManager, module: object, plugin: Plugin) -> None:
    for caller in manager.get_hookcallers(module) or ():
        for implementation in caller.get_hookimpls():
            if implementation.plugin is module and not _is_plain(implementation.function, caller.name):
                raise PluginError(f"plugin {plugin}: the hook {caller.name!r} must be a plain function")
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        known = [name for name in vars(manager.hook) if not name.startswith("_")]
        unknown = _unknown_hooks(manager)
        nearest = next(iter(difflib.get_close_matches(unknown[0], [k for k in known if k not in unknown], n=1)), None)
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        raise PluginError(f"plugin {plugin} has a hook {unknown[0]!r} that does not exist{hint}") from error


def _unknown_hooks(manager: pluggy.PluginManager) -> list[str]:
    callers = (caller for caller in vars(manager.hook).values() if isinstance(caller, pluggy.HookCaller))
    return [caller.name for caller in callers if not caller.has_spec() and caller.get_hookimpls()]


def _sink_types(plugins: Plugins, plugin: Plugin) -> dict[str, type[Sink[Any]]]:
    brought: dict[str, type[Sink[Any]]] = {}
    for sink_type in _brought(plugins, plugin, "register_sink_types", Sink):
        if (wrong := wrong_sink_type(sink_type)) is not None:
            raise PluginError(f"plugin {plugin}: the sink type {sink_type.__qualname__} {wrong}")
        name = sink_type.type
        owner = plugin if name in brought else next((p for p in plugins.found if name in p.sink_types), None)
        if owner is not None:
            raise PluginError(
                f"the sink type {name!r} is brought twice, by {owner} and {plugin}; uninstall one, or turn one off with "
                f"{DISABLE_VARIABLE}"
            )
        brought[name] = sink_type
    return brought


def _event_types(plugins: Plugins, plugin: Plugin) -> Iterator[type[EventData]]:
    """Each with a name and an example of its data: the catalog shows it, and ``send`` emits it."""
    for data_model in _brought(plugins, plugin, "register_event_types", EventData):
        if not isinstance(getattr(data_model, "event_type", None), str):
            raise PluginError(
                f"plugin {plugin}: the event type of {data_model.__qualname__} has no name: give it "
                'event_type = "app.…"'
            )
        if (wrong := _wrong_example(data_model)) is not None:
            raise PluginError(f"plugin {plugin}: the event type {data_model.event_type!r} {wrong}")
        yield data_model


def _wrong_example(data_model: type[EventData]) -> str | None:
    example = getattr(data_model, "example", None)
    if not isinstance(example, Mapping):
        return "has no example: give it example = {…}, the data of one such event"
    try:
        data_model.model_validate(example)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"has an example that is none: {'.'.join(map(str, problem['loc']))}: {problem['msg']}"
    return None


def _is_plain(function: Callable[..., Any], hook: str) -> bool:
    """Not async, and a generator only where somebody iterates: a filter that is called but never run lets all through."""
    iterated = hook in {"register_sink_types", "register_event_types"}
    return not inspect.iscoroutinefunction(function) and (iterated or not inspect.isgeneratorfunction(function))


def _brought(plugins: Plugins, plugin: Plugin, hook: str, base: type) -> Iterable[Any]:
    """What this one plugin's ``register_…`` hook returns, checked."""
    caller: pluggy.HookCaller = getattr(plugins.manager.hook, hook)
    for implementation in caller.get_hookimpls():
        if implementation.plugin_name == plugin.name:
            things: Any = implementation.function()
            for thing in things:
                if not (isinstance(thing, type) and issubclass(thing, base)):
                    raise PluginError(
                        f"plugin {plugin}: {hook} returned {thing!r}, expected subclasses of {base.__name__}"
                    )
                yield thing
