"""``listen``: a receiver to try a sink with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from supertokens_events.cli.output import json_option
from supertokens_events_webhook.cli.keys import keys_from, webhook_of

if TYPE_CHECKING:
    from supertokens_events_webhook.receiver.webhook import Webhook

__all__ = ["listen"]

_TOML = """\
Put this into supertokens-events.toml (the secret is for this run; --secret-env keeps one):

[sinks.local]
type           = "webhook"
events         = ["*"]
url            = "{url}"
secret         = "{secret}"
allow_http     = true
allow_networks = ["{network}"]
"""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8787,
    show_default=True,
    help="The port; 0 takes one that is free.",
)
@click.option("--secret-env", metavar="NAME", help="The environment variable that has the key; else one is made.")
@click.option(
    "--status",
    type=click.IntRange(200, 599),
    default=204,
    show_default=True,
    help="What to answer to an event.",
)
@click.option("--fail-rate", type=click.FloatRange(0, 1), default=0.0, help="The share of events to answer with 500.")
@click.option("--delay", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS", help="Wait before each answer.")
@json_option
def listen(
    *, host: str, port: int, secret_env: str | None, status: int, fail_rate: float, delay: float, as_json: bool
) -> None:
    """Receive webhooks, verify and print them.

    --status, --fail-rate and --delay try a sink's retries. Ctrl-C ends it.
    """
    from supertokens_events_webhook.cli.listening import Manner, serve
    from supertokens_events_webhook.signing import new_secret

    secret = None if secret_env else new_secret()
    webhook: Webhook = webhook_of([secret] if secret else keys_from(secret_env, None), str(secret_env), tolerance=300)

    def begun(url: str) -> None:
        if secret:
            network = "::1/128" if ":" in host else "127.0.0.0/8"
            click.echo(_TOML.format(url=url, secret=secret, network=network), err=True)
        click.echo(f"Listening at {url}; Ctrl-C ends it.", err=True)

    serve(webhook, host, port, Manner(status, fail_rate, delay), as_json=as_json, begun=begun)
