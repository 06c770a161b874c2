"""What came to a place, as it is shown: a webhook's request, a message in Slack, a batch at Segment."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from demo.receiver import Post
from doubles.segment import Received
from doubles.slack import Message

__all__ = ["as_batch", "as_message", "as_post"]

WIDTH = 80
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")

_TIME = re.compile(r"<!date\^[^|>]*\|([^>]*)>")
_MARKUP = re.compile(r"(?<!\w)\*([^*]+)\*(?!\w)|`([^`]*)`")
_ESCAPES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}


def as_post(post: Post) -> str:
    """A request as the receiver got it."""
    headers = [f"{name}: {post.headers[name]}" for name in HEADERS]
    return "\n".join([f"POST {post.path}", *headers, "", _object(json.loads(post.body))])


def as_message(message: Message) -> str:
    """A message as a person reads it: its blocks, with a line down their side as in Slack."""
    lines = [f"#{message.channel}"]
    for block in message.blocks:
        lines += ["│", *(f"│ {line}" for text in _texts(block) for line in textwrap.wrap(text, WIDTH - 2))]
    return "\n".join(lines)


def as_batch(request: Received) -> str:
    """The messages of a batch, each with what it says beyond its time and context."""
    told = [_object({name: value for name, value in message.items() if name in _SAID}) for message in request.batch]
    return "\n".join([request.line.removesuffix(" HTTP/1.1"), *told])


_SAID = {"type", "event", "messageId", "userId", "anonymousId", "traits", "properties"}


def _texts(block: Mapping[str, Any]) -> Iterator[str]:
    """The paragraphs of a block."""
    if "text" in block:
        yield _plain(block["text"]["text"])
    for field in block.get("fields", ()):
        label, _, value = _plain(field["text"]).partition("\n")
        yield f"{label:<11}{value}"
    if elements := block.get("elements"):
        yield " ".join(_plain(element["text"]) for element in elements)


def _plain(text: str) -> str:
    """Without Slack's markup."""
    text = _MARKUP.sub(lambda found: found[1] or found[2], _TIME.sub(r"\1", text))
    for escape, sign in _ESCAPES.items():
        text = text.replace(escape, sign)
    return text


def _object(value: Mapping[str, Any]) -> str:
    """JSON with one line per field; what does not fit on one is indented."""
    fields: Sequence[str] = [_field(name, one) for name, one in value.items()]
    return "{\n  " + ",\n  ".join(fields) + "\n}"


def _field(name: str, value: object) -> str:
    line = f'"{name}": {json.dumps(value, ensure_ascii=False)}'
    fits = len(line) < WIDTH
    return line if fits else f'"{name}": ' + json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n  ")
