"""Pages the operators: one line over TCP per event, one word back."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from pydantic import Field, SecretStr

from supertokens_events import hookimpl
from supertokens_events.sink import Delivered, Delivery, Outcome, Rejected, Retry, Sink, SinkSettings


class PagerSettings(SinkSettings):
    """``team`` is who gets paged; ``key`` is what the pager knows us by."""

    host: str
    port: int = Field(gt=0, lt=65536)
    team: str
    key: SecretStr


class PagerSink(Sink[PagerSettings]):
    """The pager answers ``ok``, ``busy`` or ``never``."""

    type = "acme_pager"
    Settings = PagerSettings

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        return [await self._page(delivery) for delivery in deliveries]

    async def _page(self, delivery: Delivery) -> Outcome:
        own = self.settings
        line = f"{own.key.get_secret_value()} {own.team} {delivery.event_id} {delivery.event_type} {delivery.user_id}\n"
        try:
            async with await anyio.connect_tcp(own.host, own.port) as pager:
                await pager.send(line.encode())
                answer = (await pager.receive(16)).decode().strip()
        except OSError:
            return Retry("the pager cannot be reached")
        match answer:
            case "ok":
                return Delivered({"attempt": delivery.attempt})
            case "busy":
                return Retry("the pager is busy", after=0.0)
            case _:
                return Rejected(f"the pager says {answer!r}")


@hookimpl
def register_sink_types() -> Sequence[type[PagerSink]]:
    return [PagerSink]
