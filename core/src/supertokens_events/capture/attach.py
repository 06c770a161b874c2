"""Attaching capture to the SDK: as its plugin (SDK ≥ 0.31), or after ``init()`` (any SDK)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from supertokens_python import Supertokens
from supertokens_python.recipe.accountlinking.recipe import AccountLinkingRecipe

from supertokens_events.capture.rebind import is_rebound, rebind, rebind_requests
from supertokens_events.capture.recipe import Recipes
from supertokens_events.capture.scope import Kind
from supertokens_events.emit import Emitter
from supertokens_events.ledger import Reason
from supertokens_events.log import describe_exception, get_logger

if TYPE_CHECKING:
    from supertokens_python.plugins import SuperTokensPlugin

__all__ = ["PLUGIN_ID", "RECIPES", "instrument", "make_plugin", "modules"]

log = get_logger(__name__)

PLUGIN_ID = "supertokens-events"

RECIPES = Recipes(
    __package__,
    """
    accountlinking dashboard emailpassword emailverification jwt multifactorauth multitenancy oauth2provider openid
    passwordless saml session thirdparty totp usermetadata userroles webauthn
    """.split(),  # noqa: SIM905 - a list of words reads best as words
)


def make_plugin(emitter: Emitter) -> SuperTokensPlugin:
    """The ``SuperTokensPlugin``. Raises ``RuntimeError`` with an SDK that has no plugins."""
    try:
        from supertokens_python import plugins
    except ImportError:
        raise RuntimeError(
            f"supertokens-python {version('supertokens-python')} has no plugins (they came with 0.31): "
            "call events.instrument() after init() instead"
        ) from None

    def override(recipe_id: str) -> Any:
        overrides = plugins.RecipePluginOverride()
        overrides.functions = _override(recipe_id, "function", emitter)
        overrides.apis = _override(recipe_id, "api", emitter)
        return overrides

    def init(config: Any, all_plugins: Any, sdk_version: Any) -> None:  # noqa: ARG001 - the SDK's signature
        _rebind_objects(Supertokens.get_instance(), emitter)

    return plugins.SuperTokensPlugin(
        id=PLUGIN_ID,
        version=version("supertokens-events"),
        compatible_sdk_versions=">=0.31",
        override_map={recipe_id: override(recipe_id) for recipe_id in RECIPES},
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
    for module in modules(instance):
        _guarded(emitter, module.get_recipe_id(), _rebind_module, module, emitter)


def _rebind_objects(instance: Any, emitter: Emitter) -> None:
    """What no override reaches: the SDK's own instance, and the recipes' own objects."""
    _guarded(emitter, "supertokens.middleware", rebind_requests, instance, emitter)
    _guarded(emitter, "supertokens", _rebind_instance, instance, emitter)
    for module in instance.recipe_modules:
        _guarded(emitter, module.get_recipe_id(), _rebind, module, module.get_recipe_id(), "method", emitter)


def _rebind_instance(instance: Any, emitter: Emitter) -> None:
    from supertokens_events.capture import supertokens  # not before init(): it brings event types

    rebind(instance, supertokens.recipe, "method", emitter)


def modules(instance: Any) -> list[Any]:
    """What ``init()`` was given, and account linking, which SDK ≤ 0.30 makes on first use."""
    modules = list(instance.recipe_modules)
    if not any(module.get_recipe_id() == AccountLinkingRecipe.recipe_id for module in modules):
        modules.append(AccountLinkingRecipe.get_instance())
    return modules


def _rebind_module(module: Any, emitter: Emitter) -> None:
    """Not every recipe has a frontend API."""
    if module.get_recipe_id() not in RECIPES:
        return
    recipe = RECIPES[module.get_recipe_id()]
    rebind(module.recipe_implementation, recipe, "function", emitter)
    if hasattr(module, "api_implementation"):
        rebind(module.api_implementation, recipe, "api", emitter)


def _override(recipe_id: str, kind: Kind, emitter: Emitter) -> Callable[[Any], Any]:
    return partial(_rebind_or_leave, recipe_id=recipe_id, kind=kind, emitter=emitter)


def _rebind_or_leave(implementation: Any, *, recipe_id: str, kind: Kind, emitter: Emitter) -> Any:
    """An override that raised would abort the app's ``init()``."""
    _guarded(emitter, recipe_id, _rebind, implementation, recipe_id, kind, emitter)
    return implementation


def _rebind(implementation: Any, recipe_id: str, kind: Kind, emitter: Emitter) -> None:
    """The recipe is imported here, where the SDK uses it: an app uses few."""
    if recipe_id in RECIPES:
        rebind(implementation, RECIPES[recipe_id], kind, emitter)


def _guarded(emitter: Emitter, subject: str, function: Callable[..., Any], *arguments: Any) -> None:
    """``subject``: the recipe, or what of the SDK, as the log and the ledger name it."""
    try:
        function(*arguments)
    except Exception as error:
        emitter.ledger.count(Reason.CAPTURE_FAILED, subject=subject)
        log.error(
            "Capture could not be attached; the app goes on without it.",
            subject=subject,
            error=describe_exception(error),
        )
