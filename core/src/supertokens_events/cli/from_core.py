"""What the commands that read the core have in common: how they reach it, and how a person writes times and rates."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from supertokens_events.cli.group import Mistake

if TYPE_CHECKING:
    from supertokens_events.config import Settings
    from supertokens_events.core_api import Core

__all__ = ["a_duration", "a_rate", "a_time", "core_of", "patience_option"]


def core_of(settings: Settings, patience: float) -> Core:
    """The core of a configuration."""
    from supertokens_events.core_api import Core

    if not settings.core.hosts:
        raise Mistake(
            f"{settings.file}: core.connection_uri: is required to read the core's users, such as "
            'connection_uri = "http://localhost:3567"'
        )
    return Core(settings.core, patience=patience)


def a_time(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """A time ago such as ``30d``, or a time, in UTC unless it says otherwise; becomes seconds since the epoch."""
    from supertokens_events.retry import parse_duration

    if value is None:
        return None
    with suppress(ValueError):
        return time.time() - parse_duration(value)
    try:
        when = datetime.fromisoformat(value)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"expected a time ago such as '30d', or a time such as '2026-11-23T07:15', got {value!r}"
        ) from None


def _checked(parse: Callable[[object], float], value: str | None) -> float | None:
    try:
        return None if value is None else parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def a_rate(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """A rate such as ``100/s``; becomes events a second."""
    from supertokens_events.config import parse_rate

    return _checked(parse_rate, value)


def a_duration(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """A duration such as ``30s``; becomes seconds."""
    from supertokens_events.retry import parse_duration

    return _checked(parse_duration, value)


patience_option = click.option(
    "--patience",
    metavar="DURATION",
    default="60s",
    show_default=True,
    callback=a_duration,
    help="How long to ask a core again that is away or in trouble.",
)
