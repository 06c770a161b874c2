"""Attaching capture to the SDK: as its plugin (SDK ≥ 0.31), or after ``init()`` (any SDK)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from supertokens_python import Supertokens
from supertokens_python.recipe.accountlinking.recipe import AccountLinkingRecipe

from supertokens_events.capture import (
    accountlinking,
    dashboard,
    emailpassword,
    emailverification,
    jwt,
    multifactorauth,
    multitenancy,
    oauth2provider,
    openid,
    passwordless,
    saml,
    session,
    supertokens,
    thirdparty,
    totp,
    usermetadata,
    userroles,
    webauthn,
)
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

RECIPES: dict[str, Recipe] = {
    module.recipe.id: module.recipe
    for module in (
        accountlinking,
        dashboard,
        emailpassword,
        emailverification,
        jwt,
        multifactorauth,
        multitenancy,
        oauth2provider,
        openid,
        passwordless,
        saml,
        session,
        thirdparty,
        totp,
        usermetadata,
        userroles,
        webauthn,
    )
}


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
        _rebind_objects(Supertokens.get_instance(), emitter)

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
        instance = Supertokens.get_instance()
    except Exception:
        raise RuntimeError("events.instrument() comes after supertokens_python.init(...)") from None
    if is_rebound(instance):
        return
    _rebind_objects(instance, emitter)
    for module in _modules(instance):
        recipe = RECIPES.get(module.get_recipe_id())
        if recipe is not None:
            _guarded(_rebind_module, module, recipe, emitter)


def _rebind_objects(instance: Any, emitter: Emitter) -> None:
    """What no override reaches: the SDK's own instance, and the recipes' own objects."""
    _guarded(rebind_requests, instance)
    _guarded(rebind, instance, supertokens.recipe, "method", emitter)
    for module in instance.recipe_modules:
        recipe = RECIPES.get(module.get_recipe_id())
        if recipe is not None:
            _guarded(rebind, module, recipe, "method", emitter)


def _modules(instance: Any) -> list[Any]:
    """What ``init()`` was given, and account linking, which SDK ≤ 0.30 makes on first use."""
    modules = list(instance.recipe_modules)
    if not any(module.get_recipe_id() == accountlinking.recipe.id for module in modules):
        modules.append(AccountLinkingRecipe.get_instance())
    return modules


def _rebind_module(module: Any, recipe: Recipe, emitter: Emitter) -> None:
    """Not every recipe has a frontend API."""
    rebind(module.recipe_implementation, recipe, "function", emitter)
    if hasattr(module, "api_implementation"):
        rebind(module.api_implementation, recipe, "api", emitter)


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
