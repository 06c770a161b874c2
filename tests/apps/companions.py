"""Other plugins and the app's own overrides, as they may stand around capture."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from supertokens_python.recipe import emailpassword, session
from supertokens_python.types import GeneralErrorResponse

Override = Callable[[Any], Any]


def rebinding(implementation: Any) -> Any:
    """Replaces methods on the SDK's own object, as we do."""
    for name in (
        "sign_up",
        "create_new_recipe_user",
        "sign_in",
        "sign_in_post",
        "sign_up_post",
        "create_new_session",
        "revoke_session",
    ):
        if hasattr(implementation, name):
            setattr(implementation, name, _passing_on(getattr(implementation, name)))
    return implementation


def _passing_on(function: Any) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


class _Delegate:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def delegating(implementation: Any) -> Any:
    """Puts an object of its own in the place of the SDK's: what the SDK calls on itself passes by it."""
    return _Delegate(implementation)


def plugin(override: Override) -> Any:
    """Another plugin, with this override everywhere that we have one."""
    from supertokens_python.plugins import RecipePluginOverride, SuperTokensPlugin

    everywhere = RecipePluginOverride()
    everywhere.functions = everywhere.apis = override
    return SuperTokensPlugin(
        id="another-plugin",
        version="1.0",
        compatible_sdk_versions=">=0.31",
        override_map={"emailpassword": everywhere, "session": everywhere},
    )


def app_override(override: Override) -> dict[str, Any]:
    """The same override, written in the app's own recipe list."""
    return {
        "ep_override": emailpassword.InputOverrideConfig(functions=override, apis=override),
        "session_override": session.InputOverrideConfig(functions=override, apis=override),
    }


def closing_sign_in(implementation: Any) -> Any:
    """Answers a sign-in by itself: nobody gets in today."""

    async def sign_in_post(*_: Any, **__: Any) -> GeneralErrorResponse:
        return GeneralErrorResponse("We are closed.")

    implementation.sign_in_post = sign_in_post
    return implementation


def noting_user_context(seen: list[Any]) -> Override:
    """Notes every ``user_context`` that the recipe functions are given."""

    def noting(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            seen.append(kwargs["user_context"] if "user_context" in kwargs else args[-1])
            return await function(*args, **kwargs)

        return wrapper

    def override(implementation: Any) -> Any:
        for name in ("sign_up", "create_new_recipe_user", "sign_in", "create_new_session"):
            if hasattr(implementation, name):
                setattr(implementation, name, noting(getattr(implementation, name)))
        return implementation

    return override
