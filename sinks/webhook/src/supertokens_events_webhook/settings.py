"""The settings of a webhook: its table in TOML, checked. What is wrong is said without repeating a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, WithJsonSchema, field_validator

from supertokens_events.retry import Duration
from supertokens_events.sink import SinkSettings
from supertokens_events_webhook.signing import key_from

__all__ = ["WebhookSettings"]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OWN_HEADERS = frozenset(
    {
        *("connection", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("content-encoding", "content-length", "content-type"),
    }
)
_PASSWORD = {"type": "string", "format": "password"}


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _signing(secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for secret in secrets:
        key_from(secret.get_secret_value())
    return secrets


def _sendable(headers: Mapping[str, SecretStr]) -> dict[str, SecretStr]:
    sendable: dict[str, SecretStr] = {}
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header")
        if name.lower() in _OWN_HEADERS or name.lower().startswith(("webhook-", "proxy-")):
            raise ValueError(f"{name!r} is set by the sink itself")
        if not _HEADER_VALUE.fullmatch(value.get_secret_value()):
            raise ValueError(f"the value of {name!r} may hold visible ASCII characters, spaces and tabs only")
        if name.lower() in sendable:
            raise ValueError(f"{name!r} is given twice")
        sendable[name.lower()] = value
    return sendable


class WebhookSettings(SinkSettings):
    """One destination. ``secret`` is ``whsec_…``, or a list of such: an event is signed with each, to rotate them.

    ``timeout`` is in seconds and bounds an attempt. ``allow_http`` permits a URL without TLS, ``allow_networks``
    (CIDRs) addresses that are not public.
    """

    allow_http: bool = False  # before `url`, whose check reads it
    url: str
    secret: Annotated[
        tuple[SecretStr, ...],
        BeforeValidator(_listed),
        Field(min_length=1),
        AfterValidator(_signing),
        WithJsonSchema({"anyOf": [_PASSWORD, {"type": "array", "items": _PASSWORD, "minItems": 1}]}),
    ]
    headers: Annotated[dict[str, SecretStr], AfterValidator(_sendable)] = Field(default_factory=dict)
    timeout: Annotated[Duration, Field(gt=0, le=40)] = 20.0
    allow_networks: tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(ip_network)], ...] = ()

    @field_validator("url")
    @classmethod
    def _url(cls, value: str, info: ValidationInfo) -> str:
        url = _parsed(value)
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError("expected a URL such as 'https://example.com/hooks'")
        if url.userinfo:
            raise ValueError("a user name or password in the URL is not sent; use headers")
        if url.scheme == "http" and not info.data.get("allow_http", True):
            raise ValueError("expected 'https://'; allow_http = true permits 'http://'")
        return value

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The fields, but of ``url`` only scheme, host and path: its query may hold a token."""
        for name, value in super().__repr_args__():
            yield name, str(_parsed(value).copy_with(query=None, fragment=None)) if name == "url" else value


def _parsed(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise ValueError("is not a URL") from None
