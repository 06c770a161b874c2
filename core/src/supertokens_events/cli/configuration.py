"""``init``, ``check`` and ``plugins``: the configuration, what is wrong with it, and what is installed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from supertokens_events.cli.group import Problem
from supertokens_events.cli.output import (
    counted,
    json_option,
    print_json,
    print_table,
    printable,
    rate_in_words,
    size_in_words,
    span_in_words,
)
from supertokens_events.cli.project import Project, pass_project
from supertokens_events.hookspecs import NO_HOOK
from supertokens_events.suggest import few

if TYPE_CHECKING:
    from supertokens_events.config import Settings
    from supertokens_events.plugins import Plugin

__all__ = ["check", "init", "plugins"]


# init ------------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@pass_project
def init(project: Project, *, path: Path | None, force: bool) -> None:
    """Write a commented configuration that works.

    It goes to PATH, or where every command looks for it.
    """
    from supertokens_events.cli.template import template
    from supertokens_events.config import find_file

    file = path or find_file(project.file)
    text = template(project.plugins.sink_types)
    try:
        with file.open("w" if force else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise Problem(f"{file}: there is such a file; --force overwrites it") from None
    except OSError as error:
        raise Problem(f"{file}: cannot be written: {error.strerror}") from None
    click.echo(f"{file} is written; now 'supertokens-events check'.")


# plugins ---------------------------------------------------------------------------------------------------------------


@click.command()
@json_option
@click.pass_context
@pass_project
def plugins(project: Project, context: click.Context, *, as_json: bool) -> None:
    """What is installed, what it brings, and what failed to load."""
    found = project.plugins.found
    if as_json:
        for plugin in found:
            print_json(asdict(plugin))
    elif found:
        print_table(["plugin", "package", "brings"], [_plugin_row(plugin) for plugin in found], keep=2)
    else:
        click.echo("No plugin is installed: pip install supertokens-events-file")
    if project.plugins.failed:
        context.exit(1)


def _plugin_row(plugin: Plugin) -> tuple[str, str, str]:
    brings = [f"sink type {name}" for name in plugin.sink_types]
    brings += [f"event type {name}" for name in plugin.event_types]
    brings += [hook for hook in plugin.hooks if hook not in ("register_sink_types", "register_event_types")]
    if plugin.disabled:
        brings = ["turned off by SUPERTOKENS_EVENTS_DISABLE"]
    elif plugin.error:
        brings = [f"failed to load: {plugin.error}"]
    elif not plugin.hooks:
        brings = [f"nothing: it {NO_HOOK}"]
    return plugin.name, f"{plugin.distribution} {plugin.version}", ", ".join(brings)


# check -----------------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--connect", is_flag=True, help="Also ask each sink whether its place can be reached. Sends no event.")
@json_option
@click.pass_context
@pass_project
def check(project: Project, context: click.Context, *, connect: bool, as_json: bool) -> None:
    """The configuration, sink by sink, and what is wrong with it."""
    from supertokens_events.cli.shown import outbox_facts, sink_facts
    from supertokens_events.operate.findings import ask_sinks, disabled, warnings

    settings, catalog = project.settings_with_stored, project.plugins.catalog
    with project.outbox() as outbox:
        where = outbox_facts(settings, outbox.counts())
        statuses = outbox.status()
    answers = ask_sinks(settings) if connect else {}
    sinks = {name: sink_facts(config, settings, catalog) for name, config in settings.sinks.items()}
    for name, facts in sinks.items():
        facts["stored"] = name not in project.settings.sinks
    for name, sentences in answers.items():
        sinks[name]["problems"] = sentences
    doubts = [*warnings(settings, catalog), *disabled(settings, statuses)]

    if as_json:
        for facts in (where, *sinks.values(), *({"kind": "warning", "text": doubt} for doubt in doubts)):
            print_json(facts)
    else:
        _print_check(settings, where, list(sinks.values()))
    problems = list(_problems(settings, answers))
    for sentence in (*(f"warning: {doubt}" for doubt in doubts), *problems):
        click.echo(printable(f"{settings.file}: {sentence}"), err=True)
    if problems or project.plugins.failed:
        context.exit(1)


def _problems(settings: Settings, answers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    from supertokens_events.operate.findings import unavailable

    for config in settings.sinks.values():
        if config.sink_type is None:
            yield f"sinks.{config.name}.type: {unavailable(config)}"
        elif config.settings is None:
            yield f"sinks.{config.name}: it is stored, and cannot be used here; its deliveries wait"
    for name, sentences in answers.items():
        yield from (f"sinks.{name}: {sentence}" for sentence in sentences)


def _print_check(settings: Settings, where: Mapping[str, Any], sinks: Sequence[Mapping[str, Any]]) -> None:
    click.echo(
        f"{settings.file}: outbox {where['url']}, {counted(where['events'], 'event')}, {size_in_words(where['bytes'])}"
    )
    for facts in sinks:
        state = "" if facts["enabled"] else ", turned off"
        state += ", made through the API" if facts["stored"] else ""
        click.echo(f"\n{facts['sink']} ({facts['type']}{state})")
        lines = dict(_sink_lines(facts))
        width = max(map(len, lines))
        for name, value in lines.items():
            click.echo(printable(f"  {name:{width}}  {value}"))
    if not sinks:
        click.echo("There is no sink: events are stored and go nowhere.")


def _sink_lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "events", ", ".join(facts["events"])
    if facts["not_captured"]:
        yield "without", _without(facts["not_captured"])
    yield "tenants", ", ".join(facts["tenants"]) or "all"
    if facts["where"]:
        yield "where", _in_words(facts["where"])
    if facts["ordering"] != "none":
        yield "ordering", facts["ordering"]
    if facts["rate"]:
        yield "rate", rate_in_words(facts["rate"])
    yield "retry", _retry_in_words(facts["retry"])
    for key, value in facts["settings"].items():
        yield key, _in_words(value)
    if "problems" in facts:
        yield "connect", counted(len(facts["problems"]), "problem") if facts["problems"] else "fine"


def _without(names: Sequence[str]) -> str:
    shown, others = few(names)
    more = f" and {others} more" if others else ""
    return f"{', '.join(shown)}{more} (not in [capture] events)"


def _in_words(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case list():
            return ", ".join(map(_in_words, value))
        case dict():
            return _in_toml(value)
        case _:
            return str(value)


def _in_toml(value: Any) -> str:
    """As the file has it, on one line; JSON writes plain values as TOML does."""
    match value:
        case list():
            return f"[{', '.join(map(_in_toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{_key(name)} = {_in_toml(item)}' for name, item in value.items())} }}"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _retry_in_words(retry: Mapping[str, Any]) -> str:
    if not retry["schedule"]:
        return "1 attempt"
    waits = ", ".join(map(span_in_words, retry["schedule"]))
    span = span_in_words(sum(retry["schedule"]))
    return f"{counted(retry['attempts'], 'attempt')} over {span} ({waits}; ±{retry['jitter']:.0%})"
