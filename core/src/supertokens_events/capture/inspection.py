"""How capture stands in an SDK that has been started, for somebody who asks: looked at, and nothing called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import supertokens_python
from supertokens_python import Supertokens

from supertokens_events.capture.attach import PLUGIN_ID, RECIPES, modules
from supertokens_events.capture.coverage import Function
from supertokens_events.capture.rebind import is_rebound, rebound
from supertokens_events.capture.scope import Kind

__all__ = ["Attached", "Place", "Watched", "attached", "core_of_app", "described", "modules"]

_SDK = str(Path(supertokens_python.__file__).parent)


class Watched(NamedTuple):
    """One function of the started SDK that capture knows. ``beneath`` is what somebody else has put between capture and the SDK,
    ``above`` what stands around it; ``None``: nothing.
    """

    function: Function
    captured: bool
    beneath: str | None = None
    above: str | None = None


class Attached(NamedTuple):
    """``requests``: the SDK's middleware is watched. ``plugins`` are those of the SDK, the innermost first; ``hidden`` the
    recipes in whose place there is another object than the SDK's.
    """

    requests: bool
    plugins: tuple[str, ...]
    functions: Sequence[Watched]
    hidden: tuple[str, ...]

    @property
    def is_plugin(self) -> bool:
        """Whether capture is among the plugins; else it is attached by ``instrument()``, or not at all."""
        return PLUGIN_ID in self.plugins

    @property
    def nearer(self) -> tuple[str, ...]:
        """The plugins that are listed before ours, and so stand nearer to the SDK."""
        return self.plugins[: self.plugins.index(PLUGIN_ID)] if self.is_plugin else ()


class Place(NamedTuple):
    """The core as an app's ``init`` names it."""

    connection_uri: str
    api_key: str | None


def attached() -> Attached | None:
    """``None`` before ``init()``."""
    try:
        instance = Supertokens.get_instance()
    except Exception:  # the SDK's own way to say that there is none
        return None
    functions: list[Watched] = []
    hidden: list[str] = []
    for module in modules(instance):
        if module.get_recipe_id() not in RECIPES:
            continue
        for kind, implementation in _implementations(module):
            found = _of_the_sdk(implementation)
            if found is None or not _is_sdks_class(type(found)):
                hidden.append(module.get_recipe_id())
            if found is not None:
                functions += _watched(module.get_recipe_id(), kind, found, implementation)
    plugins = tuple(plugin.id for plugin in getattr(instance, "plugin_list", None) or ())
    return Attached(is_rebound(instance), plugins, functions, tuple(dict.fromkeys(hidden)))


def core_of_app() -> Place | None:
    """The core of the started SDK; ``None`` before ``init()``."""
    try:
        config = Supertokens.get_instance().supertokens_config
    except Exception:
        return None
    return Place(config.connection_uri, config.api_key) if config.connection_uri else None


def described(function: Callable[..., Any]) -> str:
    """Its name, file and line: a wrapper that pretends to be what it wraps is told by its code."""
    code = getattr(_bare(function), "__code__", None)
    if code is None:
        return type(function).__qualname__
    name = getattr(code, "co_qualname", code.co_name)  # since Python 3.11
    return f"{name.replace('.<locals>', '')} ({_short(code.co_filename)}:{code.co_firstlineno})"


def _implementations(module: Any) -> Iterator[tuple[Kind, Any]]:
    yield "function", module.recipe_implementation
    if hasattr(module, "api_implementation"):
        yield "api", module.api_implementation


def _of_the_sdk(implementation: Any) -> Any:
    """The SDK's own object: the one that is there, or the one that it hands calls on to."""
    inside = getattr(implementation, "__dict__", {}).values()
    candidates = [implementation, *inside]
    return next((one for one in candidates if rebound(one) or _is_sdks_class(type(one))), None)


def _is_sdks_class(cls: type) -> bool:
    sdks = [one.__name__ for one in cls.__mro__ if one.__module__.startswith("supertokens_python.")]
    return any(name.endswith("Implementation") for name in sdks)


def _watched(recipe_id: str, kind: Kind, sdks: Any, outermost: Any) -> Iterator[Watched]:
    wrappers = rebound(sdks)
    for name in RECIPES[recipe_id].watched(kind, sdks):
        if not hasattr(sdks, name):
            continue
        ours, outer = wrappers.get(name), getattr(outermost, name, None)
        beneath = None if ours is None else getattr(ours, "__wrapped__", None)
        yield Watched(
            Function(recipe_id, kind, name),
            ours is not None,
            None if beneath is None or _is_the_sdks(beneath) else described(beneath),
            None if outer is None or outer is ours or _is_the_sdks(outer) else described(outer),
        )


def _is_the_sdks(function: Callable[..., Any]) -> bool:
    code = getattr(_bare(function), "__code__", None)
    return code is not None and str(code.co_filename).startswith(_SDK)


def _bare(function: Callable[..., Any]) -> Any:
    while isinstance(function, partial):
        function = function.func
    return function.__func__ if inspect.ismethod(function) else function


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name
