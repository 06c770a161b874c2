"""``webhook verify``: a request that was captured, checked again."""

from __future__ import annotations

import math
import time
from email.message import Message
from email.parser import BytesHeaderParser
from typing import IO, TYPE_CHECKING, Any

import click

from supertokens_events.cli.group import Mistake, Problem
from supertokens_events.cli.output import json_option, print_json, printable, span_in_words
from supertokens_events_webhook.cli.keys import keys_from, webhook_of

if TYPE_CHECKING:
    from supertokens_events.event import Event

__all__ = ["verify"]

_MOST = 64 * 1024 * 1024  # bytes of a file; a request of this size is none of ours


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--secret-env", metavar="NAME", help="The environment variable that has the key.")
@click.option("--secret-file", metavar="FILE", help="The file that has it. Without either, you are asked.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How old it may be; by default any age will do.",
)
@json_option
def verify(
    *, file: IO[bytes], secret_env: str | None, secret_file: str | None, tolerance: float | None, as_json: bool
) -> None:
    """Check the request in FILE ('-' for stdin): is it signed by our key, and which event is it.

    FILE holds it as it came: perhaps the line 'POST /path HTTP/1.1', the headers, an empty line, and the body to its last
    byte. The key is whsec_…, whpk_… or several of them, divided by spaces. Exit code 1 if it is not ours.
    """
    from supertokens_events_webhook.receiver.errors import WebhookVerificationError

    source = secret_env or secret_file or "the key"
    headers, body = _request(file.read(_MOST))
    webhook = webhook_of(
        keys_from(secret_env, secret_file), source, tolerance=math.inf if tolerance is None else tolerance
    )
    try:
        message = webhook.authenticate(headers, body)
        event = _event(webhook.verify, headers, body)
    except WebhookVerificationError as error:
        if as_json:
            print_json({"verified": False, "reason": str(error.reason), "why": str(error)})
            raise click.exceptions.Exit(1) from None
        raise Problem(f"Not verified ({error.reason}): {error}") from None
    age = time.time() - message.timestamp
    if as_json:
        print_json({"verified": True, "id": message.id, "timestamp": message.timestamp, "event": _document(event)})
        return
    what = f"{event.type} {event.id}" if event else f"{message.id}, whose body is not an event as it is stored"
    signed = f"{span_in_words(round(age))} ago" if age >= 0 else f"{span_in_words(round(-age))} from now"
    click.echo(printable(f"Verified: {what}, signed {signed}."))


def _event(verify: Any, headers: Any, body: bytes) -> Event | None:
    """The event; ``None`` where what is signed has another format."""
    from supertokens_events_webhook.receiver.errors import Reason, WebhookVerificationError

    try:
        event: Event = verify(headers, body)
    except WebhookVerificationError as error:
        if error.reason is not Reason.NOT_AN_EVENT:
            raise
        return None
    return event


def _document(event: Event | None) -> Any:
    return event.model_dump(mode="json") if event else None


def _request(raw: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """The headers and the body of a request as it went over the wire, or as a person wrote it down."""
    ends = [(raw.find(end), end) for end in (b"\r\n\r\n", b"\n\n") if end in raw]
    if not ends:
        raise Mistake("The file has no empty line between the headers and the body.")
    at, end = min(ends)
    head, body = raw[:at], raw[at + len(end) :]
    first, _, rest = head.partition(b"\n")
    parsed: Message = BytesHeaderParser().parsebytes(rest if b" HTTP/" in first else head)
    return [(name, str(value).strip()) for name, value in parsed.items()], body
