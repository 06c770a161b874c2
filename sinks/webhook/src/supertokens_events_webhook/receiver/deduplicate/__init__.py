"""Recognising a repeat: each event is handled once, and one whose handler failed is handled again."""

from __future__ import annotations

from supertokens_events_webhook.receiver.deduplicate.contract import (
    REMEMBER,
    BeingHandled,
    Claimed,
    Deduplicator,
    Once,
)
from supertokens_events_webhook.receiver.deduplicate.memory import InMemoryDeduplicator
from supertokens_events_webhook.receiver.deduplicate.sql import SqlDeduplicator
from supertokens_events_webhook.receiver.deduplicate.sqlite import SqliteDeduplicator

__all__ = [
    "REMEMBER",
    "BeingHandled",
    "Claimed",
    "Deduplicator",
    "InMemoryDeduplicator",
    "Once",
    "SqlDeduplicator",
    "SqliteDeduplicator",
]
