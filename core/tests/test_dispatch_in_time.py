"""What takes hours: the schedule, the breaker, rates and order, in virtual time over a real outbox."""

import asyncio
import itertools
import queue
import sqlite3
import threading
from contextlib import asynccontextmanager, closing

import anyio
import pytest

from simulation.time import StoreClock, VirtualTimeLoop
from supertokens_events import hookimpl
from supertokens_events.dispatch import Dispatcher
from supertokens_events.dispatch.keeper import Keeping
from supertokens_events.ledger import Ledger
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery, Retention, SqliteOutbox
from supertokens_events.retry import RetryPolicy
from supertokens_events.sink import Delivered, Retry, Sink, SinkSettings
from supertokens_events.testing import sample_event

pytestmark = pytest.mark.anyio

MINUTE, HOUR = 60.0, 3600.0
SPAN = 75 * HOUR + 35 * MINUTE + 5


@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": VirtualTimeLoop}


class Place(Sink):
    """Somewhere that answers as told, and notes when it was asked for what."""

    type = "place"

    def __init__(self, name="crm", answers=lambda _delivery: Delivered()):
        super().__init__(name, SinkSettings())
        self.answers = answers
        self.asked = []

    async def deliver(self, deliveries):
        self.asked += [(now(), delivery.event_id) for delivery in deliveries]
        return [self.answers(delivery) for delivery in deliveries]

    def when(self, event):
        return [at for at, event_id in self.asked if event_id == event.id]


def now():
    return asyncio.get_running_loop().time()


def away_until(moment):
    """Nobody is there before that moment."""
    refused = Retry("it refused the connection", away=True, detail={"errno": 111})
    return lambda _delivery: Delivered() if now() >= moment else refused


@pytest.fixture
def outbox(tmp_path):
    outbox = SqliteOutbox(tmp_path / "events.db", clock=StoreClock())
    yield outbox
    outbox.close()


@pytest.fixture
def append(outbox):
    def append(n=1, sink="crm", key=None, **fields):
        events = [sample_event(**fields) for _ in range(n)]
        deliveries = [NewDelivery(sink, ordering_key=key)]
        outbox.append([Entry(event, event.to_bytes(), deliveries) for event in events])
        return events

    return append


class Told:
    """What a plugin is told of breakers. Listeners have threads, which virtual time does not wait for."""

    def __init__(self):
        self._queue = queue.SimpleQueue()

    @hookimpl
    def breaker_opened(self, sink, reason, detail, failing_for, elsewhere):
        facts = {"sink": sink, "reason": reason, "detail": detail, "failing_for": failing_for, "elsewhere": elsewhere}
        self._queue.put(("opened", facts))

    @hookimpl
    def breaker_closed(self, sink, failing_for, due, elsewhere):
        self._queue.put(("closed", {"sink": sink, "failing_for": failing_for, "due": due, "elsewhere": elsewhere}))

    async def until(self, count):
        heard = [self._queue.get(timeout=5) for _ in range(count)]
        assert self._queue.empty()
        return heard


@pytest.fixture
def told():
    return Told()


async def inline(function):
    """Virtual time waits for no thread."""
    return function()


@pytest.fixture
def dispatching(outbox, make_plugins):
    """A dispatcher runs inside the block."""

    @asynccontextmanager
    async def dispatching(*sinks, plugins=(), **options):
        options = {"poll_interval": 30.0, "pulse": HOUR} | options
        dispatcher = Dispatcher(sinks, outbox, make_plugins(*plugins), Ledger(), aside=lambda: inline, **options)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            yield dispatcher
            dispatcher.stop(0)

    return dispatching


class TestSchedule:
    async def test_whole(self, dispatching, append, outbox):
        """Ten attempts; jitter moves those in between, and the last one comes at the end of the span all the same."""
        (event,) = append()
        place = Place(answers=lambda _delivery: Retry("500"))

        async with dispatching(place):
            await anyio.sleep(2 * SPAN)

        attempts = place.when(event)
        assert len(attempts) == 10
        assert attempts[-1] - attempts[0] == pytest.approx(SPAN, abs=2)
        planned = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000]
        waits = [later - earlier for earlier, later in itertools.pairwise(attempts)]
        assert all(0.79 * wait <= waited <= 1.21 * wait + 1 for wait, waited in zip(planned, waits, strict=False))
        (delivery,) = outbox.deliveries()
        assert (delivery.state, delivery.reason) == (DeliveryState.DEAD, "given up after 10 attempts: 500")

    @pytest.mark.parametrize("away", [False, True], ids=["fails", "is away"])
    async def test_restart(self, dispatching, append, outbox, away):
        """A restart in the middle changes nothing: what answers at the end of the span gets the event."""
        (event,) = append()
        place = Place(answers=lambda _delivery: Retry("500", away=away) if now() < SPAN - 60 else Delivered())

        for _ in range(5):
            async with dispatching(place):
                await anyio.sleep(SPAN / 5 + MINUTE)

        (delivery,) = outbox.deliveries()
        assert delivery.state is DeliveryState.DONE
        assert max(place.when(event)) <= SPAN + 2 * MINUTE
        assert delivery.used <= 10

    async def test_patience_ends(self, dispatching, append, outbox):
        """A place that asks for patience for ever does not get it for ever."""
        append()
        place = Place(answers=lambda _delivery: Retry("429", after=HOUR, counts=False))

        async with dispatching(place):
            await anyio.sleep(SPAN + 3 * HOUR)

        (delivery,) = outbox.deliveries()
        assert (delivery.state, delivery.reason) == (DeliveryState.DEAD, "given up after its schedule: 429")


class TestBreaker:
    @pytest.mark.parametrize("n", [1, 2, 200])
    async def test_outage(self, dispatching, append, outbox, n):
        """A place that is back after a minute has everything that waited within 15 seconds, and no attempt was wasted."""
        append(n)
        place = Place(answers=away_until(MINUTE))

        async with dispatching(place):
            await anyio.sleep(MINUTE + 15)
            delivered = outbox.deliveries(state=DeliveryState.DONE, limit=n)

        assert len(delivered) == n
        assert max(delivery.used for delivery in delivered) <= 2
        probes = [at for at, _ in place.asked if 1 < at < MINUTE]
        assert 5 <= len(probes) <= 12, "a probe every few seconds"

    async def test_that_fails_at_everything(self, dispatching, append, outbox):
        """A place that answers 500 to one event after the other is away too, though no sink says so."""
        append(300)
        place = Place(answers=lambda _delivery: Delivered() if now() >= MINUTE else Retry("500"))

        async with dispatching(place):
            await anyio.sleep(30)
            assert len(place.asked) < 50
            await anyio.sleep(45)
            delivered = outbox.deliveries(state=DeliveryState.DONE, limit=300)

        assert len(delivered) == 300
        assert max(delivery.used for delivery in delivered) <= 3

    async def test_poison(self, dispatching, append, outbox):
        """An event that always fails, even as if the place were away, holds up no other and keeps to its schedule."""
        (poison,) = append()
        place = Place(
            answers=lambda delivery: Retry("timeout", away=True) if delivery.event_id == poison.id else Delivered()
        )

        async with dispatching(place) as dispatcher:
            for _ in range(60):
                events = append(5)
                dispatcher.wake()
                await anyio.sleep(MINUTE)
                waits = [place.when(event)[0] for event in events]
                assert max(waits) - min(waits) < 15

        assert len(place.when(poison)) <= 6

    async def test_down_for_good(self, dispatching, append, outbox):
        """Who never comes back: everything is dead in the end, at the end of the schedule, and says why."""
        append(30)
        place = Place(answers=away_until(float("inf")))

        async with dispatching(place):
            await anyio.sleep(SPAN - 10 * MINUTE)
            assert [delivery.state for delivery in outbox.deliveries(limit=1)] == ["pending"]
            await anyio.sleep(20 * MINUTE)

        deliveries = outbox.deliveries()
        assert {delivery.state for delivery in deliveries} == {DeliveryState.DEAD}
        assert {delivery.reason for delivery in deliveries} == {
            "given up after its schedule: the place was away: it refused the connection"
        }
        assert max(delivery.used for delivery in deliveries) <= 2

    async def test_retry_after(self, dispatching, append):
        """A place that says when it will be back is not asked before."""
        append(20)
        place = Place(answers=lambda _delivery: Delivered() if now() >= 600 else Retry("503", after=600, away=True))

        async with dispatching(place):
            await anyio.sleep(590)
            early = [at for at, _ in place.asked if at > 5]
            await anyio.sleep(60)

        assert len(early) <= 1
        assert len({event_id for _, event_id in place.asked}) == 20

    async def test_status(self, dispatching, append, outbox):
        """Whoever asks sees since when, how often it was tried, and why; afterwards nothing of it."""
        append(20)
        place = Place(answers=away_until(MINUTE))

        async with dispatching(place):
            await anyio.sleep(50)
            (during,) = outbox.status()
            await anyio.sleep(50)
            (after,) = outbox.status()

        assert during.breaker.reason == "it refused the connection"
        assert during.breaker.probes >= 4
        assert 40 < outbox._clock() - during.breaker.failing_since < 200
        assert after.breaker is None

    async def test_one_probes(self, dispatching, append, outbox, tmp_path):
        """Of two lives of a dispatcher, the second finds the breaker open and begins with a probe."""
        append(20)
        place = Place(answers=away_until(MINUTE))
        async with dispatching(place):
            await anyio.sleep(20)
        before = len(place.asked)

        async with dispatching(place):
            await anyio.sleep(15)

        assert len(place.asked) - before <= 4
        assert max(delivery.used for delivery in outbox.deliveries()) <= 1

    async def test_told(self, dispatching, append, told, logged):
        """Who listens is told once when it opens and once when it closes, with what a metric needs; so is the log."""
        append(20)
        place = Place(answers=away_until(3))

        async with dispatching(place, plugins=[told]):
            await anyio.sleep(2 * MINUTE)
            (hook, opened), (closing_hook, closed) = await told.until(2)

        assert (hook, closing_hook) == ("opened", "closed")
        assert opened == {
            "sink": "crm",
            "reason": "it refused the connection",
            "detail": {"errno": 111},
            "failing_for": pytest.approx(0.5, abs=0.1),
            "elsewhere": False,
        }
        assert closed["sink"] == "crm"
        assert closed["failing_for"] == pytest.approx(3.5, abs=0.1)
        assert (closed["due"], closed["elsewhere"]) == (1, False)
        assert logged().count("A sink's place is away; its deliveries wait.") == 1
        assert logged().count("A sink's place is back; what waited for it is due.") == 1

    async def test_told_elsewhere(self, dispatching, append, told, outbox, logged):
        """A dispatcher that finds it open says so, and when another has closed it; since when tries fail is the outbox's."""
        append(3)
        outbox.open_breaker("crm", failing_for=600.0, probe_in=HOUR, reason="it refused the connection")

        async with dispatching(Place(), plugins=[told]):
            await anyio.sleep(MINUTE)
            outbox.close_breaker("crm")
            await anyio.sleep(MINUTE)
            (_, opened), (_, closed) = await told.until(2)

        assert (opened["elsewhere"], opened["failing_for"]) == (True, pytest.approx(600.0, abs=1))
        assert closed == {"sink": "crm", "failing_for": pytest.approx(660.0, abs=31), "due": None, "elsewhere": True}
        assert logged().count("A sink's place was found to be away") == 1
        assert logged().count("A sink's place is back, as another dispatcher has found out.") == 1

    async def test_in_flight_when_found(self, dispatching, append, told, outbox):
        """A call that was in flight when the breaker was found open, and fails, does not make the outage any shorter."""
        append()
        place = Place()
        failing = anyio.Event()

        async def deliver(deliveries):
            place.asked += [(now(), delivery.event_id) for delivery in deliveries]
            if len(place.asked) == 1:
                await failing.wait()
                return [Retry("500")]
            return [Delivered()]

        place.deliver = deliver
        async with dispatching(place, plugins=[told]) as dispatcher:
            await anyio.sleep(1)
            outbox.open_breaker("crm", failing_for=600.0, probe_in=50.0, reason="it refused the connection")
            append()
            await anyio.sleep(31)
            failing.set()
            await anyio.sleep(MINUTE)
            dispatcher.wake()
            await anyio.sleep(MINUTE)
            _, (_, closed) = await told.until(2)

        assert closed["failing_for"] > 600

    async def test_what_listeners_cannot_do(self, dispatching, append, outbox):
        """A hook that raises or never returns changes nothing for the place that is back."""
        append(20)
        let_go = threading.Event()

        class Hangs:
            @hookimpl
            def breaker_opened(self, sink):
                let_go.wait()

        class Raises:
            @hookimpl
            def breaker_opened(self, sink):
                raise ValueError(sink)

        async with dispatching(Place(answers=away_until(MINUTE)), plugins=[Hangs(), Raises()]):
            await anyio.sleep(MINUTE + 15)
            delivered = outbox.deliveries(state=DeliveryState.DONE)
            let_go.set()

        assert len(delivered) == 20

    async def test_kept(self, dispatching, append, outbox):
        """What the last probe that failed brought back is in the outbox; how many have failed counts from the first."""
        append(20)

        async with dispatching(Place(answers=away_until(MINUTE))):
            await anyio.sleep(0.6)
            first = outbox.breakers()["crm"]
            await anyio.sleep(30)
            later = outbox.breakers()["crm"]

        assert (first.probes, first.detail) == (1, {"errno": 111})
        assert later.probes > 3

    async def test_suspicion(self, dispatching, append, outbox):
        """A lone delivery that fails keeps to its schedule; the next event that comes is the probe, at once, and gets through."""
        (lone,) = append()
        place = Place(answers=lambda delivery: Retry("500", away=True) if delivery.event_id == lone.id else Delivered())

        async with dispatching(place) as dispatcher:
            await anyio.sleep(3)
            assert len(place.when(lone)) == 1
            (other,) = append()
            dispatcher.wake()
            await anyio.sleep(0.1)
            assert len(place.when(other)) == 1

        assert outbox.breakers() == {}

    @pytest.mark.parametrize("schedule", [(), (1,)], ids=["one attempt", "a second"])
    async def test_short_schedule(self, dispatching, append, outbox, schedule):
        """However short the schedule: what waits for a place that is away waits as long as a place may ask for patience."""
        append(20)
        place = Place(answers=away_until(MINUTE))
        place.retry = RetryPolicy(schedule=schedule, jitter=0, max_retry_after=HOUR)
        place.concurrency = 1

        async with dispatching(place):
            await anyio.sleep(MINUTE + 15)
            assert len(outbox.deliveries(state=DeliveryState.DONE)) >= 19
            place.answers = away_until(float("inf"))
            append(5)
            await anyio.sleep(2 * HOUR)

        assert len(outbox.deliveries(state=DeliveryState.PENDING)) == 0
        assert outbox.deliveries()[-1].reason.startswith("given up after its schedule: the place was away: ")


class TestRate:
    async def test_slow(self, dispatching, append):
        """One call a second and no faster, also in the first second."""
        append(10)
        place = Place()
        place.rate = 1.0

        async with dispatching(place):
            await anyio.sleep(20)

        times = [at for at, _ in place.asked]
        assert len(times) == 10
        assert all(later - earlier >= 0.999 for earlier, later in itertools.pairwise(times))
        assert times[-1] <= 10

    async def test_fast(self, dispatching, append):
        """A hundred a second are a hundred a second."""
        append(500)
        place = Place()
        place.rate = 100.0

        async with dispatching(place):
            await anyio.sleep(10)

        times = [at for at, _ in place.asked]
        assert len(times) == 500
        assert 4.7 <= times[-1] - times[0] <= 5.3


class TestOrder:
    async def test_poisoned_user(self, dispatching, append, outbox):
        """An event that fails holds back its own user's later ones until it is dead, and nobody else's."""
        (poison,) = append(key="u1", user_id="u1")
        later = append(3, key="u1", user_id="u1")
        others = append(3, key="u2", user_id="u2")
        place = Place(answers=lambda delivery: Retry("500") if delivery.event_id == poison.id else Delivered())
        place.retry = RetryPolicy(schedule=(60, 60), jitter=0)
        place.ordered = True

        async with dispatching(place):
            await anyio.sleep(30)
            (status,) = outbox.status()
            assert status.blocked == 3
            assert [place.when(event) for event in later] == [[], [], []]
            assert all(place.when(event) for event in others)
            await anyio.sleep(200)

        order = [event_id for _, event_id in place.asked if event_id in {event.id for event in later}]
        assert order == [event.id for event in later]
        assert place.when(later[0])[0] == pytest.approx(120, abs=31)
        assert [place.when(event)[0] for event in others] == sorted(place.when(event)[0] for event in others)


class TestTenants:
    async def test_flood(self, dispatching, append):
        """One tenant's flood does not keep another's single event waiting."""
        append(2000, tenant_id="big")
        (small,) = append(tenant_id="small")
        place = Place()

        async with dispatching(place):
            await anyio.sleep(60)

        assert len(place.asked) == 2001
        assert [event_id for _, event_id in place.asked].index(small.id) < 200


class TestKeeping:
    async def test_retention(self, dispatching, append, outbox):
        """What is older than it is to be kept goes; what waits stays."""
        append(3)
        append(2, sink="audit")
        keeping = Keeping(Retention(events=HOUR, deliveries=HOUR, attempts=HOUR))

        async with dispatching(Place(), keeping=keeping):
            await anyio.sleep(50 * MINUTE)
            assert outbox.counts()[0] == 5
            await anyio.sleep(20 * MINUTE)

        assert outbox.counts()[0] == 2
        assert [(delivery.sink, delivery.state) for delivery in outbox.deliveries()] == [("audit", "pending")] * 2

    async def test_erase_deleted(self, dispatching, append, outbox):
        """Once a deleted user's events are delivered their payloads go, and the skeletons stay."""
        append(2, user_id="u1")
        append(1, user_id="u2")
        append(1, user_id="u1", event_type="user.deleted")

        async with dispatching(Place(), keeping=Keeping(erase_deleted=True)):
            await anyio.sleep(5 * MINUTE)

        assert [(event.user_id, event.body is None) for event in outbox.events()] == [
            ("u1", True),
            ("u1", True),
            ("u2", False),
            ("u1", True),
        ]

    async def test_traces(self, dispatching, append, outbox):
        """What an erasure has left in the WAL goes within a minute, also where everything is kept for ever."""
        append(1, user_id="u1")
        outbox.erase("u1")

        async with dispatching(Place()):
            await anyio.sleep(2 * MINUTE)
            with closing(sqlite3.connect(outbox.path)) as connection:
                left = {key for (key,) in connection.execute("SELECT key FROM meta WHERE key LIKE 'erased%'")}

        assert left == {"erased_in_pages"}
