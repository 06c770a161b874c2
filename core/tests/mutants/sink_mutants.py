"""Sinks with one thing wrong with each, and one with nothing: what the contract of sinks must tell apart.

``WRONG`` names, for each, the tests of the contract that fail, and no others do.
"""

import base64
import contextlib
import json
import logging
import socket
import time
from ipaddress import ip_network
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import httpx
import pytest
from pydantic import BaseModel, SecretStr, model_validator

from supertokens_events import hookimpl
from supertokens_events.http import Answer, Guard, open_transport, post, send
from supertokens_events.retry import Duration
from supertokens_events.sink import BatchPolicy, Delivered, Rejected, Retry, Sink, SinkSettings
from supertokens_events.testing import HttpPlace, SinkContract, deviates

KEY = "canary-pager-key"
WRONG = {}
KEPT = []  # sockets that a mutant does not close

log = logging.getLogger(__name__)


class PagerSettings(SinkSettings):
    url: str
    key: SecretStr
    timeout: Duration = 5.0


class PagerSink(Sink[PagerSettings]):
    """Nothing is wrong with it: one request for each event, with a key, five of them in one call."""

    type = "pager"
    Settings = PagerSettings
    batch = BatchPolicy(5)
    _transport = None

    async def open(self):
        self._transport = open_transport(Guard([ip_network("127.0.0.0/8")]), connections=self.concurrency)

    async def close(self):
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def deliver(self, deliveries):
        return [await self.page(delivery) for delivery in deliveries]

    async def page(self, delivery):
        request = post(httpx.URL(self.settings.url), [(b"authorization", self.key.encode())], delivery.body)
        return self.outcome(await send(self._transport, request, within=self.settings.timeout))

    @property
    def key(self):
        return self.settings.key.get_secret_value()

    def outcome(self, answer):
        match answer:
            case Retry():
                return answer
            case Answer(status=200):
                return Delivered({"status": 200})
            case Answer(status=429):
                wait = answer.headers["retry-after"]
                return Retry("the pager is busy", float(wait) if wait.isdigit() else None, counts=False, away=True)
            case Answer(status=400):
                return Rejected("the pager does not want it")
        return Retry(f"the pager answered {answer.status}")


class PagerContract(SinkContract):
    """The contract of the pager, quick: what has to do with a connection comes in the second one."""

    is_remote = False
    can_be_away = True
    can_be_busy = True
    can_refuse = True
    sends_body = True
    secrets = (KEY,)
    patience = 1.5

    @pytest.fixture
    def place(self):
        with HttpPlace() as place:
            yield place
        while KEPT:
            KEPT.pop().close()

    @pytest.fixture
    def sink_settings(self, place):
        return {"url": place.url, "key": KEY, "timeout": "500ms"}

    def __init_subclass__(cls, **named):
        super().__init_subclass__(**named)
        if hasattr(cls, "sink_type"):
            bring = hookimpl(lambda: [cls.sink_type], specname="register_sink_types")
            cls.plugins = [SimpleNamespace(register_sink_types=bring)]


class RemotePagerContract(PagerContract):
    is_remote = True


def mutant(*failing, contract=PagerContract):
    """Makes the sink one that the contract must find out: by these tests, and no others."""

    def add(sink_type):
        name = f"Test{sink_type.__name__}"
        globals()[name] = type(name, (contract,), {"sink_type": sink_type, "__module__": __name__})
        WRONG[name] = {f"test_{test}" for test in failing}
        return sink_type

    return add


mutant(contract=RemotePagerContract)(PagerSink)


# What the dispatcher is told -------------------------------------------------------------------------------------------


@mutant("it_takes_a_full_batch", "outcomes_are_in_order", "it_knows_every_type", "the_event_loop_goes_on")
class LosesAnOutcome(PagerSink):
    """What it says twice it says once."""

    async def deliver(self, deliveries):
        outcomes = await super().deliver(deliveries)
        return [one for number, one in enumerate(outcomes) if one not in outcomes[:number]]


@mutant("outcomes_are_in_order")
class TurnsThemAround(PagerSink):
    async def deliver(self, deliveries):
        return (await super().deliver(deliveries))[::-1]


@mutant("outcomes_are_in_order", "a_refusal_is_final")
class NeverGivesUp(PagerSink):
    def outcome(self, answer):
        match super().outcome(answer):
            case Rejected(reason=reason):
                return Retry(reason)
            case other:
                return other


@mutant("a_busy_place_is_asked_later")
class HasNoPatience(PagerSink):
    def outcome(self, answer):
        match super().outcome(answer):
            case Retry(reason=reason, after=float()):
                return Retry(reason)
            case other:
                return other


@mutant("a_place_that_is_away_is_told")
class SaysNothingOfAbsence(PagerSink):
    def outcome(self, answer):
        match super().outcome(answer):
            case Retry(reason=reason, away=True, after=None):
                return Retry(reason)
            case other:
                return other


@mutant("garbage_is_no_exception", contract=RemotePagerContract)
class ReadsWhatIsNotThere(PagerSink):
    """It takes every success for JSON."""

    def outcome(self, answer):
        if isinstance(answer, Answer) and answer.status == 200 and answer.body != b"ok":
            json.loads(answer.body)
        return super().outcome(answer)


@mutant("garbage_is_no_exception", contract=RemotePagerContract)
class TakesWhatItDoesNotKnowForSuccess(PagerSink):
    """A server error, a redirect and a status that nobody knows lose an event each."""

    def outcome(self, answer):
        if isinstance(answer, Answer) and answer.status in (302, 500, 799):
            return Delivered()
        return super().outcome(answer)


@mutant("it_delivers", "it_takes_a_full_batch")
class SendsTwice(PagerSink):
    async def page(self, delivery):
        await super().page(delivery)
        return await super().page(delivery)


# Time ------------------------------------------------------------------------------------------------------------------


@mutant("the_event_loop_goes_on")
class BlocksTheLoop(PagerSink):
    """Now and then it takes its time."""

    async def open(self):
        await super().open()
        self.calls = 0

    async def deliver(self, deliveries):
        self.calls += 1
        if self.calls == 2 and len(deliveries) > 1:
            time.sleep(0.2)  # noqa: ASYNC251 - that is what is wrong with it
        return await super().deliver(deliveries)


@mutant("the_event_loop_goes_on")
class OpensSlowly(PagerSink):
    """It looks for what it left behind, say."""

    was_open = False

    async def open(self):
        if self.was_open:
            time.sleep(0.2)  # noqa: ASYNC251
        self.was_open = True
        await super().open()


@mutant("the_event_loop_goes_on")
class ClosesSlowly(PagerSink):
    was_closed = False

    async def close(self):
        if self.was_closed:
            time.sleep(0.2)  # noqa: ASYNC251
        self.was_closed = True
        await super().close()


@mutant("the_event_loop_goes_on")
class AsksSlowly(PagerSink):
    async def check(self):
        time.sleep(0.2)  # noqa: ASYNC251
        return ()


@mutant("the_event_loop_goes_on")
class ComputesForLong(PagerSink):
    """It waits for nobody, and nobody else gets on."""

    async def open(self):
        await super().open()
        self.calls = 0

    async def deliver(self, deliveries):
        self.calls += 1
        if self.calls == 2 and len(deliveries) > 1:
            began = time.thread_time()
            while time.thread_time() - began < 0.25:
                pass
        return await super().deliver(deliveries)


@mutant("it_can_be_cancelled", contract=RemotePagerContract)
class SwallowsCancellation(PagerSink):
    async def page(self, delivery):
        try:
            return await super().page(delivery)
        except BaseException:
            return Retry("something happened")


@mutant("a_place_that_hangs_is_left", "the_event_loop_goes_on", contract=RemotePagerContract)
class WaitsForEver(PagerSink):
    async def page(self, delivery):
        request = post(httpx.URL(self.settings.url), [], delivery.body)
        return self.outcome(await send(self._transport, request, within=3600))


@mutant("it_delivers_after_a_cancelled_call", contract=RemotePagerContract)
class StaysLocked(PagerSink):
    """Its lock is not given back by a call that does not end well."""

    async def open(self):
        await super().open()
        self.lock = anyio.Lock()

    async def page(self, delivery):
        async with self.lock:
            pass
        try:
            return await super().page(delivery)
        except anyio.get_cancelled_exc_class():
            self.lock.acquire_nowait()
            raise


@mutant("calls_may_overlap")
class MixesCallsUp(PagerSink):
    async def page(self, delivery):
        self.latest = delivery
        await anyio.lowlevel.checkpoint()
        return await super().page(self.latest)


# What it opens ---------------------------------------------------------------------------------------------------------


@mutant("it_gives_back_what_it_opened")
class KeepsItsConnection(PagerSink):
    async def open(self):
        await super().open()
        url = httpx.URL(self.settings.url)
        with contextlib.suppress(OSError):
            KEPT.append(socket.create_connection((url.host, url.port)))


@mutant("it_can_be_closed_at_any_time")
class ClosesOnce(PagerSink):
    async def close(self):
        await self._transport.aclose()
        self._transport = None


@mutant("it_opens_again")
class OpensOnce(PagerSink):
    was_open = False

    async def deliver(self, deliveries):
        outcomes = await super().deliver(deliveries)
        if self.was_open:
            return [Retry("it was closed")] * len(deliveries)
        return outcomes

    async def close(self):
        self.was_open = self._transport is not None
        await super().close()


@mutant("a_place_that_comes_back_is_found", "it_delivers_after_a_cancelled_call", contract=RemotePagerContract)
class NeverTriesAgain(PagerSink):
    """Once the connection is broken, it stays so."""

    broken = False

    async def page(self, delivery):
        if self.broken:
            return Retry("the pager is away", away=True)
        try:
            outcome = await super().page(delivery)
        except anyio.get_cancelled_exc_class():
            self.broken = True
            raise
        self.broken = isinstance(outcome, Retry)
        return outcome


# Events ----------------------------------------------------------------------------------------------------------------


@mutant("it_leaves_events_alone")
class WritesIntoEvents(PagerSink):
    async def page(self, delivery):
        delivery.event.data["paged"] = True
        return await super().page(delivery)


@mutant("it_leaves_events_alone")
class TakesFromTheList(PagerSink):
    async def deliver(self, deliveries):
        return [await self.page(deliveries.pop(0)) for _ in list(deliveries)]


@mutant("it_sends_the_body")
class WritesJsonItself(PagerSink):
    async def page(self, delivery):
        request = post(httpx.URL(self.settings.url), [], json.dumps(json.loads(delivery.body)).encode())
        return self.outcome(await send(self._transport, request, within=self.settings.timeout))


@mutant("it_takes_odd_events", "it_sends_the_body")
class WantsAUser(PagerSink):
    async def page(self, delivery):
        delivery.user_id.encode()
        return await super().page(delivery)


@mutant("it_knows_every_type")
class KnowsAFewTypes(PagerSink):
    async def page(self, delivery):
        if delivery.event_type.startswith("oauth."):
            return Retry("what is that?")
        return await super().page(delivery)


# Secrets ---------------------------------------------------------------------------------------------------------------


class OpenSettings(SinkSettings):
    url: str
    key: str
    timeout: Duration = 5.0


@mutant("secrets_are_not_shown")
class ShowsItsKey(PagerSink):
    """The key is a text like any other."""

    Settings = OpenSettings

    @property
    def key(self):
        return self.settings.key


@mutant("secrets_are_not_shown")
class TellsWhoItIs(PagerSink):
    def __repr__(self):
        return f"<PagerSink {self.key}>"


@mutant("secrets_are_not_told", contract=RemotePagerContract)
class RepeatsWhatItHears(PagerSink):
    """What a place answers may hold what it was sent."""

    def outcome(self, answer):
        if isinstance(answer, Answer) and answer.status == 500:
            return Retry(f"the pager answered {answer.body.decode()}")
        return super().outcome(answer)


@mutant("secrets_are_not_told", contract=RemotePagerContract)
class HidesOnlyTheText(PagerSink):
    """Its key goes out as HTTP's Basic authentication has it, and comes back so."""

    async def page(self, delivery):
        basic = b"Basic " + base64.b64encode(f"pager:{self.key}".encode())
        request = post(httpx.URL(self.settings.url), [(b"authorization", basic)], delivery.body)
        answer = await send(self._transport, request, within=self.settings.timeout)
        if isinstance(answer, Answer) and answer.status == 500:
            return Retry("the pager has a problem", detail=answer.detail([self.key]))
        return self.outcome(answer)


@mutant("secrets_are_not_told")
class LogsItsKey(PagerSink):
    async def page(self, delivery):
        log.debug("Paging with %s.", self.key)
        return await super().page(delivery)


class TellingSettings(PagerSettings):
    @model_validator(mode="before")
    @classmethod
    def _told(cls, values):
        if "\0" in str(values.get("key")):
            raise ValueError(f"{values['key']!r} is no key")
        return values


@mutant("secrets_are_not_in_errors")
class QuotesItsKey(PagerSink):
    Settings = TellingSettings


# Settings --------------------------------------------------------------------------------------------------------------


class LenientSettings(BaseModel):
    url: str
    key: SecretStr
    timeout: Duration = 5.0


@mutant("an_unknown_key_is_named")
class TakesAnyKey(PagerSink):
    Settings = LenientSettings


class VagueSettings(SinkSettings):
    url: object = None
    key: SecretStr = SecretStr("")
    timeout: Duration = 5.0

    @model_validator(mode="after")
    def _whole(self):
        if not isinstance(self.url, str) or not self.key.get_secret_value():
            raise ValueError("something is wrong")
        return self


@mutant("a_missing_key_is_named", "a_wrong_value_is_named")
class NamesNoKey(PagerSink):
    Settings = VagueSettings


@mutant("it_asks_and_warns_without_sending")
class AsksByTrying(PagerSink):
    async def check(self):
        await self.open()
        await send(self._transport, post(httpx.URL(self.settings.url), [], b"hello?"), within=1)
        await self.close()
        return ()


class OddlyNamed(PagerSink):
    type = "My Pager"


# Contracts -------------------------------------------------------------------------------------------------------------


class TestOddName(PagerContract):
    sink_type = OddlyNamed


class TestNotInstalled(PagerContract):
    """Nothing brings its type."""

    sink_type = PagerSink


TestNotInstalled.plugins = []


class TestSaysNothing(SinkContract):
    """It gives its fixtures, and says of its place only what it must."""

    sink_type = PagerSink
    plugins = TestPagerSink.plugins  # noqa: F821 - made by the decorator
    is_remote = can_be_away = can_be_busy = can_refuse = False
    place = PagerContract.place
    sink_settings = PagerContract.sink_settings


class TestOverrides(PagerContract):
    """One test is another, one is gone, and nobody says why; one is another for a reason, and one will not be passed."""

    sink_type = PagerSink
    test_it_sends_the_body = None

    def test_it_delivers(self):
        """It does, they say."""

    @deviates("the pager wants users")
    def test_it_takes_odd_events(self):
        """It takes those with a user."""

    @pytest.mark.skip(reason="the pager is asked by hand")
    def test_it_asks_and_warns_without_sending(self):
        """It is."""


WRONG |= {
    "TestOddName": {"test_the_type_has_a_name", "test_it_is_found"},
    "TestNotInstalled": {"test_it_is_found"},
    "TestSaysNothing": {
        "test_it_says_what_its_place_can_do",
        "test_it_sends_the_body",
        "test_secrets_are_not_in_errors",
        "test_secrets_are_not_shown",
        "test_secrets_are_not_told",
        "test_the_secrets_are_in_the_settings",
    },
    "TestOverrides": {"test_it_deviates_with_a_reason"},
}
