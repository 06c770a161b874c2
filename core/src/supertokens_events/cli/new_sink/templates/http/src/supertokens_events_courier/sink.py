"""The sink: each event is one request to a URL."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated

import httpx
from pydantic import AfterValidator, Field, HttpUrl, SecretStr
from supertokens_events.http import Answer, Guard, open_transport, outcome_of, post, probe, send
from supertokens_events.retry import Duration
from supertokens_events.sink import Delivery, Outcome, Rejected, Retry, Sink, SinkSettings

__all__ = ["CourierSettings", "CourierSink"]


def _fits_a_header(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not (text and text.isascii() and text.isprintable()):
        raise ValueError("expected printable ASCII characters")
    return secret


class CourierSettings(SinkSettings):
    """Its keys in the TOML table. ``token`` is sent as a bearer token. ``timeout`` bounds one request, in seconds or as
    text such as ``"5s"``. ``allow_networks`` are those beside the public ones that may be connected to.
    """

    url: HttpUrl
    token: Annotated[SecretStr, AfterValidator(_fits_a_header)]
    timeout: Annotated[Duration, Field(gt=0, le=40)] = 10.0
    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()


class CourierSink(Sink[CourierSettings]):
    """Posts events as they were stored."""

    type = "courier"
    Settings = CourierSettings

    def __init__(self, name: str, settings: CourierSettings) -> None:
        super().__init__(name, settings)
        self._url = httpx.URL(str(settings.url))
        self._guard = Guard(settings.allow_networks)
        self._token = settings.token.get_secret_value()
        self._transport: httpx.AsyncBaseTransport | None = None

    async def open(self) -> None:
        self._transport = open_transport(self._guard, connections=self.concurrency)

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        return [await self._post(delivery) for delivery in deliveries]

    async def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def check(self) -> Sequence[str]:
        return await probe(self._url, self._guard)

    async def _post(self, delivery: Delivery) -> Outcome:
        assert self._transport is not None, "deliver() comes after open()"
        request = post(self._url, self._headers(delivery), delivery.body)
        match await send(self._transport, request, within=self.settings.timeout):
            case Answer(status=400 | 422) as answer:  # it will say so of this event every time
                return Rejected(f"{answer}", answer.detail([self._token]))
            case Answer() as answer:
                return outcome_of(answer, hide=[self._token])
            case Retry() as failure:
                return failure

    def _headers(self, delivery: Delivery) -> Sequence[tuple[bytes, bytes]]:
        return [
            (b"Content-Type", b"application/json"),
            (b"Authorization", f"Bearer {self._token}".encode()),
            (b"Idempotency-Key", delivery.event_id.encode()),  # an event may come twice
        ]
