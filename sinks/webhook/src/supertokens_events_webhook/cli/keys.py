"""Where a command has its key from: never from the command line, which other users of the machine can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from supertokens_events.cli.group import Mistake

if TYPE_CHECKING:
    from supertokens_events_webhook.receiver.webhook import Webhook

__all__ = ["keys_from", "webhook_of"]


def keys_from(variable: str | None, file: str | None) -> list[str]:
    """The keys of an environment variable or of a file, one or several divided by spaces or lines; else typed in."""
    if variable is not None:
        text = os.environ.get(variable, "")
        if not text.strip():
            raise Mistake(f"The environment variable {variable} is not set, or empty.")
        return text.split()
    if file is not None:
        try:
            return Path(file).read_text(encoding="utf-8").split()
        except (OSError, ValueError) as error:
            raise Mistake(f"{file}: cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}.") from None
    return str(click.prompt("Key (whsec_… or whpk_…)", hide_input=True, err=True)).split()


def webhook_of(keys: list[str], source: str, *, tolerance: float) -> Webhook:
    """What verifies by ``keys``, which came from ``source``."""
    from supertokens_events_webhook.receiver.webhook import Webhook

    try:
        return Webhook(keys, tolerance=tolerance)
    except ValueError as error:
        raise Mistake(f"{source}: {error}.") from None
