"""SuperTokens as an app starts it, and as a test ends it again: the SDK keeps everything in its classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any
from urllib.parse import parse_qs, urlsplit

from supertokens_python import InputAppInfo, Supertokens, SupertokensConfig, init
from supertokens_python.ingredients.emaildelivery.types import EmailDeliveryConfig, EmailDeliveryInterface
from supertokens_python.post_init_callbacks import PostSTInitCallbacks
from supertokens_python.querier import Querier
from supertokens_python.recipe import accountlinking, emailpassword, session
from supertokens_python.recipe.accountlinking.types import ShouldNotAutomaticallyLink
from supertokens_python.recipe.session.jwks import reset_jwks_cache
from supertokens_python.recipe_module import RecipeModule

from supertokens_events import Events

DOMAIN = "http://localhost"

HAS_PLUGINS = find_spec("supertokens_python.plugins") is not None
WAYS = ["plugin", "instrument"] if HAS_PLUGINS else ["instrument"]
"""How events can be attached to this version of the SDK."""


class Mailbox(EmailDeliveryInterface[Any]):
    """Where the app's e-mails go."""

    def __init__(self) -> None:
        self.links: list[str] = []

    async def send_email(self, template_vars: Any, user_context: dict[str, Any]) -> None:
        self.links.append(template_vars.password_reset_link)

    @property
    def token(self) -> str:
        """The token in the latest link."""
        return parse_qs(urlsplit(self.links[-1]).query)["token"][0]


async def _link_nobody(*_: Any) -> ShouldNotAutomaticallyLink:
    return ShouldNotAutomaticallyLink()


MORE: dict[str, Callable[[], Any]] = {
    "accountlinking": lambda: accountlinking.init(should_do_automatic_account_linking=_link_nobody),
}
"""Recipes that an app may have beside the two that every app here has."""


def recipes(
    mailbox: Mailbox,
    *,
    more: Sequence[str] = (),
    ep_override: Any = None,
    session_override: Any = None,
    **session_config: Any,
) -> list[Any]:
    """What the app's ``init`` lists: e-mail and password, sessions, and ``more``."""
    return [
        emailpassword.init(email_delivery=EmailDeliveryConfig(service=mailbox), override=ep_override),
        session.init(override=session_override, **{"anti_csrf": "NONE", **session_config}),
        *(MORE[name]() for name in more),
    ]


def start(
    core_url: str,
    recipe_list: Sequence[Any],
    events: Events | None = None,
    *,
    attach: str = WAYS[0],
    below: Sequence[Any] = (),
    above: Sequence[Any] = (),
    framework: str = "fastapi",
    mode: str = "asgi",
) -> None:
    """``supertokens_python.init``, with ``events`` attached in one of the :data:`WAYS`.

    ``below`` and ``above`` are other plugins, nearer to the SDK than ours and farther from it.
    """
    ours = [events.plugin()] if events and attach == "plugin" else []
    init(
        app_info=InputAppInfo(app_name="App", api_domain=DOMAIN, website_domain=DOMAIN),
        supertokens_config=SupertokensConfig(connection_uri=core_url),
        framework=framework,
        mode=mode,
        recipe_list=list(recipe_list),
        telemetry=False,
        **_told_of([*below, *ours, *above]),
    )
    if events and attach == "instrument":
        events.instrument()


def _told_of(plugins: Sequence[Any]) -> dict[str, Any]:
    """What ``init`` is told of plugins, where the SDK has any."""
    if not plugins:
        return {}
    from supertokens_python import SupertokensExperimentalConfig

    return {"experimental": SupertokensExperimentalConfig(plugins=list(plugins))}


def reset() -> None:
    """As if ``init`` had never been called."""
    for recipe in RecipeModule.__subclasses__():
        recipe.reset()
    PostSTInitCallbacks.reset()
    Supertokens.reset()
    Querier.api_version = None
    reset_jwks_cache()


@contextmanager
def started(core_url: str, recipe_list: Sequence[Any], events: Events | None = None, **how: Any) -> Iterator[None]:
    """The SDK between :func:`start` and the end of a test."""
    assert Supertokens._Supertokens__instance is None, "another test's SDK still runs; init() would do nothing"
    try:
        start(core_url, recipe_list, events, **how)
        yield
    finally:
        reset()
