"""The settings of a Segment sink: its table in TOML, checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args

import httpx
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from supertokens_events.http import Networks, ProxyUrl
from supertokens_events.retry import Duration
from supertokens_events.sink import SinkSettings
from supertokens_events.suggest import nearest
from supertokens_events_segment.fields import DEFAULT_TRAITS, Trait
from supertokens_events_segment.mapping import MappedTypes, check, not_blank

__all__ = ["ENDPOINTS", "SegmentSettings"]

ENDPOINTS = {
    "us": "https://api.segment.io/v1/batch",
    "eu": "https://events.eu1.segmentapis.com/v1/batch",
}
"""Segment's own, by region."""

_PATH = "/v1/batch"
_WRITE_KEY = re.compile(r"[!-9;-~]+")  # visible ASCII; the colon ends a user name
_TRAITS: tuple[str, ...] = get_args(Trait)


class SegmentSettings(SinkSettings):
    """One source in Segment. ``write_key`` is its key; ``endpoint`` is ``"us"``, ``"eu"``, or the URL of something that speaks
    the same API.

    ``traits`` is all that may be said of a person, ``context`` what may be said of where a request came from: by default nothing.
    ``anonymous_id`` stands for the user in events about none. ``mapping`` changes what single event types become.
    ``timeout`` is in seconds and bounds a request. ``allow_http`` permits a URL without TLS, ``allow_networks`` (CIDRs)
    addresses that are not public. ``proxy`` is dialled instead of the endpoint.
    """

    write_key: SecretStr
    allow_http: bool = False  # before `endpoint`, whose check reads it
    endpoint: str = "us"
    traits: tuple[Trait, ...] = DEFAULT_TRAITS
    context: tuple[Literal["ip", "user_agent"], ...] = ()
    anonymous_id: Annotated[str, Field(max_length=200), AfterValidator(not_blank)] = "supertokens-events"
    mapping: MappedTypes = Field(default_factory=dict)  # after `traits`, which its check reads
    timeout: Annotated[Duration, Field(gt=0, le=40)] = 20.0
    allow_networks: Networks = ()
    proxy: ProxyUrl | None = None

    @property
    def url(self) -> httpx.URL:
        """Where batches are posted."""
        url = httpx.URL(ENDPOINTS.get(self.endpoint, self.endpoint))
        return url.copy_with(path=_PATH) if url.path == "/" else url

    @field_validator("write_key")
    @classmethod
    def _write_key(cls, value: SecretStr) -> SecretStr:
        if not _WRITE_KEY.fullmatch(value.get_secret_value()):
            raise ValueError("expected the write key of a source: visible ASCII characters without ':'")
        return value

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, value: str, info: ValidationInfo) -> str:
        if value in ENDPOINTS:
            return value
        try:
            url = httpx.URL(value)
        except (httpx.InvalidURL, ValueError):
            raise ValueError("is not a URL") from None
        if url.scheme not in {"http", "https"} or not url.host:
            raise ValueError("expected 'us', 'eu', or a URL such as 'https://events.example.com/v1/batch'")
        if url.userinfo or url.query or url.fragment:
            raise ValueError("a user name, a query or a fragment in the URL is not sent")
        if url.scheme == "http" and not info.data.get("allow_http", True):
            raise ValueError("expected 'https://'; allow_http = true permits 'http://'")
        return value

    @field_validator("traits", mode="before")
    @classmethod
    def _traits(cls, value: Any) -> Any:
        for name in value if isinstance(value, list | tuple) else ():
            if name not in _TRAITS:
                raise ValueError(
                    f"there is no trait {name!r}{nearest(str(name), _TRAITS)}; known: {', '.join(map(repr, _TRAITS))}"
                )
        return value

    @field_validator("mapping")
    @classmethod
    def _mapping(cls, value: MappedTypes, info: ValidationInfo) -> MappedTypes:
        check(value, info.data.get("traits", _TRAITS))
        return value

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """The fields, and of ``mapping`` what the table says."""
        for name, value in super().__repr_args__():
            yield name, {key: mapped.said for key, mapped in value.items()} if name == "mapping" else value
