"""The settings of a Slack sink: its table in TOML, checked. What is wrong is said without repeating a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from supertokens_events.catalog import builtin_catalog
from supertokens_events.event import event_type
from supertokens_events.http import Networks, ProxyUrl
from supertokens_events.retry import Duration
from supertokens_events.sink import SinkSettings
from supertokens_events.subscription import Patterns, check_pattern
from supertokens_events.suggest import nearest
from supertokens_events_slack.bundles import Rule, ThreadKey
from supertokens_events_slack.template import Template, UrlTemplate

__all__ = ["RuleSettings", "SlackSettings"]

_CHANNEL = re.compile(r"#?[^\s#@,:<>]{1,80}")
_TOKEN = re.compile(r"xox[!-~]+")
_API = "https://slack.com/api/"


def _channel(value: str) -> str:
    if not _CHANNEL.fullmatch(value):
        raise ValueError("expected a channel such as 'C0123456789' or '#oncall'")
    return value


def _flat(value: Any) -> Any:
    """A table of texts by type. TOML reads ``user.created = "…"`` as a table in a table; it is ``"user.created" = "…"`` here."""
    if not isinstance(value, Mapping):
        return value
    found: dict[str, Any] = {}
    for name, text in value.items():
        inner = _flat(text)
        below = {f".{rest}": one for rest, one in inner.items()} if isinstance(inner, dict) else {"": inner}
        found |= {f"{name}{rest}": one for rest, one in below.items()}
    return found


def _patterns(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("must not be empty")
    for pattern in value:
        check_pattern(pattern)
    return value


Channel = Annotated[str, AfterValidator(_channel)]


class RuleSettings(SinkSettings):
    """``[[sinks.NAME.rules]]``: events of types that match ``events`` go to ``channel``."""

    events: Annotated[tuple[str, ...], AfterValidator(_patterns)]
    channel: Channel


class SlackSettings(SinkSettings):
    """Either ``webhook_url``, an incoming webhook's; or ``token``, an app's, with the ``channel`` for all that no rule sends
    elsewhere.

    ``threads`` (``"user"`` or ``"correlation"``) has what belongs together be one thread; ``templates`` are texts by event type;
    ``dashboard_url`` is what each event links to, with fields of the event in it. ``timeout`` is in seconds and bounds one
    message. ``allow_http`` permits a URL without TLS, ``allow_networks`` (CIDRs) addresses that are not public, ``proxy`` is
    dialled instead.
    """

    allow_http: bool = False  # before the URLs, whose check reads it
    webhook_url: SecretStr | None = None
    token: Annotated[SecretStr | None, Field(validate_default=True)] = None
    channel: Annotated[Channel | None, Field(validate_default=True)] = None
    rules: tuple[RuleSettings, ...] = ()
    threads: ThreadKey | None = None
    templates: Annotated[dict[str, str], BeforeValidator(_flat)] = Field(default_factory=dict)
    dashboard_url: str | None = None
    timeout: Annotated[Duration, Field(gt=0, le=30)] = 10.0
    api_url: str = _API
    allow_networks: Networks = ()
    proxy: ProxyUrl | None = None

    @cached_property
    def texts(self) -> Mapping[str, Template]:
        """``templates``, parsed."""
        return {name: _template(name, text) for name, text in self.templates.items()}

    @cached_property
    def dashboard(self) -> UrlTemplate | None:
        """``dashboard_url``, parsed."""
        return None if self.dashboard_url is None else UrlTemplate.parse(self.dashboard_url)

    @cached_property
    def routes(self) -> tuple[Rule, ...]:
        """``rules``, with their patterns compiled."""
        return tuple(Rule(Patterns(rule.events), rule.channel) for rule in self.rules)

    @field_validator("webhook_url")
    @classmethod
    def _webhook_url(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None:
            url = _url(value.get_secret_value(), info, "https://hooks.slack.com/services/…")
            if url.path.strip("/") == "":
                raise ValueError("expected the whole URL of a webhook, such as 'https://hooks.slack.com/services/…'")
        return value

    @field_validator("token")
    @classmethod
    def _token(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if "webhook_url" not in info.data:
            return value
        if value is None and info.data["webhook_url"] is None:
            raise ValueError("is required, or else webhook_url: one of them says where messages are posted")
        if value is not None and info.data["webhook_url"] is not None:
            raise ValueError("goes without webhook_url: one of them says where messages are posted")
        if value is not None and not _TOKEN.fullmatch(value.get_secret_value()):
            raise ValueError("expected a bot's token, such as 'xoxb-…'")
        return value

    @field_validator("channel")
    @classmethod
    def _channel(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("token") is not None:
            raise ValueError("is required beside token")
        _check_token(value, info)
        return value

    @field_validator("rules", "threads")
    @classmethod
    def _needs_token(cls, value: Any, info: ValidationInfo) -> Any:
        _check_token(value, info)
        return value

    @field_validator("templates")
    @classmethod
    def _templates(cls, value: dict[str, str]) -> dict[str, str]:
        """All that is wrong at once: each start that fails is one more try for somebody."""
        if problems := [problem for name, text in value.items() if (problem := _problem(name, text))]:
            raise ValueError("; ".join(problems))
        return value

    @field_validator("dashboard_url")
    @classmethod
    def _dashboard_url(cls, value: str | None) -> str | None:
        if value is not None:
            UrlTemplate.parse(value)
        return value

    @field_validator("api_url")
    @classmethod
    def _api_url(cls, value: str, info: ValidationInfo) -> str:
        if _url(value, info, _API).query:
            raise ValueError(f"expected a URL such as '{_API}'")
        return value

    def doubts(self) -> list[str]:
        """What may be meant otherwise."""
        catalog = builtin_catalog()
        if not (strange := [name for name in self.templates if name not in catalog]):
            return []
        known = [data_model.event_type for data_model in catalog]
        return [
            f"templates: {name!r} is no built-in event type{nearest(name, known)}; its fields are not checked"
            for name in strange
        ]


def _check_token(value: object, info: ValidationInfo) -> None:
    """Raises ``ValueError`` where there is a webhook: that has one channel, and does not say what a message is called there."""
    if value and info.data.get("webhook_url") is not None and "token" in info.data:
        raise ValueError("goes with token only: an incoming webhook has one channel, and no threads")


def _template(name: str, text: str) -> Template:
    """Raises ``ValueError``, which names the type."""
    event_type(name)
    try:
        return Template.parse(text, builtin_catalog().get(name))
    except ValueError as error:
        raise ValueError(f"{name!r}: {error}") from None


def _problem(name: str, text: str) -> str | None:
    try:
        _template(name, text)
    except ValueError as error:
        return str(error)
    return None


def _url(text: str, info: ValidationInfo, example: str) -> httpx.URL:
    """Raises ``ValueError``, which never repeats it."""
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        raise ValueError(f"expected a URL such as '{example}'") from None
    if url.scheme not in {"http", "https"} or not url.host or url.fragment:
        raise ValueError(f"expected a URL such as '{example}'")
    if url.userinfo:
        raise ValueError("a user name or password in the URL is not sent")
    if url.scheme == "http" and not info.data.get("allow_http", True):
        raise ValueError("expected 'https://'; allow_http = true permits 'http://'")
    return url
