"""The outbox: where events and deliveries are stored until every sink has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from supertokens_events.outbox.contract import (
    Attempt,
    Claim,
    DeliveryState,
    Entry,
    LedgerCount,
    NewDelivery,
    Outbox,
    OutboxError,
    OutboxUnavailable,
    Settlement,
    SinkStatus,
    StoredDelivery,
    StoredEvent,
)
from supertokens_events.outbox.sqlite import SqliteOutbox

__all__ = [
    "Attempt",
    "Claim",
    "DeliveryState",
    "Entry",
    "LedgerCount",
    "NewDelivery",
    "Outbox",
    "OutboxError",
    "OutboxUnavailable",
    "Settlement",
    "SinkStatus",
    "SqliteOutbox",
    "StoredDelivery",
    "StoredEvent",
    "open_outbox",
]


def open_outbox(
    url: str, *, folder: Path, durability: str = "normal", clock: Callable[[], float] = time.time
) -> Outbox:
    """The outbox that ``url`` names, not yet opened: ``sqlite:events.db`` (in ``folder``) or
    ``sqlite:///var/lib/app/events.db``.

    Raises ``ValueError`` for any other URL.
    """
    path = _sqlite_path(url)
    if path is None:
        raise ValueError(
            "expected 'sqlite:events.db' (beside the configuration) or 'sqlite:///var/lib/app/events.db' (from the root)"
        )
    return SqliteOutbox(folder / path, durability=durability, clock=clock)


def _sqlite_path(url: str) -> Path | None:
    try:
        parts = urlsplit(url)
    except ValueError:  # its text repeats the URL, and a URL may hold a password
        return None
    path = unquote(parts.path)
    usable = parts.scheme == "sqlite" and not parts.netloc and path.strip("/") and "\0" not in path
    return Path(path) if usable else None
