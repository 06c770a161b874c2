"""``new-sink``: a package for a sink of one's own, that is installed and tested as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from supertokens_events.cli.group import Problem
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.cli.new_sink.names import Names

__all__ = ["new_sink"]


@click.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["http", "simple"]),
    default="http",
    show_default=True,
    help="What to begin with: requests to a URL, or lines in a file.",
)
@pass_project
def new_sink(project: Project, *, name: str, kind: str) -> None:
    """Write a package for a sink of your own.

    NAME is the sink type, as in `type = "NAME"`. The folder supertokens-events-NAME is made here: a package that can be
    installed, with its types and its tests.
    """
    from supertokens_events.cli.new_sink.names import names_for
    from supertokens_events.cli.new_sink.writing import write

    names = names_for(name, project.plugins)
    try:
        write(names, kind)
    except FileExistsError:
        raise Problem(f"{names.distribution}: there is such a folder; choose another name, or move it away") from None
    except OSError as error:
        raise Problem(f"{names.distribution}: cannot be written: {error.strerror}") from None
    click.echo("\n".join(_next_steps(names)))


def _next_steps(names: Names) -> list[str]:
    return [
        f"{names.distribution} is written. Next:",
        "",
        f"  cd {names.distribution}",
        "  pip install -e '.[test]'",
        "  pytest",
        "",
        f"Then make it yours in src/{names.module}/sink.py; its README says how to go on.",
    ]
