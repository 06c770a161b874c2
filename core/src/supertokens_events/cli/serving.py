"""``serve``: the management API over HTTP."""

from __future__ import annotations

import click

from supertokens_events.cli.group import Mistake, Problem
from supertokens_events.cli.project import Project, pass_project

__all__ = ["serve"]


@click.command()
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option(
    "--port", metavar="N", type=click.IntRange(0, 65535), default=8030, show_default=True, help="0: any free one."
)
@pass_project
def serve(project: Project, *, host: str, port: int) -> None:
    """Serve the management API over HTTP, until SIGINT or SIGTERM.

    Whoever shows one of [server] api_keys may do everything that it can. It delivers nothing: that is for the app, or for
    'supertokens-events dispatch'.
    """
    try:
        from supertokens_events.server import asgi_app
        from supertokens_events.server.serving import serve as run
    except ImportError as error:
        raise Mistake(f"serve needs an extra ({error.name}): pip install 'supertokens-events[server]'") from None
    from supertokens_events.cli.logs import logging_to_stderr

    with logging_to_stderr(), project.events() as events:
        app = asgi_app(events)
        try:
            run(app, host, port, lambda url: click.echo(f"The management API is at {url}/v1/"))
        except OSError as error:
            raise Problem(f"{host}, port {port}: cannot be listened at: {error.strerror or error}") from None
