"""``webhook rotate``: a new key, and the lines that put it in place while the old one still signs."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supertokens_events.cli.group import Mistake
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.config import SinkConfig

__all__ = ["rotate"]


def _span(_context: click.Context, _parameter: click.Parameter, value: str) -> timedelta:
    from supertokens_events.retry import parse_duration

    try:
        return timedelta(seconds=parse_duration(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("sink", metavar="SINK")
@click.option(
    "--keep", metavar="SPAN", default="7d", show_default=True, callback=_span, help="How long the old key signs."
)
@click.option("--asymmetric", is_flag=True, help="Make an ed25519 key, whatever kind the old one is.")
@pass_project
def rotate(project: Project, *, sink: str, keep: timedelta, asymmetric: bool) -> None:
    """Print a new key for a sink, and the TOML that puts it in place.

    Events are signed with both keys until the old one ends. Nothing is changed, and the old key is not printed.
    """
    config = _webhook(project, sink)
    table = tomllib.loads(Path(project.settings.file).read_text(encoding="utf-8"))["sinks"][sink]
    written = table["secret"] if isinstance(table["secret"], list) else [table["secret"]]
    until = datetime.now(UTC).replace(microsecond=0) + keep
    keys = config.settings.secret  # type: ignore[union-attr]
    ends = [entry.until for entry in keys]
    key, public = _new_key(asymmetric=asymmetric or keys[0].key.get_secret_value().startswith("whsk_"))
    click.echo("\n".join([*_new(sink, key, _variable(written)), *_kept(written, ends, until), *_told(public, until)]))


def _webhook(project: Project, name: str) -> SinkConfig:
    from supertokens_events.suggest import nearest

    sinks, file = project.settings.sinks, project.settings.file
    config = sinks.get(name)
    if config is None:
        raise Mistake(f"{file}: sinks.{name}: there is no such sink{nearest(name, sinks)}")
    if config.type_name != "webhook":
        raise Mistake(f"{file}: sinks.{name}.type: expected 'webhook', got {config.type_name!r}")
    return config


def _new_key(*, asymmetric: bool) -> tuple[str, str | None]:
    """A key, and what the receiver gets instead of it, if that is something else."""
    from supertokens_events_webhook.signing import new_key_pair, new_secret

    if not asymmetric:
        return new_secret(), None
    key = new_key_pair()
    return key.to_text(), str(key.public)


def _variable(written: Sequence[Any]) -> str | None:
    """The name of a variable for the new key, where the keys stand in the environment."""
    used = [name for entry in written if (name := _reference(entry).get("env"))]
    if not used:
        return None
    stem = used[0].rstrip("0123456789").rstrip("_")
    return next(name for number in range(2, len(used) + 3) if (name := f"{stem}_{number}") not in used)


def _reference(entry: Any) -> Mapping[str, str]:
    """What an entry of the file refers to: ``{ env = … }``, ``{ file = … }``, or nothing when the key stands there."""
    value = entry.get("key", entry) if isinstance(entry, Mapping) else {}
    return value if isinstance(value, Mapping) else {}


def _new(sink: str, key: str, variable: str | None) -> Iterator[str]:
    if variable is not None:
        yield f"# Set this variable where the app and its dispatchers run:\n{variable}={key}\n"
    yield f"# In [sinks.{sink}], in place of the key that is there:"
    yield "secret = ["
    yield f"    {{ env = {json.dumps(variable)} }}," if variable is not None else f"    {json.dumps(key)},"


def _kept(written: Sequence[Any], ends: Sequence[datetime | None], until: datetime) -> Iterator[str]:
    """The old keys but those that have ended. One that had an end keeps it, if that is earlier."""
    for entry, end in zip(written, ends, strict=True):
        if end is not None and end <= datetime.now(UTC):
            continue
        reference = ", ".join(f"{name} = {json.dumps(value)}" for name, value in _reference(entry).items())
        old, comment = (f"{{ {reference} }}", "") if reference else ('"…"', "  # … is the key that stands there now")
        yield f"    {{ key = {old}, until = {_in_toml(min(end or until, until))} }},{comment}"
    yield "]"


def _told(public: str | None, until: datetime) -> Iterator[str]:
    told = f"this public key: {public}" if public else "the new key"
    yield f"\n# Give the receiver {told}, before {_in_toml(until)}."


def _in_toml(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
