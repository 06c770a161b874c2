"""The headers that a person adds to a webhook's: which names may be set, and under which other names ours go out too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

__all__ = ["SIGNED", "legacy", "sendable"]

SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")
"""What Standard Webhooks asks for."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_OWN = frozenset(
    {
        *("connection", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
        *("content-encoding", "content-length", "content-type"),
    }
)
_OWN_PREFIXES = ("webhook-", "proxy-", "ce-")


def sendable(headers: Mapping[str, SecretStr]) -> dict[str, SecretStr]:
    """``headers`` with names in lower case. Raises ``ValueError`` for what cannot be sent or is not theirs to set."""
    found: dict[str, SecretStr] = {}
    for name, value in headers.items():
        _check_name(name)
        if not _VALUE.fullmatch(value.get_secret_value()):
            raise ValueError(f"the value of {name!r} may hold visible ASCII characters, spaces and tabs only")
        if name.lower() in found:
            raise ValueError(f"{name!r} is given twice")
        found[name.lower()] = value
    return found


def legacy(value: Any) -> dict[str, str]:
    """Other names for our headers: from a list of prefixes (``["svix"]``: ``svix-id`` and so on), or from a table of such names,
    each with the header that it repeats. Raises ``ValueError``.
    """
    if isinstance(value, Mapping):
        return _renamed({str(name): str(source) for name, source in value.items()})
    if isinstance(value, list | tuple):
        return _renamed({f"{prefix}{own.removeprefix('webhook')}": own for prefix in value for own in SIGNED})
    raise ValueError('expected a list of prefixes, such as ["svix"], or a table, such as { x-event-id = "webhook-id" }')


def _renamed(names: Mapping[str, str]) -> dict[str, str]:
    for name, source in names.items():
        _check_name(name)
        if source not in SIGNED:
            raise ValueError(f"{name!r} can repeat {', '.join(SIGNED)}, not {source!r}")
    return {name.lower(): source for name, source in names.items()}


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a header")
    if name.lower() in _OWN or name.lower().startswith(_OWN_PREFIXES):
        raise ValueError(f"{name!r} is set by the sink itself")
