"""The sink: one signed POST per event and attempt, and what the answer means."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import httpx

from supertokens_events.http import Answer, Guard, open_transport, outcome_of, post, probe, send
from supertokens_events.sink import Delivery, Outcome, Retry, Sink
from supertokens_events_webhook.payload import payload_of
from supertokens_events_webhook.settings import WebhookSettings
from supertokens_events_webhook.signing import key_from, signature_header

__all__ = ["WebhookSink"]

_SPARE = 5.0  # seconds beyond twice the timeout, which ends a call in any case


class WebhookSink(Sink[WebhookSettings]):
    """Standard Webhooks, ``v1``, over the core's schedule of ten attempts in 75 h 35 m.

    ``now`` gives the time of an attempt in seconds since the epoch: each attempt is signed anew.
    """

    type = "webhook"
    Settings = WebhookSettings

    def __init__(self, name: str, settings: WebhookSettings, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(name, settings)
        self.deadline = 2 * settings.timeout + _SPARE
        self._now = now
        self._url = httpx.URL(settings.url)
        self._guard = Guard(settings.allow_networks)
        self._secrets = [
            *(secret.get_secret_value() for secret in (*settings.secret, *settings.headers.values())),
            # Of the URL, what may be a token, should the receiver repeat it in its answer.
            *(
                value
                for value in (self._url.raw_path.decode(), self._url.query.decode(), self._url.path)
                if value != "/"
            ),
            *self._url.params.values(),
        ]
        self._keys = [key_from(secret.get_secret_value()) for secret in settings.secret]
        self._headers = [
            (name.encode(), value.encode())
            for name, value in (
                ("user-agent", _user_agent()),
                *((name, value.get_secret_value()) for name, value in settings.headers.items()),
            )
        ]

    async def open(self) -> None:
        self._transport = open_transport(self._guard, connections=self.concurrency)

    async def close(self) -> None:
        await self._transport.aclose()

    async def check(self) -> Sequence[str]:
        return await probe(self._url, self._guard, within=self.settings.timeout)

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        return [await self._deliver(delivery) for delivery in deliveries]

    async def _deliver(self, delivery: Delivery) -> Outcome:
        match await send(self._transport, self._request(delivery), within=self.settings.timeout):
            case Answer() as answer:
                return outcome_of(answer, hide=self._secrets, now=self._now)
            case Retry() as failure:
                return failure

    def _request(self, delivery: Delivery) -> httpx.Request:
        payload = payload_of(delivery)
        timestamp = int(self._now())
        signature = signature_header(self._keys, delivery.event_id, timestamp, payload.body)
        headers = [
            *self._headers,
            (b"content-type", payload.content_type.encode()),
            (b"webhook-id", delivery.event_id.encode()),
            (b"webhook-timestamp", b"%d" % timestamp),
            (b"webhook-signature", signature.encode()),
        ]
        return post(self._url, headers, payload.body)


@cache
def _user_agent() -> str:
    try:
        return f"supertokens-events-webhook/{version('supertokens-events-webhook')}"
    except PackageNotFoundError:  # run from a checkout
        return "supertokens-events-webhook"
