"""Where messages are posted: an incoming webhook, or the Web API with a token."""

from __future__ import annotations

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import httpx

from supertokens_events.http import Answer, Guard, Proxy, open_transport, post, probe, send
from supertokens_events.sink import Retry
from supertokens_events_slack.answers import Verdict, of_api, of_webhook, parsed
from supertokens_events_slack.message import Message

__all__ = ["Api", "Place", "Webhook"]

_NEEDED = "chat:write"
_CODE = re.compile(r"[a-z][a-z_]{0,79}")


class Place(ABC):
    """One destination with its connection. ``secrets`` are texts that must not be kept of an answer."""

    secrets: Collection[str]

    def __init__(
        self,
        url: httpx.URL,
        *,
        guard: Guard,
        proxy: Proxy | None,
        timeout: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._guard = guard
        self._proxy = proxy
        self._timeout = timeout
        self._now = now
        self._transport: httpx.AsyncBaseTransport | None = None

    def open(self) -> None:
        """Before the first message."""
        self._transport = open_transport(self._guard, connections=1, proxy=self._proxy)

    async def close(self) -> None:
        """After the last."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def check(self) -> Sequence[str]:
        """Why no connection can be made, as sentences."""
        return await probe(self._url, self._guard, within=self._timeout, proxy=self._proxy)

    @abstractmethod
    async def post(self, message: Message, channel: str | None, thread_ts: str | None) -> Verdict:
        """Post it, once."""

    async def _send(
        self,
        transport: httpx.AsyncBaseTransport | None,
        url: httpx.URL,
        document: Mapping[str, Any],
        token: str | None = None,
    ) -> Answer | Retry:
        assert transport is not None, "post() comes after open()"
        headers = [(b"Content-Type", b"application/json; charset=utf-8"), (b"User-Agent", _user_agent())]
        if token is not None:
            headers.append((b"Authorization", b"Bearer " + token.encode("ascii")))
        return await send(transport, post(url, headers, json.dumps(document).encode()), within=self._timeout)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._url.host}>"


class Webhook(Place):
    """An incoming webhook: its URL is the credential, and its channel is Slack's to know."""

    def __init__(self, url: httpx.URL, **options: Any) -> None:
        super().__init__(url, **options)
        path = url.raw_path.decode("ascii")
        self.secrets = [str(url), path, *(part for part in path.split("/") if part), *url.params.values()]

    async def post(self, message: Message, channel: str | None, thread_ts: str | None) -> Verdict:  # noqa: ARG002 - it has neither
        match await self._send(self._transport, self._url, message.payload()):
            case Answer() as answer:
                return of_webhook(answer, hide=self.secrets, now=self._now)
            case Retry() as failure:
                return failure


class Api(Place):
    """The Web API. ``url`` is what its methods' names are added to."""

    def __init__(self, url: httpx.URL, token: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._token = token
        self.secrets = [token]

    async def post(self, message: Message, channel: str | None, thread_ts: str | None) -> Verdict:
        document = {**message.payload(), "channel": channel}
        if thread_ts is not None:
            document["thread_ts"] = thread_ts
        match await self._send(self._transport, self._method("chat.postMessage"), document, self._token):
            case Answer() as answer:
                return of_api(answer, hide=self.secrets, now=self._now)
            case Retry() as failure:
                return failure

    async def check(self) -> Sequence[str]:
        """Whether the token is good for messages. Asks ``auth.test``, which posts nothing."""
        transport = open_transport(self._guard, connections=1, proxy=self._proxy)
        try:
            answer = await self._send(transport, self._method("auth.test"), {}, self._token)
        finally:
            await transport.aclose()
        return [problem] if (problem := self._problem(answer)) else []

    def _problem(self, answer: Answer | Retry) -> str | None:
        if isinstance(answer, Retry):
            return answer.reason
        document = parsed(answer)
        if document is None:
            return f"{answer}, and not as Slack does: is api_url right?"
        if not document["ok"]:
            said = str(document.get("error"))
            return f"{answer.host} does not accept the token" + (f": {said}" if _CODE.fullmatch(said) else "")
        scopes = answer.headers.get("x-oauth-scopes")
        if scopes is not None and _NEEDED not in re.split(r"[,\s]+", scopes):
            return f"the token lacks the scope {_NEEDED}: add it to the app, and install the app again"
        return None

    def _method(self, name: str) -> httpx.URL:
        return self._url.copy_with(path=self._url.path.rstrip("/") + "/" + name)


@cache
def _user_agent() -> bytes:
    try:
        return f"supertokens-events-slack/{version('supertokens-events-slack')}".encode()
    except PackageNotFoundError:  # run from a checkout
        return b"supertokens-events-slack"
