"""The sink: one signed POST per payload and attempt, and what the answer means."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import httpx
from pydantic import BaseModel

from supertokens_events.http import Answer, Guard, Proxy, open_transport, outcome_of, post, probe, send
from supertokens_events.sink import BatchPolicy, Delivery, Outcome, Renewed, Retry, Sink
from supertokens_events_webhook.keys import KeyRing, doubts
from supertokens_events_webhook.payload import Document, Pack, Payload, pack_for
from supertokens_events_webhook.renewing import with_new_key
from supertokens_events_webhook.settings import WebhookSettings
from supertokens_events_webhook.signing import signature_header
from supertokens_events_webhook.size import SizeGate
from supertokens_events_webhook.tokens import TokenMaker, token_key
from supertokens_events_webhook.transform import Transform

__all__ = ["WebhookSink"]

_SPARE = 5.0  # seconds beyond twice the timeout, which ends a call in any case
_BATCH = 100  # events in one request


class WebhookSink(Sink[WebhookSettings]):
    """Standard Webhooks over the core's schedule of ten attempts in 75 h 35 m.

    ``now`` gives the time of an attempt in seconds since the epoch: each attempt is signed anew.
    """

    type = "webhook"
    Settings = WebhookSettings

    def __init__(self, name: str, settings: WebhookSettings, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(name, settings)
        self.deadline = 2 * settings.timeout + _SPARE
        if settings.format == "cloudevents-batch":
            self.batch = BatchPolicy(_BATCH, settings.max_size)
        self._now = now
        self._url = httpx.URL(settings.url)
        self._guard = Guard(settings.allow_networks)
        self._proxy = None if settings.proxy is None else Proxy.parse(settings.proxy.get_secret_value())
        self._secrets = [*_secrets_of(settings), *_secrets_of_url(self._url)]
        self._keys = KeyRing(settings.secret)
        self._pack = self._packer()
        self._gate = SizeGate(name, settings.max_size)
        self._transform: Transform | None = None
        self._transport: httpx.AsyncBaseTransport | None = None
        self._headers = {"user-agent": _user_agent()} | {
            name: value.get_secret_value() for name, value in settings.headers.items()
        }

    async def open(self) -> None:
        self._open_transform()
        self._transport = open_transport(
            self._guard, connections=self.concurrency, tls=self.settings.tls, proxy=self._proxy
        )

    async def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    @classmethod
    def renewed(cls, table: Mapping[str, Any], settings: BaseModel | None, until: datetime | None) -> Renewed | None:
        if not isinstance(settings, WebhookSettings) or until is None:
            return None if "secret" in table else with_new_key(table, (), None)
        return with_new_key(table, settings.secret, until)

    async def check(self) -> Sequence[str]:
        settings = self.settings
        return await probe(self._url, self._guard, within=settings.timeout, tls=settings.tls, proxy=self._proxy)

    def warnings(self) -> Sequence[str]:
        return [*doubts(self.settings.secret, self._now())]

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        if self.batch is None:
            return [await self._deliver_one(delivery) for delivery in deliveries]
        return await self._deliver_together(deliveries)

    # What is sent --------------------------------------------------------------------------------------------------

    def _packer(self) -> Pack:
        settings = self.settings
        if settings.format != "set":
            return pack_for(settings.format)
        assert settings.token is not None
        key = token_key(settings.token, [secret.key for secret in settings.secret])
        return TokenMaker(settings.token, key, now=self._now)

    def _open_transform(self) -> None:
        if self.settings.transform is not None:
            patience = self.settings.timeout / 2
            self._transform = Transform.open(self.settings.transform, patience=patience, at_once=self.concurrency)

    async def _document(self, delivery: Delivery) -> Document | Outcome:
        """What there is to say about a delivery, or what comes of it without being sent."""
        if self._transform is None:
            return Document(delivery, delivery.body)
        made = await self._transform.body(delivery)
        return Document(delivery, made) if isinstance(made, bytes) else made

    # One request ---------------------------------------------------------------------------------------------------

    async def _deliver_one(self, delivery: Delivery) -> Outcome:
        document = await self._document(delivery)
        return await self._send([document]) if isinstance(document, Document) else document

    async def _deliver_together(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """One request for all that are sent, and its outcome for each of them."""
        found = [await self._document(delivery) for delivery in deliveries]
        documents = [one for one in found if isinstance(one, Document)]
        sent = iter(await self._send_batch(documents) if documents else ())
        return [next(sent) if isinstance(one, Document) else one for one in found]

    async def _send_batch(self, documents: Sequence[Document]) -> Sequence[Outcome]:
        """Two requests for what is too large for one."""
        if len(documents) > 1 and self._gate.refusal(len(self._pack(documents).body)):
            half = len(documents) // 2
            return [*await self._send_batch(documents[:half]), *await self._send_batch(documents[half:])]
        return [await self._send(documents)] * len(documents)

    async def _send(self, documents: Sequence[Document]) -> Outcome:
        payload = self._pack(documents)
        size = len(payload.body)
        if refusal := self._gate.refusal(size):
            return refusal
        assert self._transport is not None, "deliver() comes after open()"
        match await send(self._transport, self._request(payload), within=self.settings.timeout):
            case Answer() as answer:
                outcome = outcome_of(answer, hide=self._secrets, now=self._now)
            case Retry() as failure:
                outcome = failure
        note = self._gate.note(documents[0].delivery.event_type, size) if len(documents) == 1 else {}
        return replace(outcome, detail={**outcome.detail, **note}) if note else outcome

    def _request(self, payload: Payload) -> httpx.Request:
        body = gzip.compress(payload.body, mtime=0) if self.settings.gzip else payload.body
        now = self._now()
        timestamp = int(now)
        signed = {
            "webhook-id": payload.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature_header(self._keys.at(now), payload.id, timestamp, body),
        }
        headers = {**self._headers, **payload.headers, "content-type": payload.content_type, **signed}
        if self.settings.gzip:
            headers["content-encoding"] = "gzip"
        for name, source in self.settings.legacy_headers.items():
            headers[name] = signed[source]
        return post(self._url, [(name.encode(), value.encode()) for name, value in headers.items()], body)


def _secrets_of(settings: WebhookSettings) -> Iterator[str]:
    """What a receiver must not have kept of it, should it repeat it in its answer."""
    for secret in (*(entry.key for entry in settings.secret), *settings.headers.values()):
        yield secret.get_secret_value()


def _secrets_of_url(url: httpx.URL) -> Iterator[str]:
    """The same of the URL: what may be a token."""
    yield from (value for value in (url.raw_path.decode(), url.query.decode(), url.path) if value != "/")
    yield from url.params.values()


@cache
def _user_agent() -> str:
    try:
        return f"supertokens-events-webhook/{version('supertokens-events-webhook')}"
    except PackageNotFoundError:  # run from a checkout
        return "supertokens-events-webhook"
