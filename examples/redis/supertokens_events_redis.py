"""A sink for supertokens-events: each event is an entry of a Redis stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field, SecretStr, field_validator
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from supertokens_events import hookimpl
from supertokens_events.retry import Duration
from supertokens_events.sink import BatchPolicy, Delivered, Delivery, Outcome, Retry, Sink, SinkSettings

__all__ = ["RedisSettings", "RedisSink", "register_sink_types"]

_BUSY = ("OOM", "LOADING", "BUSY", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN")


class RedisSettings(SinkSettings):
    """``url`` may hold a password; ``max_length`` is about how many entries the stream keeps; ``timeout`` is in seconds."""

    url: SecretStr
    stream: str = Field(default="supertokens-events", min_length=1)
    max_length: int | None = Field(default=None, ge=1)
    timeout: Duration = 5.0

    @field_validator("url")
    @classmethod
    def _scheme(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("redis://", "rediss://")):
            raise ValueError("expected a URL such as 'redis://:password@localhost:6379/0'")
        return url


class RedisSink(Sink[RedisSettings]):
    """``XADD``, up to 500 of them in one round trip. A reader finds ``id``, ``type`` and the event's JSON in ``event``."""

    type = "redis"
    Settings = RedisSettings
    batch = BatchPolicy(size=500, max_bytes=4_000_000)
    _redis: Redis | None = None

    async def open(self) -> None:
        settings = self.settings
        self._redis = Redis.from_url(
            settings.url.get_secret_value(),
            socket_timeout=settings.timeout,
            socket_connect_timeout=settings.timeout,
            retry=None,  # the outbox tries again
        )

    async def close(self) -> None:
        redis, self._redis = self._redis, None
        if redis is not None:
            await redis.aclose()

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        assert self._redis is not None, "deliver() comes after open()"
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for delivery in deliveries:
                    pipeline.xadd(self.settings.stream, _fields(delivery), maxlen=self.settings.max_length)
                answers = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, ValueError, LookupError) as error:  # what is no answer of Redis fails in many ways
            return [Retry(f"Redis cannot be reached: {type(error).__name__}", away=True)] * len(deliveries)
        return [_outcome(answer) for answer in answers]


def _fields(delivery: Delivery) -> dict[Any, Any]:
    return {"id": delivery.event_id, "type": delivery.event_type, "event": delivery.body}


def _outcome(answer: object) -> Outcome:
    match answer:
        case bytes():
            return Delivered({"entry": answer.decode("ascii", "replace")})
        case ResponseError():
            word = str(answer).partition(" ")[0]
            return Retry(f"Redis answered {word}", away=word in _BUSY)
        case RedisError():
            return Retry(f"Redis answered with {type(answer).__name__}", away=True)
        case _:
            return Retry("Redis did not answer as it should")


@hookimpl
def register_sink_types() -> list[type[Sink[Any]]]:
    """The sink type ``redis``."""
    return [RedisSink]
