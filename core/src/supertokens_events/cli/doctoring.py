"""``doctor``: everything that can be wrong, asked at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from supertokens_events.cli.from_core import a_duration
from supertokens_events.cli.output import counted, json_option, print_json, printable
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.doctor import Finding

__all__ = ["doctor"]


def _app_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    module, _, attribute = (value or "").partition(":")
    if value is not None and not (module and attribute):
        raise click.BadParameter(f"expected a module and a name in it, such as 'myapp.main:events', got {value!r}")
    return value


@click.command()
@click.option(
    "--app",
    metavar="MODULE:NAME",
    callback=_app_name,
    help="The Events of the app, such as myapp.main:events: imports it, and looks at its SDK.",
)
@click.option(
    "--run-overrides", is_flag=True, help="With --app: call its overrides with made-up arguments, in a locked child."
)
@click.option("--offline", is_flag=True, help="Ask no sink and no core.")
@click.option(
    "--server",
    "servers",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The gunicorn.conf.py or uWSGI ini file of the app's server. May be repeated.",
)
@click.option(
    "--patience",
    metavar="DURATION",
    default="20s",
    show_default=True,
    callback=a_duration,
    help="How long each part of it may take.",
)
@json_option
@click.pass_context
@pass_project
def doctor(project: Project, context: click.Context, /, *, as_json: bool, **options: object) -> None:
    """Everything that can be wrong: what, why it matters, what to do.

    It looks at the SDK, the configuration, secrets, the outbox, clocks, the core, sinks, dispatchers and the server.
    """
    from supertokens_events.doctor import worst

    found = _findings(project, **options)  # type: ignore[arg-type]
    if as_json:
        for finding in found:
            print_json(asdict(finding))
    else:
        _print(found)
    if any(finding.id == "configuration.wrong" for finding in found):
        context.exit(2)
    context.exit(worst(found) in ("warning", "problem"))


def _findings(
    project: Project, *, app: str | None, run_overrides: bool, offline: bool, servers: Sequence[Path], patience: float
) -> list[Finding]:
    from supertokens_events.config import find_file
    from supertokens_events.doctor import CHECKS, Case, examine, opened, read_configuration
    from supertokens_events.doctor.app import AppNotFound, load_app

    if run_overrides and app is None:
        raise click.UsageError("--run-overrides needs --app")
    first, events = [], None
    try:
        events = None if app is None else load_app(app, patience)
    except AppNotFound as error:
        first.append(error.finding)
    if events is not None and project.file is None:
        case = Case(events.plugins, events.configured)
    else:
        case = Case(project.plugins, *read_configuration(find_file(project.file), project.plugins))
    case = replace(case, app=events, offline=offline, run_overrides=run_overrides, servers=servers, patience=patience)
    with opened(case) as whole:
        return [*first, *examine(whole, CHECKS)]


def _print(findings: Sequence[Finding]) -> None:
    from supertokens_events.doctor import Severity

    for finding in findings:
        click.echo(printable(f"{finding.severity:8} {finding.what}"))
        for word, sentence in (("why", finding.why), ("do", finding.do)):
            if sentence:
                click.echo(printable(f"{'':8} {word}: {sentence}"))
    counts = Counter(finding.severity for finding in findings)
    told = [(Severity.PROBLEM, "problem"), (Severity.WARNING, "warning"), (Severity.NOTE, "note")]
    bad = [counted(counts[severity], word) for severity, word in told if counts[severity]]
    click.echo(f"\n{', '.join([*bad, f'{counts[Severity.OK]} fine'])}")
