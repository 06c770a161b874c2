"""The server of ``listen``."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from aiohttp import web

from supertokens_events.cli.group import Problem
from supertokens_events.cli.output import print_json, printable
from supertokens_events.event import Event
from supertokens_events_webhook.receiver import InMemoryDeduplicator, Webhook, WebhookVerificationError
from supertokens_events_webhook.receiver.answers import MAX_BODY, REFUSED

__all__ = ["Manner", "serve"]

_ENDING = 2.0  # seconds that a request in the middle of its delay has, when the program is ended
_FAILURE = 500  # one event that fails; 503 would say that the whole place is away


@dataclass(frozen=True, slots=True)
class Manner:
    """How to answer: ``status`` after ``delay`` seconds, and a share of ``fail_rate`` with 500."""

    status: int
    fail_rate: float
    delay: float

    def answer(self) -> int:
        """The next answer's status."""
        return _FAILURE if random.random() < self.fail_rate else self.status  # noqa: S311 - nothing secret rests on it


def serve(
    webhook: Webhook, host: str, port: int, manner: Manner, *, as_json: bool, begun: Callable[[str], None]
) -> None:
    """Receive until SIGINT or SIGTERM. ``begun`` is told the URL once the server can be reached.

    Raises :class:`Problem` when it cannot listen there.
    """
    receiver = _Receiver(webhook, manner, _print_json if as_json else _print)
    try:
        asyncio.run(_serve(receiver, host, port, begun))
    except OSError as error:
        raise Problem(f"Cannot listen at {host}, port {port}: {error.strerror}.") from None


async def _serve(receiver: _Receiver, host: str, port: int, begun: Callable[[str], None]) -> None:
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_route("POST", "/{path:.*}", receiver.receive)
    runner = web.AppRunner(app, shutdown_timeout=_ENDING, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = f"[{host}]" if ":" in host else host
        begun(f"http://{bound}:{runner.addresses[0][1]}/")
        await _until_told()
    finally:
        await runner.cleanup()


async def _until_told() -> None:
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()


@dataclass(frozen=True, slots=True)
class _Received:
    """One request, and what became of it."""

    status: int
    event: Event | None = None
    repeated: bool = False
    error: WebhookVerificationError | None = None


class _Receiver:
    def __init__(self, webhook: Webhook, manner: Manner, tell: Callable[[_Received], None]) -> None:
        self._webhook = webhook
        self._manner = manner
        self._tell = tell
        self._seen = InMemoryDeduplicator(max_events=10_000)

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            event = self._webhook.verify(request.headers.items(), body)
        except WebhookVerificationError as error:
            self._tell(_Received(400, error=error))
            return web.Response(status=400, text=REFUSED)
        with self._seen.once(event.id) as first:  # before the delay: a repeat may come meanwhile
            pass
        await asyncio.sleep(self._manner.delay)
        status = self._manner.answer()
        self._tell(_Received(status, event, repeated=not first))
        return web.Response(status=status)


def _print(received: _Received) -> None:
    clock = datetime.now().astimezone().strftime("%H:%M:%S")
    event = received.event
    if event is None:
        click.echo(f"{clock} {click.style('not verified', fg='red')} → {received.status}: {received.error}")
        return
    verified = click.style("verified", fg="green") + (", again" if received.repeated else "")
    click.echo(f"{clock} {click.style(event.type, bold=True)} {verified} → {received.status}")
    for name, value in _facts(event):
        click.echo(printable(f"  {name:<10} {value}"))


def _facts(event: Event) -> Iterable[tuple[str, str]]:
    facts = {"id": event.id, "user_id": event.user_id, "tenant_id": event.tenant_id, "sequence": event.sequence}
    yield from ((name, str(value)) for name, value in facts.items() if value is not None)
    if event.data:
        yield "data", json.dumps(event.data, ensure_ascii=False)


def _print_json(received: _Received) -> None:
    told: dict[str, Any] = {"verified": received.event is not None, "status": received.status}
    if received.error is not None:
        told |= {"reason": str(received.error.reason), "why": str(received.error)}
    if received.event is not None:
        told |= {"repeated": received.repeated, "event": received.event.model_dump(mode="json")}
    print_json(told)
