"""Slack as its documentation describes it, on 127.0.0.1: incoming webhooks, ``chat.postMessage``, ``auth.test``.

It enforces what Slack does: one message a second in a channel (429 with ``Retry-After``), the limits of Block Kit, a text or
blocks in every message, scopes and memberships, archived channels, removed webhooks; and it answers with Slack's own bodies.
What was posted is in :attr:`SlackDouble.messages`. :meth:`SlackDouble.misbehave` has it answer as Slack does not.

Sources: "Sending messages using incoming webhooks", "chat.postMessage", "Block Kit", "Rate limits" in Slack's documentation; the
limit on all blocks together is undocumented, and was measured by others (slackapi/bolt-js, issue 2509).

``python -m doubles.slack`` runs it by itself and prints every message.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["HANG", "Channel", "Message", "Request", "SlackDouble", "mentions", "shown"]

TOKEN = "xoxb-double-0123456789-abcdefghijkl"
WEBHOOK_PATH = "/services/T00000000/B00000000/dOubleWebhookSecret01234"

_APART = 1.0  # seconds between two messages in a channel
_SLACK = 0.005  # seconds that clocks may differ
_MOST_BLOCKS = 50
_ALL_TEXT = 13_200  # characters of all blocks together
_LONGEST_BODY = 1024 * 1024
_CONTROL = re.compile(r"<([^<>]*)>")

HANG = b""
"""As a misbehaviour: no answer at all, until the client gives up."""


@dataclass
class Channel:
    """A channel of the workspace. The app's user is a ``member`` of it or not."""

    id: str
    name: str
    archived: bool = False
    member: bool = True


@dataclass(frozen=True)
class Message:
    """What was posted: as Slack keeps it, and the payload as it came. ``at`` is by the double's clock."""

    channel: str
    ts: str
    text: str
    blocks: Sequence[Mapping[str, Any]]
    thread_ts: str | None
    payload: Mapping[str, Any] = field(repr=False)
    at: float = 0.0


@dataclass(frozen=True)
class Request:
    """One that came, whatever was answered."""

    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class SlackDouble:
    """A server in a thread of its own, between ``with`` and its end. ``clock`` measures the seconds between messages."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, port: int = 0) -> None:
        self.token = TOKEN
        self.scopes = "chat:write,channels:read"
        self.token_error: str | None = None
        """What a token that was good is answered from now on: ``token_revoked``, ``account_inactive``, …"""
        self.webhook_error: tuple[int, str] | None = None
        """The same for the webhook: a status and a body."""
        self.channels = {
            channel.name: channel
            for channel in (Channel("C01", "auth"), Channel("C02", "oncall"), Channel("C03", "audit"))
        }
        self.webhook_channel = "auth"
        self.messages: list[Message] = []
        self.requests: list[Request] = []
        self.refusals: list[str] = []
        """What was wrong with the messages that were refused."""
        self.refuses: Callable[[Mapping[str, Any]], str | None] = lambda _: None
        """An error for a payload that is in order otherwise, or ``None``."""
        self._clock = clock
        self._port = port
        self._answers: deque[bytes] = deque()
        self._posted_at: dict[str, float] = {}
        self._count = 0
        self._changed = threading.Condition()

    # For tests -----------------------------------------------------------------------------------------------------

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def webhook_url(self) -> str:
        return f"http://{self.host}{WEBHOOK_PATH}"

    @property
    def api_url(self) -> str:
        return f"http://{self.host}/api/"

    def misbehave(self, *answers: bytes) -> None:
        """Give the next requests these answers, byte for byte, and close the connection."""
        self._answers.extend(answers)

    def wait_for(self, count: int, within: float = 10.0) -> Sequence[Message]:
        """The messages, once there are so many."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.messages) >= count, within):
                raise TimeoutError(f"{len(self.messages)} of {count} messages after {within} s")
        return self.messages

    # The server ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="slack-double", daemon=True
        )
        self._thread.start()
        if not ready.wait(10):
            raise RuntimeError("the double of Slack did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self._port)
        self._port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._end.wait()
        server.close()
        for writer in self._open:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                request = await _read(reader)
                self.requests.append(request)
                if self._answers:
                    await self._odd(self._answers.popleft(), reader, writer)
                    break
                writer.write(self._answer(request))
                await writer.drain()
        self._open.discard(writer)
        writer.close()

    async def _odd(self, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer == HANG:
            await reader.read(1)  # until the client goes
            return
        writer.write(answer)
        await writer.drain()

    # What Slack does -----------------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> bytes:
        match request.path:
            case "/api/auth.test":
                return self._auth_test(request)
            case "/api/chat.postMessage":
                return self._post_message(request)
            case path if path.startswith("/services/"):
                return self._webhook(request)
            case _:
                return response(404, "<!DOCTYPE html><title>Not Found</title>", "text/html")

    def _webhook(self, request: Request) -> bytes:
        if request.path.rpartition("/")[0] != WEBHOOK_PATH.rpartition("/")[0]:
            return response(404, "no_service")
        if request.path != WEBHOOK_PATH:
            return response(403, "invalid_token")
        if self.webhook_error is not None:
            return response(*self.webhook_error)
        channel = self.channels[self.webhook_channel]
        if channel.archived:
            return response(410, "channel_is_archived")
        payload = _json(request)
        if payload is None:
            return response(400, "invalid_payload")
        if (wait := self._too_soon(channel)) is not None:
            return response(429, "rate_limited", retry_after=wait)
        if problem := self._problem(payload):
            return response(400, problem)
        self._keep(channel, payload)
        return response(200, "ok")

    def _post_message(self, request: Request) -> bytes:
        if problem := self._auth_problem(request):
            return _refused(problem)
        payload = _json(request)
        if payload is None:
            return _refused("invalid_json")
        name = str(payload.get("channel", "")).removeprefix("#")
        channel = next((one for one in self.channels.values() if name in (one.id, one.name)), None)
        if channel is None:
            return _refused("channel_not_found")
        if channel.archived:
            return _refused("is_archived")
        if not channel.member:
            return _refused("not_in_channel")
        if "chat:write" not in self.scopes:
            return _refused("missing_scope", needed="chat:write", provided=self.scopes)
        if (wait := self._too_soon(channel)) is not None:
            return response(
                429, json.dumps({"ok": False, "error": "ratelimited"}), "application/json", retry_after=wait
            )
        thread_ts = payload.get("thread_ts")
        if thread_ts is not None and not any((m.channel, m.ts) == (channel.name, thread_ts) for m in self.messages):
            return _refused("thread_not_found")
        if problem := self._problem(payload):
            return _refused(problem)
        message = self._keep(channel, payload)
        body = {
            "ok": True,
            "channel": channel.id,
            "ts": message.ts,
            "message": {"text": message.text, "type": "message"},
        }
        return response(200, json.dumps(body), "application/json")

    def _auth_test(self, request: Request) -> bytes:
        if problem := self._auth_problem(request):
            return _refused(problem)
        body = {"ok": True, "url": "https://double.slack.com/", "team": "Double", "user": "events", "bot_id": "B01"}
        return response(200, json.dumps(body), "application/json", scopes=self.scopes)

    def _auth_problem(self, request: Request) -> str | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            return "not_authed"
        return "invalid_auth" if token != self.token else self.token_error

    def _too_soon(self, channel: Channel) -> int | None:
        since = self._clock() - self._posted_at.get(channel.name, float("-inf"))
        return None if since >= _APART - _SLACK else 1

    def _problem(self, payload: Mapping[str, Any]) -> str | None:
        problem = message_problem(payload)
        if problem is not None:
            self.refusals.append(problem)
            return problem.partition(":")[0]
        return self.refuses(payload)

    def _keep(self, channel: Channel, payload: Mapping[str, Any]) -> Message:
        self._posted_at[channel.name] = self._clock()
        self._count += 1
        ts = f"1800000000.{self._count:06}"
        message = Message(
            channel.name,
            ts,
            str(payload.get("text", ""))[:40_000],
            payload.get("blocks", ()),
            payload.get("thread_ts"),
            payload,
            self._clock(),
        )
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()
        return message


# Block Kit ------------------------------------------------------------------------------------------------------------


def message_problem(payload: Mapping[str, Any]) -> str | None:
    """Slack's error for a message, and after a colon what is wrong with it."""
    text, blocks = payload.get("text", ""), payload.get("blocks", [])
    if not isinstance(text, str) or not isinstance(blocks, list):
        return "invalid_payload: text or blocks"
    if not text.strip() and not blocks:
        return "no_text"
    if len(text) > 40_000 and not blocks:
        return "msg_too_long"
    if len(blocks) > _MOST_BLOCKS:
        return f"invalid_blocks: {len(blocks)} blocks"
    for block in blocks:
        if problem := next(_block_problems(block), None):
            return f"invalid_blocks: {problem}"
    if sum(len(text) for text in texts_of(blocks)) > _ALL_TEXT:
        return "msg_blocks_too_long"
    return None


_KNOWN = {"section": {"text", "fields"}, "context": {"elements"}, "header": {"text"}, "divider": set()}


def _block_problems(block: Any) -> Iterator[str]:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in _KNOWN:
        yield f"type {kind!r}"
        return
    if odd := set(block) - _KNOWN[kind] - {"type", "block_id"}:
        yield f"{kind}: {sorted(odd)}"
    if kind == "section" and "text" not in block and not block.get("fields"):
        yield "section: neither text nor fields"
    for part in ("fields", "elements"):
        if part in _KNOWN[kind] and part in block and not 1 <= len(block[part]) <= 10:
            yield f"{kind}: {len(block[part])} {part}"
    longest, kinds = (150, {"plain_text"}) if kind == "header" else (3000, {"plain_text", "mrkdwn"})
    texts = [(block["text"], longest)] if "text" in block else []
    texts += [(one, 2000) for one in block.get("fields", ())] + [(one, 3000) for one in block.get("elements", ())]
    for text, limit in texts:
        yield from _text_problems(text, limit, kinds)


def _text_problems(text: Any, longest: int, kinds: set[str]) -> Iterator[str]:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        yield "text object"
    elif not isinstance(text.get("text"), str) or not 1 <= len(text["text"]) <= longest:
        yield f"text of {len(str(text.get('text')))} characters, at most {longest}"
    elif set(text) - {"type", "text", "emoji", "verbatim"}:
        yield "text object: unknown key"


def texts_of(blocks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every text in ``blocks``."""
    objects = (
        one for block in blocks for one in (block.get("text"), *block.get("fields", ()), *block.get("elements", ()))
    )
    return [one["text"] for one in objects if isinstance(one, dict) and isinstance(one.get("text"), str)]


def shown(message: Message) -> str:
    """What a person reads: all texts of the blocks, or the text where there are none."""
    text = "\n".join(texts_of(message.blocks)) or message.text
    for escape, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(escape, sign)
    return text


def mentions(message: Message) -> list[str]:
    """Whom the message calls, and what else is markup in it that is neither a time nor a link."""
    found = [match for text in (message.text, *texts_of(message.blocks)) for match in _CONTROL.findall(text)]
    return [markup for markup in found if not markup.startswith(("!date^", "https://", "http://"))]


# HTTP -----------------------------------------------------------------------------------------------------------------


def response(
    status: int,
    body: str,
    content_type: str = "text/html",
    *,
    retry_after: int | None = None,
    scopes: str | None = None,
) -> bytes:
    """An answer, whole."""
    data = body.encode()
    lines = [f"HTTP/1.1 {status} Said", f"content-type: {content_type}; charset=utf-8", f"content-length: {len(data)}"]
    if retry_after is not None:
        lines.append(f"retry-after: {retry_after}")
    if scopes is not None:
        lines.append(f"x-oauth-scopes: {scopes}")
    return "\r\n".join([*lines, "", ""]).encode() + data


def _refused(error: str, **more: str) -> bytes:
    return response(200, json.dumps({"ok": False, "error": error, **more}), "application/json")


def _json(request: Request) -> Mapping[str, Any] | None:
    if "application/json" not in request.headers.get("content-type", ""):
        return None
    try:
        document = json.loads(request.body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


async def _read(reader: asyncio.StreamReader) -> Request:
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in lines)}
    length = min(int(headers.get("content-length", 0)), _LONGEST_BODY)
    return Request(line.split(" ")[1], headers, await reader.readexactly(length))


def main() -> None:
    """Run by itself, and print what is posted."""
    with SlackDouble() as slack:
        print(
            f"webhook_url = {slack.webhook_url}\napi_url     = {slack.api_url}\ntoken       = {slack.token}", flush=True
        )
        seen = 0
        while True:
            with contextlib.suppress(TimeoutError):
                slack.wait_for(seen + 1, within=3600)
            for message in slack.messages[seen:]:
                print(f"\n#{message.channel}  {message.ts}\n{shown(message)}", flush=True)
            seen = len(slack.messages)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
