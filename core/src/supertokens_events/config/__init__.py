"""TOML to settings: what a user may write, secrets by reference, and errors that name the file and the key.

Nothing here touches the outbox or the network. A value is never repeated in an error: it may be a secret.
"""

from supertokens_events.config.errors import ConfigurationError
from supertokens_events.config.files import (
    CONFIG_VARIABLE,
    DEFAULT_FILE,
    find_file,
    load_file,
    load_settings,
    with_sinks,
)
from supertokens_events.config.model import (
    DEFAULT_EVENTS,
    AppSettings,
    CaptureSettings,
    CoreSettings,
    DispatcherSettings,
    OutboxSettings,
    ReconcileSettings,
    RetentionSettings,
    ServerSettings,
    Settings,
    SinkConfig,
)
from supertokens_events.config.reader import Reader
from supertokens_events.config.stamps import Stamp, stamp
from supertokens_events.config.values import parse_rate, parse_size

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_EVENTS",
    "DEFAULT_FILE",
    "AppSettings",
    "CaptureSettings",
    "ConfigurationError",
    "CoreSettings",
    "DispatcherSettings",
    "OutboxSettings",
    "Reader",
    "ReconcileSettings",
    "RetentionSettings",
    "ServerSettings",
    "Settings",
    "SinkConfig",
    "Stamp",
    "find_file",
    "load_file",
    "load_settings",
    "parse_rate",
    "parse_size",
    "stamp",
    "with_sinks",
]
