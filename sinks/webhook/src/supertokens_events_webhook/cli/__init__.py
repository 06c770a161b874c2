"""The commands that this package adds to ``supertokens-events``."""

from __future__ import annotations

import click

from supertokens_events_webhook.cli.keygen import keygen
from supertokens_events_webhook.cli.listen import listen
from supertokens_events_webhook.cli.rotate import rotate
from supertokens_events_webhook.cli.verify import verify

__all__ = ["listen", "webhook"]


@click.group()
def webhook() -> None:
    """Keys of webhooks, and requests that were captured."""


for command in (keygen, rotate, verify):
    webhook.add_command(command)
