"""The tables that a user may write, each key with its default, and the settings that they become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from supertokens_events.catalog import Catalog
from supertokens_events.config.keys import ApiKey, EncryptionKey, listed
from supertokens_events.config.stamps import Stamp
from supertokens_events.config.values import Age, Rate, Size
from supertokens_events.retry import Duration, RetryPolicy
from supertokens_events.sink import Sink
from supertokens_events.subscription import Patterns, Subscription

__all__ = [
    "DEFAULT_EVENTS",
    "AppSettings",
    "CaptureSettings",
    "CommonSinkKeys",
    "CoreSettings",
    "DispatcherSettings",
    "OutboxSettings",
    "ReconcileSettings",
    "RetentionSettings",
    "ServerSettings",
    "Settings",
    "SinkConfig",
]

DEFAULT_EVENTS = "@default"

_DAY = 86400.0  # seconds

Concurrency = Annotated[int, Field(ge=1, le=1000, strict=True)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class AppSettings(_Table):
    """``[app]``. ``source`` is the ``source`` of every event: the app's own URL."""

    source: str | None = None


class RetentionSettings(_Table):
    """``[outbox.retention]``: how long rows are kept, in seconds since the event was stored; ``None``, in TOML
    ``"forever"``: for ever. What is pending stays however old it is.
    """

    events: Age = 90 * _DAY
    deliveries: Age = 30 * _DAY
    """Done and skipped ones."""
    dead: Age = 90 * _DAY
    attempts: Age = 30 * _DAY
    ledger: Age = None
    """Since the last count."""


class OutboxSettings(_Table):
    """``[outbox]``. A relative SQLite path is relative to the TOML file; ``append_timeout`` is the deadline inside an
    auth call.
    """

    url: SecretStr = SecretStr("sqlite:supertokens-events.db")
    """It may hold a password, so no ``repr`` shows it."""
    durability: Literal["normal", "full"] = "normal"
    append_timeout: Duration = 1.0
    max_size: Size | None = None
    """Bytes that may be in use, from which on a new event has to find room; ``None``: no limit. With SQLite those of the file's
    pages that are not free, without the WAL; with PostgreSQL an estimate of what the rows take.
    """
    when_full: Literal["refuse", "drop_oldest_done"] = "refuse"
    """What comes of a new event that finds no room: it is refused, and so lost, counted and logged; or the oldest events go that
    nobody waits for (without a pending or dead delivery), and only where there are none it is refused.
    """
    retention: RetentionSettings = RetentionSettings()
    erase_on_user_deleted: bool = False
    """Whether, after ``user.deleted``, a dispatcher erases the payloads of that user's events up to that one: of those whose
    ``user_id`` it is, each once no delivery of it is pending.
    """


class CaptureSettings(_Table):
    """``[capture]``. ``"@default"`` in ``events`` stands for every type that is not high-volume; ``context`` lists the
    fields to keep; ``trusted_proxies`` the networks (CIDRs) of our own proxies, whose ``X-Forwarded-For`` is believed.
    """

    events: tuple[str, ...] = (DEFAULT_EVENTS,)
    context: tuple[Literal["ip", "user_agent", "method", "path", "request_id", "origin"], ...] | None = None
    trusted_proxies: tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(ip_network)], ...] = ()


class DispatcherSettings(_Table):
    """``[dispatcher]``. ``run = "off"``: this app only stores; ``supertokens-events dispatch`` delivers."""

    run: Literal["thread", "off"] = "thread"
    poll_interval: Duration = Field(default=0.5, ge=0.01)
    """How often to look for what another process stored, in seconds."""
    concurrency: Concurrency | None = None
    """Calls of each sink at once, where neither its table nor its type says; ``None``: 10."""


class ServerSettings(_Table):
    """``[server]``: the management API, and what it stores. Every process that delivers reads it too."""

    api_keys: tuple[ApiKey, ...] = ()
    """Who shows one of them may do everything that the API can; none: it does not start."""
    encryption_key: Annotated[tuple[EncryptionKey, ...], BeforeValidator(listed)] = ()
    """What secrets of stored sinks are encrypted with: one key, or several. The first encrypts, each of them decrypts."""


class CoreSettings(_Table):
    """``[core]``: the SuperTokens core that ``backfill`` and ``reconcile`` read, as the app's ``init`` names it."""

    connection_uri: SecretStr | None = None
    """Its URL, with the path of an app (``/appid-…``) where there is one; several with ``;`` between them. One may hold a
    password, so no ``repr`` shows it.
    """
    api_key: SecretStr | None = None

    @field_validator("connection_uri")
    @classmethod
    def _check(cls, uri: SecretStr | None) -> SecretStr | None:
        hosts = _hosts(uri)
        if uri is not None and not (hosts and all(map(_is_http, hosts))):
            raise ValueError("expected a URL such as 'http://localhost:3567', or several with ';' between them")
        return uri

    @field_validator("api_key")
    @classmethod
    def _can_be_sent(cls, key: SecretStr | None) -> SecretStr | None:
        text = "-" if key is None else key.get_secret_value()
        if not (text.isascii() and text.isprintable() and text == text.strip() and text):
            raise ValueError("expected ASCII characters, without spaces or line ends around them")
        return key

    @property
    def hosts(self) -> list[str]:
        """The URLs, without a slash at the end; none when no core is configured."""
        return _hosts(self.connection_uri)


class ReconcileSettings(_Table):
    """``[reconcile]``: that dispatchers compare the outbox with the core by themselves, one of them at a time."""

    every: Annotated[Duration, Field(ge=60)] | None = None
    """Seconds from one comparison to the next; ``None``: none by itself."""
    fix: bool = False
    """Whether what is missing is said. Without it a difference is logged and counted."""
    tenants: bool = False
    roles: bool = False


def _hosts(uri: SecretStr | None) -> list[str]:
    written = [] if uri is None else uri.get_secret_value().split(";")
    return [host.strip().rstrip("/") for host in written if host.strip()]


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


class CommonSinkKeys(BaseModel):
    """The keys that every sink has. The rest of its table belongs to its type's ``Settings``."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    type: str
    events: tuple[str, ...] = Field(min_length=1)
    tenants: tuple[str, ...] = ()
    where: dict[str, Any] = Field(default_factory=dict)
    ordering: Literal["none", "user"] | None = None
    """``None``: as the sink's type says, which is ``"none"`` unless its author chose otherwise."""
    concurrency: Concurrency | None = None
    rate: Rate | None = None
    retry: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = True


@dataclass(frozen=True)
class SinkConfig:
    """One ``[sinks.NAME]`` table. ``sink_type`` is ``None`` when its plugin is installed but could not be loaded: its
    deliveries wait.

    ``ordered``: each user's events one after the other. ``concurrency`` (calls at once) and ``rate`` (calls a second) are
    ``None`` where the sink type's own stay. ``table`` is what all this was read from, references and secrets as they stand there.
    """

    name: str
    type_name: str
    subscription: Subscription
    enabled: bool
    retry: RetryPolicy
    sink_type: type[Sink[Any]] | None
    settings: BaseModel | None
    ordered: bool = False
    concurrency: int | None = None
    rate: float | None = None
    table: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def build(self) -> Sink[Any] | None:
        """A new sink of this configuration, not yet open."""
        if self.sink_type is None or self.settings is None:
            return None
        sink = self.sink_type(self.name, self.settings)
        sink.retry = self.retry
        sink.ordered = self.ordered
        if self.concurrency is not None:
            sink.concurrency = self.concurrency
        if self.rate is not None:
            sink.rate = self.rate
        return sink

    def builds_like(self, other: SinkConfig) -> bool:
        """Whether a sink of ``other`` would be the same: what they subscribe to may differ."""
        return self._built_of() == other._built_of()

    def _built_of(self) -> tuple[object, ...]:
        return self.name, self.sink_type, self.settings, self.retry, self.concurrency, self.rate, self.ordered


@dataclass(frozen=True)
class Settings:
    """A whole configuration, checked. ``file`` is its name in errors; relative paths start at ``folder``.

    ``path`` is the file that it was read from, if any; ``files`` are that one and those it refers to, as they were then.
    """

    app: AppSettings
    outbox: OutboxSettings
    capture: CaptureSettings
    dispatcher: DispatcherSettings
    sinks: Mapping[str, SinkConfig]
    file: str
    folder: Path
    path: Path | None = None
    files: Mapping[Path, Stamp] = field(default_factory=dict, repr=False)
    server: ServerSettings = field(default_factory=ServerSettings)
    core: CoreSettings = field(default_factory=CoreSettings)
    reconcile: ReconcileSettings = field(default_factory=ReconcileSettings)

    def captured(self, catalog: Catalog) -> Patterns:
        """``[capture] events`` with ``@default`` spelled out."""
        quiet = [f"!{name}" for name in catalog.high_volume]
        patterns: list[str] = []
        for pattern in self.capture.events:
            patterns += ["*", *quiet] if pattern == DEFAULT_EVENTS else [pattern]
        return Patterns(patterns)
