"""The outbox: where events and deliveries are stored until every sink has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from supertokens_events.outbox.contract import (
    Attempt,
    Breaker,
    Claim,
    DeliveryState,
    Disabled,
    Dispatching,
    Entry,
    Erased,
    LedgerCount,
    Look,
    NewDelivery,
    Outbox,
    OutboxError,
    OutboxFull,
    OutboxUnavailable,
    Pruned,
    Pulse,
    Retention,
    Settlement,
    SinkStatus,
    StoredDelivery,
    StoredEvent,
    StoredSink,
)
from supertokens_events.outbox.erasing import ERASED, GONE, SAYS_SO, Names, Tell
from supertokens_events.outbox.hook_times import save_hook_times
from supertokens_events.outbox.looking import Wanted
from supertokens_events.outbox.records import Change, Grant, Records, Stretch, Told
from supertokens_events.outbox.replaying import HELD, Replayed, Run, Selection, Verdict
from supertokens_events.outbox.sqlite.outbox import SqliteOutbox

__all__ = [
    "ERASED",
    "GONE",
    "HELD",
    "SAYS_SO",
    "Attempt",
    "Breaker",
    "Change",
    "Claim",
    "DeliveryState",
    "Disabled",
    "Dispatching",
    "Entry",
    "Erased",
    "Grant",
    "LedgerCount",
    "Look",
    "Names",
    "NewDelivery",
    "Outbox",
    "OutboxError",
    "OutboxFull",
    "OutboxUnavailable",
    "Pruned",
    "Pulse",
    "Records",
    "Replayed",
    "Retention",
    "Run",
    "Selection",
    "Settlement",
    "SinkStatus",
    "SqliteOutbox",
    "StoredDelivery",
    "StoredEvent",
    "StoredSink",
    "Stretch",
    "Tell",
    "Told",
    "Verdict",
    "Wanted",
    "open_outbox",
    "save_hook_times",
]


def open_outbox(
    url: str,
    *,
    folder: Path,
    durability: str = "normal",
    max_size: int | None = None,
    when_full: Literal["refuse", "drop_oldest_done"] = "refuse",
    clock: Callable[[], float] = time.time,
) -> Outbox:
    """The outbox that ``url`` names, not yet opened: ``sqlite:events.db`` (in ``folder``),
    ``sqlite:///var/lib/app/events.db`` or ``postgresql://…``. ``durability`` and ``clock`` are for SQLite.

    Raises ``ValueError`` for any other URL, and when what PostgreSQL needs is not installed.
    """
    scheme = _scheme(url)
    if scheme in ("postgresql", "postgres"):
        return _open_postgres(url, max_size, when_full)
    path = _sqlite_path(url) if scheme == "sqlite" else None
    if path is None:
        raise ValueError(
            "expected 'sqlite:events.db' (beside the configuration), 'sqlite:///var/lib/app/events.db' (from the root) "
            "or 'postgresql://user:password@host/database'"
        )
    return SqliteOutbox(folder / path, durability=durability, max_size=max_size, when_full=when_full, clock=clock)


def _open_postgres(url: str, max_size: int | None, when_full: Literal["refuse", "drop_oldest_done"]) -> Outbox:
    try:  # an app on SQLite never loads a driver
        from supertokens_events.outbox.postgres.outbox import PostgresOutbox
    except ImportError as error:
        raise ValueError("PostgreSQL needs an extra: pip install 'supertokens-events[postgres]'") from error
    return PostgresOutbox(url, max_size=max_size, when_full=when_full)


def _scheme(url: str) -> str | None:
    try:
        return urlsplit(url).scheme
    except ValueError:  # its text repeats the URL, and a URL may hold a password
        return None


def _sqlite_path(url: str) -> Path | None:
    parts = urlsplit(url)
    path = unquote(parts.path)
    usable = not parts.netloc and path.strip("/") and "\0" not in path
    return Path(path) if usable else None
