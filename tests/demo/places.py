"""Where the sinks deliver to: the receiver of the webhook, Slack and Segment, each on this machine, and the file."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from demo.receiver import Receiver
from doubles.segment import SegmentDouble
from doubles.slack import SlackDouble

__all__ = ["SINKS", "Places", "open_places"]

SINKS = {"crm": "webhook", "oncall": "slack", "analytics": "segment", "audit": "file"}
"""The sinks, and of which type each is."""


@dataclass(frozen=True)
class Places:
    """Each knows what it was sent. ``given`` are the environment variables that the sinks read their secrets from; the sinks
    ``wrong`` get one there that their place does not know.
    """

    receiver: Receiver
    slack: SlackDouble
    segment: SegmentDouble
    file: Path
    given: Mapping[str, str]
    wrong: Collection[str] = ()


@contextmanager
def open_places(file: Path, *, wrong: Collection[str] = ()) -> Iterator[Places]:
    """Open them, and close them at the end."""
    hook_secret, write_key = _hook_secret(), _write_key()
    with (
        Receiver(hook_secret) as receiver,
        SlackDouble() as slack,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(SegmentDouble(write_key=write_key)) as segment,
    ):
        slack.webhook_channel = "oncall"
        given = {
            "CRM_WEBHOOK_SECRET": _hook_secret() if "crm" in wrong else hook_secret,
            "SLACK_WEBHOOK_URL": slack.webhook_url + ("x" if "oncall" in wrong else ""),
            "SEGMENT_WRITE_KEY": _write_key() if "analytics" in wrong else write_key,
        }
        yield Places(receiver, slack, segment, file, given, wrong)


def _hook_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _write_key() -> str:
    return secrets.token_urlsafe(24)
