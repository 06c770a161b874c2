"""Logging in the dispatcher's own process: for people on a terminal, JSON elsewhere. An app's logging is never touched."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import structlog

__all__ = ["logging_to_stderr"]


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Everything of ours from INFO on, and other packages' warnings, go to stderr meanwhile."""
    ours, root = logging.getLogger("supertokens_events"), logging.getLogger()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(people=sys.stderr.isatty()))
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(level)
        root.removeHandler(handler)


class _Formatter(logging.Formatter):
    def __init__(self, *, people: bool) -> None:
        super().__init__()
        self._render: Any = (
            structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer(default=str)
        )

    def format(self, record: logging.LogRecord) -> str:
        """The sentence and its fields, which ``supertokens_events.log`` keeps in the record."""
        entry: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname.lower(),
            "event": getattr(record, "sentence", None) or record.getMessage(),
            "logger": record.name,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        text: str = self._render(None, record.levelname, entry)
        return text
