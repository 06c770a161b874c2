"""The sink: a message for what is due together, at most one a second in a channel, and an outcome for each delivery in it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

import anyio
import httpx

from supertokens_events.http import Guard, Proxy
from supertokens_events.sink import BatchPolicy, Delivered, Delivery, Outcome, Rejected, Retry, Sink
from supertokens_events_slack.answers import NoChannel, NoThread, Posted, Unfit, Verdict
from supertokens_events_slack.bundles import Bundle, Bundler
from supertokens_events_slack.message import Writer
from supertokens_events_slack.pace import Pace
from supertokens_events_slack.places import Api, Place, Webhook
from supertokens_events_slack.settings import SlackSettings
from supertokens_events_slack.threads import Threads

__all__ = ["SlackSink"]

_BEGIN = 45.0  # seconds of a call in which messages begin: what has had no turn until then waits for another call
_SPARE = 5.0  # seconds beyond those and twice a message's timeout, which end a call in any case


class SlackSink(Sink[SlackSettings]):
    """One message about everything that is due, up to 500 events; what one call posts to a channel is a second apart.

    A message that Slack refuses for what is in it is posted again in halves, until the event is found that is at fault.
    ``now`` gives seconds since the epoch; ``clock`` and ``sleep`` are what a second is measured with.
    """

    type = "slack"
    Settings = SlackSettings
    batch = BatchPolicy(500, 4 * 1024 * 1024)
    concurrency = 1
    rate = 1.0

    def __init__(
        self,
        name: str,
        settings: SlackSettings,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = anyio.current_time,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> None:
        super().__init__(name, settings)
        self.deadline = _BEGIN + 2 * settings.timeout + _SPARE
        self._place = _place(settings, now)
        self._pace = Pace(clock, sleep)
        self._threads = Threads(now)
        self._bundler = Bundler(
            settings.channel, settings.routes, settings.threads, lambda *key: self._threads.find(*key) is not None
        )
        self._writer = Writer(settings.texts, settings.dashboard)
        self._one_channel = {rule.channel for rule in settings.rules} <= {settings.channel}

    async def open(self) -> None:
        self._calls = anyio.Lock()
        self._place.open()

    async def close(self) -> None:
        await self._place.close()

    async def check(self) -> Sequence[str]:
        return await self._place.check()

    def warnings(self) -> Sequence[str]:
        return self.settings.doubts()

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        until = self._pace.now() + _BEGIN
        async with self._calls:  # were there several at once, each would post in the other's second
            return await self._deliver(deliveries, until)

    async def _deliver(self, deliveries: Sequence[Delivery], until: float) -> Sequence[Outcome]:
        outcomes: dict[int, Outcome] = {}
        waiting = [*self._bundler.bundles(deliveries)]
        held: Retry | None = None
        while waiting:
            bundle = min(waiting, key=lambda one: self._pace.wait(one.channel))
            waiting.remove(bundle)
            verdict = held or (await self._post(bundle) if self._pace.now() <= until else _not_yet(bundle))
            if isinstance(verdict, Unfit) and len(bundle.places) > 1:
                waiting = [*bundle.halves(verdict.reason), *waiting]
                continue
            came_to = self._outcomes(verdict, bundle)
            outcomes.update(zip(bundle.places, came_to, strict=True))
            held = held or _holding(came_to)
        return [outcomes[place] for place in range(len(deliveries))]

    # One message ---------------------------------------------------------------------------------------------------

    async def _post(self, bundle: Bundle) -> Verdict:
        thread_ts = self._thread_of(bundle)
        verdict = await self._post_once(bundle, thread_ts)
        if isinstance(verdict, NoThread) and thread_ts is not None:
            thread_ts = None
            verdict = await self._post_once(bundle, thread_ts)
        if isinstance(verdict, Posted) and verdict.ts and bundle.thread is not None and thread_ts is None:
            self._threads.begin(bundle.channel, bundle.thread, verdict.ts)
        return verdict

    async def _post_once(self, bundle: Bundle, thread_ts: str | None) -> Verdict:
        message = self._writer.write(bundle.deliveries)
        await self._pace.turn(bundle.channel)
        try:
            return await self._place.post(message, bundle.channel, thread_ts)
        finally:
            self._pace.posted(bundle.channel)

    def _thread_of(self, bundle: Bundle) -> str | None:
        return None if bundle.thread is None else self._threads.find(bundle.channel, bundle.thread)

    # What it came to -----------------------------------------------------------------------------------------------

    def _outcomes(self, verdict: Verdict, bundle: Bundle) -> Sequence[Outcome]:
        """One for each delivery in ``bundle``."""
        count = len(bundle.places)
        about = {"channel": bundle.channel} if bundle.channel is not None else {}
        match verdict:
            case Posted(detail=detail):
                return [Delivered({**detail, **about, "events": count})] * count
            case Retry() | Rejected(disables=False):
                return [verdict] * count
            case Rejected():
                return _first_of_all(verdict, count)
            case NoChannel(reason=reason, advice=advice, detail=detail):
                which = "its channel" if bundle.channel is None else f"the channel {bundle.channel!r}"
                told = f"{reason} about {which}: {advice}"
                refused = Rejected(told, {**detail, **about}, disables=self._one_channel)
                return _first_of_all(refused, count) if refused.disables else [refused] * count
            case Unfit(reason=reason, detail=detail) | NoThread(reason=reason, detail=detail):
                return [Rejected(reason, {**detail, **about})] * count


def _not_yet(bundle: Bundle) -> Retry:
    """It had no turn. Where one of its events is at fault that uses up an attempt: else nothing might ever end it."""
    if bundle.refused is not None:
        return Retry(f"{bundle.refused} to a message about this event and others")
    return Retry("other messages were first", counts=False)


def _first_of_all(refused: Rejected, count: int) -> Sequence[Outcome]:
    """The place wants no more: that is said of one delivery, which is dead, and all others wait until the sink is enabled."""
    return [refused, *[Retry(refused.reason, counts=False, detail=refused.detail)] * (count - 1)]


def _holding(outcomes: Sequence[Outcome]) -> Retry | None:
    """What the rest of a call comes to without being tried, if this says that it would fare the same."""
    match outcomes[0]:
        case Retry(away=True) as away:
            return away
        case Rejected(disables=True) as refused:
            return Retry(refused.reason, counts=False)
        case _:
            return None


def _place(settings: SlackSettings, now: Callable[[], float]) -> Place:
    options = {
        "guard": Guard(settings.allow_networks),
        "proxy": None if settings.proxy is None else Proxy.parse(settings.proxy.get_secret_value()),
        "timeout": settings.timeout,
        "now": now,
    }
    if settings.webhook_url is not None:
        return Webhook(httpx.URL(settings.webhook_url.get_secret_value()), **options)
    assert settings.token is not None
    return Api(httpx.URL(settings.api_url), settings.token.get_secret_value(), **options)
