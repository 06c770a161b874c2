"""The sink: events as messages of Segment's HTTP tracking API, posted in batches."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import httpx

from supertokens_events.http import Answer, Guard, Proxy, open_transport, post, probe, send
from supertokens_events.sink import BatchPolicy, Delivery, Outcome, Retry, Sink
from supertokens_events_segment.answers import Refused, meaning
from supertokens_events_segment.batches import MAX_BYTES, MAX_MESSAGES, Parcel, body_of
from supertokens_events_segment.mapping import doubts
from supertokens_events_segment.messages import LIBRARY, Mapper, library_version
from supertokens_events_segment.sending import Sending
from supertokens_events_segment.settings import SegmentSettings
from supertokens_events_segment.verdicts import Verdicts

__all__ = ["SegmentSink"]

_SPARE = 5.0  # seconds beyond twice the timeout, which ends a call in any case
_MARGIN = 1.0  # seconds before that end in which nothing is under way any more


class SegmentSink(Sink[SegmentSettings]):
    """Batches to ``/v1/batch``, over the core's schedule of ten attempts in 75 h 35 m.

    ``now`` gives the time of an attempt in seconds since the epoch.
    """

    type = "segment"
    Settings = SegmentSettings
    batch = BatchPolicy(size=MAX_MESSAGES, max_bytes=MAX_BYTES)

    def __init__(self, name: str, settings: SegmentSettings, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(name, settings)
        self.deadline = 2 * settings.timeout + _SPARE
        self._now = now
        self._url = settings.url
        self._guard = Guard(settings.allow_networks)
        self._proxy = None if settings.proxy is None else Proxy.parse(settings.proxy.get_secret_value())
        self._mapper = Mapper(settings)
        key = settings.write_key.get_secret_value()
        token = base64.b64encode(f"{key}:".encode()).decode("ascii")
        self._secrets = [token, token.rstrip("="), key]
        self._headers = [
            (b"content-type", b"application/json"),
            (b"accept-encoding", b"identity"),
            (b"user-agent", f"{LIBRARY}/{library_version()}".encode("ascii")),
            (b"authorization", b"Basic " + token.encode("ascii")),
        ]
        self._verdicts = Verdicts()
        self._transport: httpx.AsyncBaseTransport | None = None

    async def open(self) -> None:
        self._transport = open_transport(self._guard, connections=self.concurrency, proxy=self._proxy)

    async def close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def check(self) -> Sequence[str]:
        return await probe(self._url, self._guard, within=self.settings.timeout, proxy=self._proxy)

    def warnings(self) -> Sequence[str]:
        return [*doubts(self.settings.mapping)]

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        until = time.monotonic() + self.deadline - _MARGIN
        found = [self._mapper.messages(delivery) for delivery in deliveries]
        parcels = [
            Parcel(number, delivery.event_id, one)
            for number, (delivery, one) in enumerate(zip(deliveries, found, strict=True))
            if isinstance(one, list)
        ]
        sending = Sending(self._post, self._verdicts, until=until)
        await sending.send(parcels)
        return [sending.outcomes[number] if isinstance(one, list) else one for number, one in enumerate(found)]

    async def _post(self, batch: Sequence[Parcel], within: float) -> Outcome | Refused:
        assert self._transport is not None, "deliver() comes after open()"
        now = self._now()
        request = post(self._url, self._headers, body_of(batch, _iso(now)))
        match await send(self._transport, request, within=min(within, self.settings.timeout)):
            case Answer() as answer:
                return meaning(answer, hide=self._secrets, now=now)
            case Retry() as failure:
                return failure


def _iso(now: float) -> str:
    """In milliseconds, as Segment's own libraries say it."""
    return datetime.fromtimestamp(now, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
