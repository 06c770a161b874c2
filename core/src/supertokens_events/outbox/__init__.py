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
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.scheme != "sqlite" or parts.netloc or not path.strip("/"):
        raise ValueError(
            "expected 'sqlite:events.db' (beside the configuration) or 'sqlite:///var/lib/app/events.db' (from the root)"
        )
    return SqliteOutbox(folder / Path(path), durability=durability, clock=clock)
