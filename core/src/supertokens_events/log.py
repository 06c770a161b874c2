"""Logging: structlog on top of the app's stdlib logging, and how an exception is named without telling what it held."""

from __future__ import annotations

import logging
import traceback
from collections.abc import MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supertokens_events.forks import no_fork

if TYPE_CHECKING:
    import structlog

__all__ = ["Logger", "describe_exception", "get_logger"]


class Logger:
    """A structlog logger over ``logging.getLogger(name)``. It changes no global configuration, neither structlog's nor
    the app's.

    structlog is imported with the first record that somebody wants: it brings rich along, a third of what
    ``import supertokens_events`` may cost. A fork waits for that, or its child would wait for ever.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._wrapped: structlog.stdlib.BoundLogger | None = None

    @property
    def tells_debug(self) -> bool:
        """Whether somebody wants what :meth:`debug` says."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def debug(self, sentence: str, /, **fields: Any) -> None:
        """For whoever follows one event through the line."""
        self._log(logging.DEBUG, sentence, fields)

    def info(self, sentence: str, /, **fields: Any) -> None:
        """What the dispatcher process tells its operator."""
        self._log(logging.INFO, sentence, fields)

    def warning(self, sentence: str, /, **fields: Any) -> None:
        """Something is not as it should be; nothing is lost."""
        self._log(logging.WARNING, sentence, fields)

    def error(self, sentence: str, /, **fields: Any) -> None:
        """Something is lost, or broken."""
        self._log(logging.ERROR, sentence, fields)

    def _log(self, level: int, sentence: str, fields: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            if self._wrapped is None:
                self._wrapped = self._wrap()
            self._wrapped.log(level, sentence, **fields)

    def _wrap(self) -> structlog.stdlib.BoundLogger:
        with no_fork():
            import structlog

        wrapped: structlog.stdlib.BoundLogger = structlog.wrap_logger(
            self._logger, wrapper_class=structlog.stdlib.BoundLogger, processors=[_render]
        )
        return wrapped


def get_logger(name: str) -> Logger:
    """The logger of a module."""
    return Logger(name)


def _render(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> tuple[tuple[str], dict[str, Any]]:
    """The sentence, then its fields: as text for a plain formatter, and apart in the record for a structured one."""
    sentence = str(fields.pop("event"))
    text = " ".join([sentence, *(f"{key}={value!r}" for key, value in fields.items())])
    return (text,), {"extra": {"sentence": sentence, "fields": dict(fields)}}


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
