"""The command line: thin commands over the objects that an app uses too.

``--help`` must be quick, so nothing here imports more than click before a command needs it.
"""

from __future__ import annotations

import io
import sys

import click

from supertokens_events.cli.catalog import catalog
from supertokens_events.cli.configuration import check, init, plugins
from supertokens_events.cli.enabling import enable
from supertokens_events.cli.erasing import erase
from supertokens_events.cli.explaining import why
from supertokens_events.cli.filling import backfill
from supertokens_events.cli.group import CommandLine
from supertokens_events.cli.housekeeping import prune
from supertokens_events.cli.line import dispatch, send
from supertokens_events.cli.look import deliveries, events, status
from supertokens_events.cli.new_sink import new_sink
from supertokens_events.cli.project import Project
from supertokens_events.cli.reconciling import reconcile
from supertokens_events.cli.replaying import dead, replay
from supertokens_events.cli.serving import serve

__all__ = ["cli", "main"]


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    metavar="FILE",
    help="The configuration; else what SUPERTOKENS_EVENTS_CONFIG names, else supertokens-events.toml.",
)
@click.version_option(package_name="supertokens-events", prog_name="supertokens-events", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, *, config: str | None) -> None:
    """What happens in SuperTokens as events: look at them, send one, deliver them.

    Exit codes: 0 fine, 1 it ran and found something wrong, 2 wrong usage or configuration.
    """
    context.obj = Project(context, config)


# In the order in which one needs them, which is also the order of --help.
for command in (
    *(init, check, plugins, catalog, send, dispatch, status, events, deliveries, why, dead, replay),
    *(enable, backfill, reconcile, serve, prune, erase, new_sink),
):
    cli.add_command(command)


def main() -> None:
    """The console entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a character still gets an answer
            stream.reconfigure(errors="backslashreplace")
    cli()
