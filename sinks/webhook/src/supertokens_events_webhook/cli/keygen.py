"""``webhook keygen``: a new key."""

from __future__ import annotations

import click

from supertokens_events.cli.output import json_option, print_json

__all__ = ["keygen"]


@click.command()
@click.option("--asymmetric", is_flag=True, help="ed25519: a key for the sender, and a public one for the receiver.")
@json_option
def keygen(*, asymmetric: bool, as_json: bool) -> None:
    """Make a key to sign with, and print it.

    It is stored nowhere. Without --asymmetric the receiver needs the same one.
    """
    made = _made(asymmetric=asymmetric)
    if as_json:
        print_json(made)
        return
    for name, key in made.items():
        click.echo(f"{name}  {key}" if asymmetric else key)


def _made(*, asymmetric: bool) -> dict[str, str]:
    from supertokens_events_webhook.signing import new_key_pair, new_secret

    if not asymmetric:
        return {"secret": new_secret()}
    key = new_key_pair()
    return {"secret": key.to_text(), "public": str(key.public)}
