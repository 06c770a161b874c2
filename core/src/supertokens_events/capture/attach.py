"""Attaching capture to the SDK: as its plugin (SDK ≥ 0.31), or after ``init()`` (any SDK)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from supertokens_python import Supertokens

from supertokens_events.capture import emailpassword, session
from supertokens_events.capture.rebind import is_rebound, rebind, rebind_requests
from supertokens_events.capture.recipe import Recipe
from supertokens_events.capture.scope import Kind
from supertokens_events.emit import Emitter
from supertokens_events.log import get_logger

if TYPE_CHECKING:
    from supertokens_python.plugins import SuperTokensPlugin

__all__ = ["RECIPES", "instrument", "make_plugin"]

log = get_logger(__name__)

PLUGIN_ID = "supertokens-events"

RECIPES: dict[str, Recipe] = {recipe.id: recipe for recipe in (emailpassword.recipe, session.recipe)}


def make_plugin(emitter: Emitter) -> SuperTokensPlugin:
    """The ``SuperTokensPlugin``. Raises ``RuntimeError`` with an SDK that has no plugins."""
    try:
        from supertokens_python import plugins
    except ImportError:
        raise RuntimeError(
            f"supertokens-python {version('supertokens-python')} has no plugins (they came with 0.31): "
            "call events.instrument() after init() instead"
        ) from None

    def override(recipe: Recipe) -> Any:
        overrides = plugins.RecipePluginOverride()
        overrides.functions = _override(recipe, "function", emitter)
        overrides.apis = _override(recipe, "api", emitter)
        return overrides

    def init(config: Any, all_plugins: Any, sdk_version: Any) -> None:  # noqa: ARG001 - the SDK's signature
        _guarded(rebind_requests, Supertokens.get_instance())

    return plugins.SuperTokensPlugin(
        id=PLUGIN_ID,
        version=version("supertokens-events"),
        compatible_sdk_versions=">=0.31",
        override_map={recipe.id: override(recipe) for recipe in RECIPES.values()},
        init=init,
    )


def instrument(emitter: Emitter) -> None:
    """Rebind what ``init()`` has made. Raises ``RuntimeError`` before ``init()``; does nothing when capture is attached
    already.
    """
    try:
        supertokens = Supertokens.get_instance()
    except Exception:
        raise RuntimeError("events.instrument() comes after supertokens_python.init(...)") from None
    if is_rebound(supertokens):
        return
    _guarded(rebind_requests, supertokens)
    for module in supertokens.recipe_modules:
        recipe = RECIPES.get(module.get_recipe_id())  # type: ignore[no-untyped-call]
        if recipe is not None:
            _guarded(_override(recipe, "function", emitter), module.recipe_implementation)  # type: ignore[attr-defined]
            _guarded(_override(recipe, "api", emitter), module.api_implementation)  # type: ignore[attr-defined]


def _override(recipe: Recipe, kind: Kind, emitter: Emitter) -> Callable[[Any], Any]:
    return partial(_rebind_or_leave, recipe=recipe, kind=kind, emitter=emitter)


def _rebind_or_leave(implementation: Any, *, recipe: Recipe, kind: Kind, emitter: Emitter) -> Any:
    """An override that raised would abort the app's ``init()``."""
    _guarded(rebind, implementation, recipe, kind, emitter)
    return implementation


def _guarded(function: Callable[..., Any], *arguments: Any) -> None:
    try:
        function(*arguments)
    except Exception as error:
        log.error(
            "Capture could not be attached; the app goes on without it.",
            step=repr(function),
            error=type(error).__name__,
        )
