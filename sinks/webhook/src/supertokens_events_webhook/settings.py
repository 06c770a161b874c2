"""The settings of a webhook: its table in TOML, checked. What is wrong is said without repeating a secret."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator

from supertokens_events.config.values import Size
from supertokens_events.http import Networks, ProxyUrl, client_context
from supertokens_events.retry import Duration
from supertokens_events.sink import SinkSettings
from supertokens_events_webhook.headers import legacy, sendable
from supertokens_events_webhook.keys import Secrets
from supertokens_events_webhook.payload import Format
from supertokens_events_webhook.tokens import TokenSettings, token_key
from supertokens_events_webhook.transform import function_named

__all__ = ["WebhookSettings"]

_DAY_TO_DAY = 1024 * 1024  # bytes
_SHAPED = ("thin", "set")  # formats that say for themselves what is in the payload


class WebhookSettings(SinkSettings):
    """One destination. ``secret`` is a key (``whsec_…``), a table ``{ key = "…", until = … }``, or a list of such: an event is
    signed with each that has not ended, to rotate them.

    ``timeout`` is in seconds and bounds an attempt, ``max_size`` is in bytes and bounds a payload. ``allow_http`` permits a URL
    without TLS, ``allow_networks`` (CIDRs) addresses that are not public. ``proxy`` is dialled instead of the destination.
    """

    allow_http: bool = False  # before `url`, whose check reads it
    url: str
    secret: Secrets
    format: Format = "full"
    transform: str | None = None
    token: Annotated[TokenSettings | None, Field(validate_default=True)] = None
    headers: Annotated[dict[str, SecretStr], AfterValidator(sendable)] = Field(default_factory=dict)
    legacy_headers: Annotated[dict[str, str], BeforeValidator(legacy)] = Field(default_factory=dict)
    timeout: Annotated[Duration, Field(gt=0, le=40)] = 20.0
    max_size: Size = _DAY_TO_DAY
    gzip: bool = False
    allow_networks: Networks = ()
    proxy: ProxyUrl | None = None
    ca_file: Path | None = None
    client_key: Path | None = None
    client_key_password: SecretStr | None = None
    client_certificate: Annotated[Path | None, Field(validate_default=True)] = None  # after what its check reads

    @cached_property
    def tls(self) -> ssl.SSLContext | None:
        """What TLS is done with, where it is not what everybody does."""
        if self.ca_file is None and self.client_certificate is None:
            return None
        return client_context(
            ca_file=self.ca_file,
            certificate=self.client_certificate,
            key=self.client_key,
            password=_text(self.client_key_password),
        )

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

    @field_validator("transform")
    @classmethod
    def _transform(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            function_named(value)
            if (shape := info.data.get("format")) in _SHAPED:
                raise ValueError(f"the format {shape!r} says for itself what is sent; a transform goes with the others")
        return value

    @field_validator("token")
    @classmethod
    def _token(cls, value: TokenSettings | None, info: ValidationInfo) -> TokenSettings | None:
        is_asked = info.data.get("format") == "set"
        if value is None and is_asked:
            raise ValueError('the format \'set\' needs a table, such as { issuer = "…", audience = "…" }')
        if value is not None and not is_asked and "format" in info.data:
            raise ValueError("goes with the format 'set' only")
        if value is not None and "secret" in info.data:
            token_key(value, [secret.key for secret in info.data["secret"]])
        return value

    @field_validator("legacy_headers")
    @classmethod
    def _legacy(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        for name in value:
            if name in info.data.get("headers", {}):
                raise ValueError(f"{name!r} is given twice: here and in headers")
        return value

    @field_validator("ca_file", "client_key", "client_certificate")
    @classmethod
    def _beside_the_configuration(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        return path and Path((info.context or {}).get("folder", "")) / path

    @field_validator("client_certificate")
    @classmethod
    def _tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        ca_file, key, password = (info.data.get(name) for name in ("ca_file", "client_key", "client_key_password"))
        if value is None and (key or password):
            raise ValueError("is required beside client_key and client_key_password")
        if value is not None or ca_file is not None:
            client_context(ca_file=ca_file, certificate=value, key=key, password=_text(password))
        return value

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The fields, but of ``url`` only scheme, host and path: its query may hold a token."""
        for name, value in super().__repr_args__():
            yield name, str(_parsed(value).copy_with(query=None, fragment=None)) if name == "url" else value


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _parsed(url: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise ValueError("is not a URL") from None
