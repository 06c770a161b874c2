"""Options that several commands share: times, types, names."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime

import click

__all__ = ["Moment", "limit_option", "pattern", "rate", "since_option", "time_of", "type_option", "until_option"]

_MOST = 1_000_000  # rows that are read at once


class Moment(float):
    """Seconds since the epoch, and how that was ``said``."""

    said: str

    @classmethod
    def of(cls, seconds: float, said: str) -> Moment:
        moment = cls(seconds)
        moment.said = said
        return moment


def time_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Moment | None:
    """A time ago such as ``2h``, or a time, in UTC unless it says otherwise."""
    from supertokens_events.retry import parse_duration

    if value is None:
        return None
    with suppress(ValueError):
        return Moment.of(time.time() - parse_duration(value), value)
    try:
        when = datetime.fromisoformat(value)
        return Moment.of((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp(), value)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"expected a time ago such as '2h', or a time such as '2026-11-23T07:15', got {value!r}"
        ) from None


def pattern(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Event types, or patterns of them."""
    from supertokens_events.subscription import check_pattern

    try:
        return tuple(check_pattern(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def rate(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """``10/s``, ``60/m`` as a number each second."""
    from supertokens_events.config.values import parse_rate

    try:
        return None if value is None else parse_rate(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


type_option = click.option(
    "--type",
    "types",
    metavar="PATTERN",
    multiple=True,
    callback=pattern,
    help="Only events of this type; 'user.*' and '!user.created' too. May be repeated.",
)
since_option = click.option(
    "--since", metavar="TIME", callback=time_of, help="Only events stored since: '2h', '7d', or a time in UTC."
)
until_option = click.option("--until", metavar="TIME", callback=time_of, help="Only events stored before then.")
limit_option = click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, _MOST),
    default=20,
    show_default=True,
    help="At most so many, the latest.",
)
