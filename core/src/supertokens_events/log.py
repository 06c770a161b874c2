"""Logging: structlog on top of the app's stdlib logging, and how an exception is named without telling what it held."""

from __future__ import annotations

import logging
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

__all__ = ["Logger", "describe_exception", "get_logger"]

Logger = structlog.stdlib.BoundLogger


def get_logger(name: str) -> Logger:
    """A structlog logger over ``logging.getLogger(name)``. It changes no global configuration, neither structlog's nor the app's."""
    logger: Logger = structlog.wrap_logger(
        logging.getLogger(name),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.filter_by_level, _render],
    )
    return logger


def _render(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """The sentence, then its fields: as text for a plain formatter, and under ``record.fields`` for a structured one."""
    sentence = str(fields.pop("event"))
    text = " ".join([sentence, *(f"{key}={value!r}" for key, value in fields.items())])
    return (text.replace("%", "%%"),), {"extra": {"fields": dict(fields)}}


def describe_exception(error: BaseException) -> str:
    """Class and place of an exception, such as ``KeyError at sink.py:42 in deliver``.

    Its text is left out on purpose: a library may have put a password, a token or a secret URL into it.
    """
    frames = traceback.extract_tb(error.__traceback__)
    name = type(error).__name__
    if not frames:
        return name
    last = frames[-1]
    return f"{name} at {Path(last.filename).name}:{last.lineno} in {last.name}"
