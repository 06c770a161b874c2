"""The dispatcher: every outcome written down, every sink on its own, and nothing lost when somebody stops or dies."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager

import anyio
import pytest

from supertokens_events import hookimpl
from supertokens_events.dispatch import Dispatcher, DispatcherThread, dispatcher, lane, listeners
from supertokens_events.ledger import Ledger, LedgerKey, Reason
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery, OutboxUnavailable, Settlement, SqliteOutbox
from supertokens_events.retry import RetryPolicy
from supertokens_events.sink import BatchPolicy, Delivered, Rejected, Retry
from supertokens_events.testing import RecordingSink, sample_event

SECRET = "p4ssw0rd"
PATIENCE = 5.0  # seconds until something that should happen at once counts as not happening

# That a process with threads forks is part of what is tested.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


class Crm(RecordingSink):
    """A recording sink whose schedule has no randomness."""

    retry = RetryPolicy(jitter=0)

    def __init__(self, name="crm"):
        super().__init__(name)


class Slow(Crm):
    """One that takes its time."""

    async def deliver(self, deliveries):
        await anyio.sleep(0.02)
        return await super().deliver(deliveries)


class Counting(SqliteOutbox):
    """An outbox that counts how often a lane looks."""

    looks = 0

    def look(self, sink):
        self.looks += 1
        return super().look(sink)


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def make_dispatcher(outbox, make_plugins, ledger):
    def make(*sinks, plugins=(), **options):
        return Dispatcher(sinks, outbox, make_plugins(*plugins), ledger, **options)

    return make


@pytest.fixture
def deliver(make_dispatcher):
    """Deliver what is due to these sinks, and say how much that was."""

    async def deliver(*sinks, **options):
        return await make_dispatcher(*sinks, **options).run_until_empty()

    return deliver


@pytest.fixture
def append(outbox):
    """Store events for these sinks, ``n`` of them."""

    def append(*sinks, n=1, **fields):
        events = [sample_event(**fields) for _ in range(n)]
        deliveries = [NewDelivery(sink) for sink in sinks or ("crm",)]
        outbox.append([Entry(event, event.to_bytes(), deliveries) for event in events])
        return events

    return append


@asynccontextmanager
async def running(dispatcher, grace=PATIENCE):
    """The dispatcher runs inside the block and is stopped at its end."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run)
        try:
            yield
        finally:
            dispatcher.stop(grace)


async def until(condition):
    """Let others go on until something is so."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110  (what is waited for happens on other threads too)
            await anyio.sleep(0.002)
    return condition()


def the_delivery(outbox, **which):
    (delivery,) = outbox.deliveries(**which)
    return delivery


class TestTime:
    async def test_deadline(self, make_dispatcher, append, outbox, ledger):
        """A call has the whole of its deadline, however long the outcome of the one before took to be written down."""
        append(n=20)
        sink = Slow()
        sink.concurrency, sink.deadline = 1, 0.4

        async with running(make_dispatcher(sink)):
            await until(lambda: len(sink.deliveries) >= 2)
            with closing(sqlite3.connect(outbox.path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                await anyio.sleep(1.0)  # longer than a call may take
                other.execute("ROLLBACK")
            await until(lambda: outbox.status()[0].done == 20)

        assert len(sink.deliveries) == 20
        assert [key.reason for key in ledger.take() if key.reason == Reason.SINK_FAILED] == []

    async def test_rate(self, deliver, append):
        """Delivering until nothing is due takes as long as the rate makes it take, and leaves nothing."""
        append(n=6)
        sink = Crm()
        sink.rate = 20.0

        assert await deliver(sink) == 6


class TestOutcomes:
    async def test_delivered(self, deliver, append, outbox, clock):
        """What the place has is done; the attempt keeps what the sink said of it."""
        (event,) = append()
        sink = Crm()
        sink.outcomes.append(Delivered({"status": 200}))

        assert await deliver(sink) == 1

        assert [got.id for got in sink.events] == [event.id]
        delivery = the_delivery(outbox)
        assert (delivery.state, delivery.used) == (DeliveryState.DONE, 1)
        (attempt,) = delivery.attempts
        assert (attempt.outcome, attempt.detail) == ("delivered", {"status": 200})
        assert attempt.started_at == pytest.approx(clock() - attempt.duration)
        assert 0 <= attempt.duration < PATIENCE

    async def test_rejected(self, deliver, append, outbox):
        """What will never be taken is a dead letter with the sink's reason."""
        append()
        sink = Crm()
        sink.outcomes.append(Rejected("no such channel", {"status": 404}))

        await deliver(sink)

        delivery = the_delivery(outbox)
        assert (delivery.state, delivery.reason) == (DeliveryState.DEAD, "no such channel")
        assert delivery.attempts[0].outcome == "rejected"

    async def test_disables(self, deliver, append, outbox, logged):
        """A place that wants no more events gets none, from any dispatcher, until the sink is enabled; what waits is kept."""
        append(n=50)
        sink = Crm()
        sink.concurrency = 1
        sink.outcomes.append(Rejected("410 Gone", disables=True))

        await deliver(sink)
        assert await deliver(Crm()) == 0

        (status,) = outbox.status()
        assert (len(sink.deliveries), status.dead, status.pending, status.due) == (1, 1, 49, 49)
        assert status.disabled.reason == "410 Gone"
        assert "A sink is disabled" in logged()
        outbox.enable("crm")
        assert await deliver(sink) == 49

    async def test_disabled_while_it_runs(self, make_dispatcher, append, outbox):
        """A running dispatcher stops and goes on by itself; of what was claimed ahead nothing is lost or sent."""
        append(n=200)
        sink = Crm()
        sink.outcomes.extend([Delivered()] * 20 + [Rejected("410 Gone", disables=True)] * sink.concurrency)
        dispatcher = make_dispatcher(sink, poll_interval=0.01)

        async with running(dispatcher):
            await until(lambda: outbox.status()[0].dead)
            append(n=5)
            dispatcher.wake()
            await until(lambda: outbox.status()[0].due + outbox.status()[0].dead + outbox.status()[0].done == 205)
            assert len(sink.deliveries) <= 20 + sink.concurrency
            sink.outcomes.clear()
            outbox.enable("crm")
            await until(lambda: not outbox.status()[0].pending)

        (status,) = outbox.status()
        assert status.done + status.dead == 205

    async def test_disabled_behind_a_breaker(self, make_plugins, append, outbox, ledger):
        """A sink whose place is away and that another dispatcher's answer disables is looked at now and then, not all the time;
        one that delivers until nothing is due comes to an end.
        """
        append(n=3)
        (claim,) = outbox.claim("crm", 1, 60.0)
        sink = Crm()
        sink.outcomes.extend([Retry("503", away=True)] * 100)
        counting = Counting(outbox.path, clock=outbox._clock)
        dispatcher = Dispatcher([sink], counting, make_plugins(), ledger, poll_interval=0.05)

        async with running(dispatcher):
            await until(outbox.breakers)
            rejected = Settlement(claim, DeliveryState.DEAD, "rejected", 1, reason="410 Gone", disables=True)
            outbox.settle([rejected])
            dispatcher.wake()
            await until(lambda: outbox.status()[0].disabled)
            counting.looks = 0
            await anyio.sleep(0.5)
            assert counting.looks < 20

        with anyio.fail_after(PATIENCE):
            assert await Dispatcher([Crm()], counting, make_plugins(), ledger).run_until_empty() == 0
        counting.close()

    async def test_retry(self, deliver, append, outbox, clock):
        """What did not work now is tried again when the schedule says, with the same bytes, as the next attempt."""
        append()
        sink = Crm()
        sink.outcomes.append(Retry("503", detail={"status": 503}))
        await deliver(sink)

        clock.advance(4.9)
        assert await deliver(sink) == 0
        clock.advance(0.1)
        assert await deliver(sink) == 1

        first, second = sink.deliveries
        assert (first.attempt, second.attempt) == (1, 2)
        assert first.body == second.body
        assert [(attempt.number, attempt.outcome) for attempt in the_delivery(outbox).attempts] == [
            (1, "retry"),
            (2, "delivered"),
        ]

    async def test_schedules_end(self, deliver, append, outbox, clock):
        """After the last attempt of the schedule the delivery is a dead letter that says how often it was tried."""
        append()
        sink = Crm()
        sink.outcomes.extend([Retry("503")] * 10)
        begun = clock()

        while the_delivery(outbox).state is DeliveryState.PENDING:
            clock.now = the_delivery(outbox).due_at
            await deliver(sink)

        delivery = the_delivery(outbox)
        assert (delivery.state, delivery.reason) == (DeliveryState.DEAD, "given up after 10 attempts: 503")
        assert len(delivery.attempts) == 10
        assert clock() - begun == pytest.approx(75 * 3600 + 35 * 60 + 5, abs=PATIENCE)

    @pytest.mark.parametrize(("after", "wait"), [(60, 60), (1, 5), (10**9, 86400), (None, 5)])
    async def test_retry_after(self, deliver, append, outbox, clock, after, wait):
        """A place that asks for more time gets it, up to a day; less than the schedule's is not a thing to ask for."""
        append()
        sink = Crm()
        sink.outcomes.append(Retry("429", after=after))

        await deliver(sink)

        assert the_delivery(outbox).due_at == clock() + wait

    async def test_uncounted(self, deliver, append, outbox, clock):
        """A try that the sink does not count is written down and uses up nothing, however often it happens."""
        append()
        sink = Crm()
        sink.outcomes.extend([Retry("429", after=30, counts=False)] * 20)

        for _ in range(20):
            await deliver(sink)
            clock.advance(30)

        delivery = the_delivery(outbox)
        assert (delivery.state, delivery.used, len(delivery.attempts)) == (DeliveryState.PENDING, 0, 20)
        await deliver(sink)
        assert the_delivery(outbox).state is DeliveryState.DONE

    async def test_no_storm(self, deliver, append, outbox, clock):
        """A place that asks to be asked again at once, without using up attempts, is asked again in a second."""
        append()
        sink = Crm()
        sink.outcomes.append(Retry("429", after=0, counts=False))

        assert await deliver(sink) == 1
        assert the_delivery(outbox).due_at == clock() + 1

    async def test_each_its_own(self, deliver, append, outbox):
        """In a batch each delivery has its own outcome, in order."""
        append(n=3)
        sink = Crm()
        sink.batch = BatchPolicy(size=10)
        sink.outcomes.extend([Delivered(), Rejected("too old"), Retry("busy")])

        await deliver(sink)

        assert [delivery.state for delivery in outbox.deliveries()] == ["done", "dead", "pending"]
        assert [delivery.reason for delivery in outbox.deliveries()] == [None, "too old", "busy"]

    @pytest.mark.parametrize(
        "reason", ["x" * 10_000, "\ud800", "", 503, None], ids=["long", "surrogate", "", "int", "None"]
    )
    @pytest.mark.parametrize("outcome", [Rejected, Retry])
    async def test_any_reason(self, deliver, append, outbox, outcome, reason):
        """Whatever a sink gives as its reason is kept as text that is not too long."""
        append()
        sink = Crm()
        sink.outcomes.append(outcome(reason))

        await deliver(sink)

        kept = the_delivery(outbox).attempts[0].reason
        assert kept == str(reason)[:500].replace("\ud800", "?")


class TestBrokenSinks:
    """A sink's bug is its own: written down, counted, tried again, and no other sink's matter."""

    async def broken(self, deliver, append, outbox, ledger, sink):
        """The reason that is kept when ``sink`` gets an event; the sink beside it gets its own."""
        append("crm", "audit")
        audit = Crm("audit")

        await deliver(sink, audit)

        assert len(audit.deliveries) == 1
        delivery = the_delivery(outbox, sink="crm")
        assert (delivery.state, delivery.used) == (DeliveryState.PENDING, 1)
        counts = {line.reason: line.count for line in outbox.ledger() if line.subject == "crm"}
        assert counts | {key.reason: n for key, n in ledger.peek().items()} == {"sink_failed": 1}
        return delivery.reason

    async def test_raises(self, deliver, append, outbox, ledger, logged):
        """An exception is told by class and place, and never by its text."""
        sink = Crm()
        sink.outcomes.append(KeyError(SECRET))

        reason = await self.broken(deliver, append, outbox, ledger, sink)

        assert reason.startswith("the sink raised KeyError at recording.py:")
        assert reason in logged()
        assert SECRET not in logged() + str(the_delivery(outbox, sink="crm"))

    async def test_hangs(self, deliver, append, outbox, ledger):
        """A call that does not come back is given up at the sink's deadline."""
        sink = Crm()
        sink.gate = anyio.Event()
        sink.deadline = 0.02

        reason = await self.broken(deliver, append, outbox, ledger, sink)

        assert reason == "the sink took longer than its deadline of 0.02 s"

    @pytest.mark.parametrize("error", [TimeoutError, asyncio.CancelledError, SystemExit])
    async def test_raises_as_if(self, deliver, append, outbox, ledger, error):
        """A sink's own timeout or cancelled task is neither its deadline nor our stop: it raised, and an attempt is used."""

        class Waits(Crm):
            async def deliver(self, deliveries):
                raise error(SECRET)

        reason = await self.broken(deliver, append, outbox, ledger, Waits())

        assert reason.startswith(f"the sink raised {error.__name__} at test_dispatch.py:")

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            ([], "deliver() must return one outcome for each delivery, here a list of 1"),
            ([Delivered(), Delivered()], "deliver() must return one outcome for each delivery, here a list of 1"),
            (None, "deliver() must return one outcome for each delivery, here a list of 1"),
            (iter([Delivered()]), "deliver() must return one outcome for each delivery, here a list of 1"),
            ([True], "an outcome is a Delivered, a Retry or a Rejected"),
            ([Delivered], "an outcome is a Delivered, a Retry or a Rejected"),
            ([Retry("busy", after="3")], "Retry.after is a number of seconds, or None"),
            ([Delivered("200")], "the detail of an outcome is a mapping of text to JSON values"),
            ([Delivered({(1, 2): 3})], "the detail of an outcome is a mapping of text to JSON values"),
        ],
        ids=[
            "none",
            "too many",
            "nothing",
            "an iterator",
            "a bool",
            "a class",
            "after a text",
            "detail a text",
            "a tuple key",
        ],
    )
    async def test_wrong_answer(self, deliver, append, outbox, ledger, answer, reason):
        """An answer that cannot be written down is told as what was expected."""

        class Odd(Crm):
            async def deliver(self, deliveries):
                return answer

        assert await self.broken(deliver, append, outbox, ledger, Odd()) == reason

    async def test_a_bug_of_ours(self, make_dispatcher, append, outbox, monkeypatch, logged):
        """Even what nobody foresaw in one lane stops no other."""
        append("crm", "audit")
        settle = outbox.settle

        def fail(settlements):
            if settlements[0].claim.delivery.sink == "crm":
                raise KeyError(SECRET)
            return settle(settlements)

        monkeypatch.setattr(outbox, "settle", fail)
        audit = Crm("audit")

        async with running(make_dispatcher(Crm(), audit)):
            await until(lambda: outbox.deliveries(sink="audit")[0].state == "done")
            append("crm", "audit")
            await until(lambda: len(audit.deliveries) == 2)

        assert "Outcomes could not be written down; the deliveries are made again. sink='crm'" in logged()
        assert "error='KeyError at" in logged()
        assert SECRET not in logged()


class TestCalls:
    async def test_one_by_one(self, deliver, append):
        """Without a batch policy a call gets one delivery."""
        append(n=25)
        sink = Crm()

        assert await deliver(sink) == 25

        assert {len(call) for call in sink.calls} == {1}
        assert [delivery.sequence for delivery in sink.deliveries] == list(range(1, 26))

    async def test_size(self, deliver, append):
        """A batch has at most the policy's size."""
        append(n=25)
        sink = Crm()
        sink.batch = BatchPolicy(size=10)

        await deliver(sink)

        assert [len(call) for call in sink.calls] == [10, 10, 5]

    async def test_bytes(self, deliver, append):
        """A batch has at most the policy's bytes, in order; a body that is larger than that goes alone."""
        sizes = [100, 2000, 100, 100, 100, 9000, 100]
        for size in sizes:
            append(data={"x": "x" * size})
        sink = Crm()
        sink.batch = BatchPolicy(size=100, max_bytes=4000)
        sink.concurrency = 1

        await deliver(sink)

        assert [delivery.sequence for delivery in sink.deliveries] == list(range(1, len(sizes) + 1))
        for call in sink.calls:
            assert len(call) == 1 or sum(len(delivery.body) for delivery in call) <= 4000
        assert [len(call) for call in sink.calls][-2:] == [1, 1]

    async def test_concurrency(self, make_dispatcher, append):
        """As many calls at once as the sink allows, and no delivery is claimed before there is room for it."""
        append(n=8)
        sink = Crm()
        sink.concurrency = 3
        sink.gate = anyio.Event()
        dispatcher = make_dispatcher(sink)

        async with running(dispatcher):
            await until(lambda: len(sink.calls) == 3)
            await anyio.wait_all_tasks_blocked()
            held = len(sink.calls)
            sink.gate.set()
            await until(lambda: len(sink.calls) == 8)

        assert held == 3

    async def test_a_sink_that_hangs(self, make_dispatcher, append, outbox):
        """A sink that hangs delays no other: the other has all its events while the first has not answered one."""
        append("crm", "audit", n=30)
        hung, audit = Crm(), Crm("audit")
        hung.gate = anyio.Event()

        async with running(make_dispatcher(hung, audit)):
            await until(lambda: len(audit.deliveries) == 30)
            done = [delivery.sink for delivery in outbox.deliveries(state=DeliveryState.DONE)]
            hung.gate.set()

        assert "crm" not in done

    async def test_lease(self, make_dispatcher, append, outbox, clock):
        """A claim lasts longer than the sink's deadline, so that no other dispatcher gets what is still on its way."""
        append()
        sink = Crm()
        sink.gate = anyio.Event()

        async with running(make_dispatcher(sink)):
            await until(lambda: sink.calls)
            lease = outbox.look("crm").due_in
            sink.gate.set()

        assert lease > sink.deadline

    async def test_event_is_parsed_once(self, deliver, append):
        """A sink that wants the event and not its bytes gets it with its sequence."""
        append(user_id="u1")
        sink = Crm()

        await deliver(sink)

        (delivery,) = sink.deliveries
        assert delivery.event is delivery.event
        assert (delivery.event.user_id, delivery.event.sequence) == ("u1", 1)


class TestRun:
    async def test_wake(self, make_dispatcher, append):
        """What is stored while the dispatcher sleeps is delivered at its wake-up."""
        sink = Crm()
        dispatcher = make_dispatcher(sink, poll_interval=60)

        async with running(dispatcher):
            await until(lambda: sink.opened)
            await anyio.sleep(0.02)
            append()
            dispatcher.wake()
            await until(lambda: sink.deliveries)

    async def test_poll(self, make_dispatcher, append):
        """What another process stored is found without a wake-up."""
        sink = Crm()

        async with running(make_dispatcher(sink, poll_interval=0.02)):
            await until(lambda: sink.opened)
            append()
            await until(lambda: sink.deliveries)

    async def test_idle(self, make_dispatcher, outbox, monkeypatch):
        """A dispatcher with nothing to do does nothing between its looks."""
        looks = count_calls(monkeypatch, outbox, "look")

        async with running(make_dispatcher(Crm(), poll_interval=60)):
            await until(lambda: looks)
            await anyio.sleep(0.1)

        assert len(looks) == 1

    async def test_two_dispatchers(self, make_dispatcher, append):
        """Two dispatchers on one outbox deliver everything once."""
        append(n=60)
        sinks = [Crm(), Crm()]

        async with running(make_dispatcher(sinks[0])), running(make_dispatcher(sinks[1])):
            await until(lambda: sum(len(sink.deliveries) for sink in sinks) >= 60)

        got = [delivery.sequence for sink in sinks for delivery in sink.deliveries]
        assert sorted(got) == list(range(1, 61))

    async def test_how_long_telling_took(self, make_dispatcher, append, outbox, monkeypatch):
        """How long plugins took to be told is stored now and then while the dispatcher runs."""
        monkeypatch.setattr(dispatcher, "_SAVE_TIMES_EVERY", 0.02)
        monkeypatch.setattr("supertokens_events.hook_times._SAVE_AFTER", 0.01)

        stored, loop, record = anyio.Event(), asyncio.get_running_loop(), outbox.record_hook_times

        def record_and_say(times):
            record(times)
            loop.call_soon_threadsafe(stored.set)

        monkeypatch.setattr(outbox, "record_hook_times", record_and_say)

        class Metrics:
            @hookimpl
            def delivery_settled(self, delivery):
                pass

        append()
        running = make_dispatcher(Crm(), plugins=[Metrics()])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.run)
            with anyio.fail_after(PATIENCE):
                await stored.wait()
            running.stop()

        (line,) = outbox.hook_times()
        assert (line.plugin, line.hook, line.calls) == ("Metrics#1", "delivery_settled", 1)

    async def test_told(self, deliver, append, outbox, ledger, logged):
        """Listeners are told of each attempt once it is written down; one that raises is counted and stops nothing."""
        told = []

        class Metrics:
            @hookimpl
            def delivery_settled(self, delivery, outcome):
                told.append((delivery.sink, delivery.attempt, outcome, the_delivery(outbox).state))

        class Broken:
            @hookimpl
            def delivery_settled(self, delivery):
                raise ValueError(SECRET)

        append()

        await deliver(Crm(), plugins=[Metrics(), Broken()])

        assert told == [("crm", 1, Delivered(), "done")]
        assert ledger.peek() == {LedgerKey(Reason.LISTENER_FAILED, "Broken#2", "user.created"): 1}
        assert SECRET not in logged()

    async def test_told_by_one_that_hangs(self, make_dispatcher, append, outbox, ledger, logged, monkeypatch):
        """A hook that hangs delays no delivery and no other plugin; what its plugin misses is counted, and told once."""
        monkeypatch.setattr(listeners, "_MOST", 3)
        let_go = threading.Event()
        told = []

        class Hangs:
            @hookimpl
            def delivery_settled(self, delivery):
                let_go.wait()

        class Metrics:
            @hookimpl
            def delivery_settled(self, delivery):
                told.append(delivery.sequence)

        dispatcher = make_dispatcher(Crm(), plugins=[Metrics(), Hangs()])
        async with running(dispatcher):
            for count in range(1, 9):
                append()
                dispatcher.wake()
                await until(lambda: len(outbox.deliveries(state=DeliveryState.DONE)) == count)  # noqa: B023
            await until(lambda: len(told) == 8)
            assert sum(stored_counts(outbox, ledger, Reason.HOOK_HUNG, "Hangs#2")) == 4
            let_go.set()

        assert told == list(range(1, 9))
        assert logged().count("A plugin's hook hangs, or is slower than what happens") == 1
        assert sum(stored_counts(outbox, ledger, Reason.HOOK_HUNG, "Metrics#1")) == 0

    async def test_told_again(self, make_dispatcher, append, ledger, logged, monkeypatch):
        """A plugin whose hook returns after all is told of what happens from then on."""
        monkeypatch.setattr(listeners, "_MOST", 1)
        hangs, let_go = threading.Event(), threading.Event()
        told = []

        class Slow:
            @hookimpl
            def delivery_settled(self, delivery):
                told.append(delivery.sequence)
                hangs.set()
                let_go.wait()

        sink = Crm()
        dispatcher = make_dispatcher(sink, plugins=[Slow()])
        async with running(dispatcher):
            append()
            dispatcher.wake()
            await until(hangs.is_set)
            append(n=3)
            dispatcher.wake()
            await until(lambda: "A plugin's hook hangs" in logged())
            let_go.set()
            await until(lambda: len(told) == 2)
            append()
            dispatcher.wake()
            await until(lambda: 5 in told)

        assert told == [1, 2, 5]
        assert logged().count("A plugin's hooks keep up again") == 1

    async def test_end_with_one_that_hangs(self, make_dispatcher, append, outbox, ledger, monkeypatch):
        """A dispatcher that ends does not wait for a hook that hangs; what was still to be told is counted."""
        monkeypatch.setattr(listeners, "_LAST_WORDS", 0.05)
        let_go = threading.Event()

        class Hangs:
            @hookimpl
            def delivery_settled(self, delivery):
                let_go.wait()

        append(n=3)
        with anyio.fail_after(PATIENCE):
            assert await make_dispatcher(Crm(), plugins=[Hangs()]).run_until_empty() == 3
        let_go.set()

        assert sum(stored_counts(outbox, ledger, Reason.HOOK_HUNG, "Hangs#1")) == 2

    async def test_nobody_listens(self, deliver, append, monkeypatch):
        """Where no plugin has the hook, nothing is done for it."""
        calls = count_calls(monkeypatch, listeners.Listeners, "tell")
        append(n=3)

        class Elsewhere:
            @hookimpl
            def event_emitted(self, event):
                raise AssertionError

        await deliver(Crm(), plugins=[Elsewhere()])

        assert calls == []
        assert not [name for name in running_threads() if "-tell-" in name]


def stored_counts(outbox, ledger, reason, subject):
    """The counts of one line, stored or not yet."""
    yield from (line.count for line in outbox.ledger() if (line.reason, line.subject) == (reason, subject))
    yield from (n for key, n in ledger.peek().items() if (key.reason, key.subject) == (reason, subject))


def count_calls(monkeypatch, target, name):
    """A list that gets longer with each call of a method."""
    calls, method = [], getattr(target, name)

    def counting(*arguments):
        calls.append(arguments)
        return method(*arguments)

    monkeypatch.setattr(target, name, counting)
    return calls


class TestOpen:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr(lane, "_TROUBLE_WAIT", 0.005)

    async def test_in_the_end(self, make_dispatcher, append, outbox, logged):
        """A sink that cannot be opened is tried again; its deliveries wait, use up nothing, and go out when it opens."""

        class Reluctant(Crm):
            async def open(self):
                await super().open()
                if self.opened < 5:
                    raise OSError(SECRET)

        append("crm", "audit")
        sink, audit = Reluctant(), Crm("audit")

        async with running(make_dispatcher(sink, audit)):
            await until(lambda: sink.deliveries and audit.deliveries)

        assert (sink.opened, sink.closed) == (5, 1)
        assert len(the_delivery(outbox, sink="crm").attempts) == 1
        assert [(line.reason, line.subject, line.count) for line in outbox.ledger()] == [("sink_unavailable", "crm", 1)]
        assert logged().count("A sink could not be opened; its deliveries wait. sink='crm' error='OSError at") == 1
        assert SECRET not in logged()

    @pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit])
    async def test_raises_as_if(self, make_dispatcher, append, error):
        """A sink that opens with somebody's cancelled task, or wants to exit, stops neither the others nor the process."""

        class Exits(Crm):
            async def open(self):
                raise error

        append("crm", "audit")
        audit = Crm("audit")

        async with running(make_dispatcher(Exits(), audit)):
            await until(lambda: audit.deliveries)

        assert len(audit.deliveries) == 1

    async def test_never(self, deliver, append, outbox):
        """Until everything is delivered does not mean until a sink that cannot be opened can be."""

        class Closed(Crm):
            async def open(self):
                raise OSError

        append()

        assert await deliver(Closed()) == 0
        assert the_delivery(outbox).state is DeliveryState.PENDING

    async def test_hangs(self, make_dispatcher, append, logged):
        """A sink that hangs while it opens is given up at its deadline, and tried again."""

        class Sleepy(Crm):
            deadline = 0.02

            async def open(self):
                await super().open()
                if self.opened == 1:
                    await anyio.sleep_forever()

        append()
        sink = Sleepy()

        async with running(make_dispatcher(sink)):
            await until(lambda: sink.deliveries)

        assert "error='TimeoutError at" in logged()

    async def test_close(self, deliver, append, monkeypatch, logged):
        """Every sink that was opened is closed once, though another raises or hangs while it closes."""
        monkeypatch.setattr(dispatcher, "_CLOSE_WAIT", 0.02)

        class Raises(Crm):
            async def close(self):
                raise OSError(SECRET)

        class Hangs(Crm):
            async def close(self):
                await anyio.sleep_forever()

        append("a", "b", "c")
        sink = Crm("c")

        await deliver(Hangs("a"), Raises("b"), sink)

        assert (sink.opened, sink.closed) == (1, 1)
        assert "sink='b' error='close() raised OSError at" in logged()
        assert SECRET not in logged()


class TestStop:
    async def test_finishes(self, make_dispatcher, append, outbox):
        """What is in flight at a stop is finished and written down; nothing more is claimed."""
        append(n=5)
        sink = Crm()
        sink.concurrency = 2
        sink.gate = anyio.Event()
        dispatcher = make_dispatcher(sink)

        async with running(dispatcher):
            await until(lambda: len(sink.calls) == 2)
            dispatcher.stop(PATIENCE)
            await anyio.wait_all_tasks_blocked()
            sink.gate.set()

        assert len(sink.calls) == 2
        assert [delivery.state for delivery in outbox.deliveries()] == ["done"] * 2 + ["pending"] * 3
        assert sink.closed == 1

    async def test_grace(self, make_dispatcher, append, outbox, clock):
        """What is still in flight after the grace goes back: due at once, no attempt used, no lease left behind."""
        append()
        sink = Crm()
        sink.gate = anyio.Event()

        with anyio.fail_after(PATIENCE):
            async with running(make_dispatcher(sink), grace=0.02):
                await until(lambda: sink.calls)

        delivery = the_delivery(outbox)
        assert (delivery.state, delivery.used, delivery.attempts) == (DeliveryState.PENDING, 0, ())
        assert outbox.look("crm").due_in == 0

    async def test_cancelled(self, make_dispatcher, append, outbox, clock):
        """A dispatcher that is cancelled, as by Ctrl-C, gives back what it holds too, and closes its sinks."""
        append()
        sink = Crm()
        sink.gate = anyio.Event()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(make_dispatcher(sink).run)
            await until(lambda: sink.calls)
            tasks.cancel_scope.cancel()

        assert outbox.look("crm").due_in == 0
        assert sink.closed == 1

    async def test_killed(self, deliver, append, outbox, clock):
        """What a dispatcher held when it was killed is taken over when the lease ends, with no attempt used."""
        append(n=3)
        assert len(outbox.claim("crm", 2, 60)) == 2  # and then nothing more is heard of it
        sink = Crm()

        assert await deliver(sink) == 1
        clock.advance(60)
        assert await deliver(sink) == 2

        assert {delivery.attempt for delivery in sink.deliveries} == {1}

    async def test_too_late(self, make_dispatcher, append, outbox, clock):
        """An outcome that comes after the lease, when another has delivered, changes nothing."""
        append()
        slow, quick = Crm(), Crm()
        slow.outcomes.append(Rejected("too late"))
        slow.gate = anyio.Event()

        async with running(make_dispatcher(slow)):
            await until(lambda: slow.calls)
            clock.advance(slow.deadline + 60)
            await make_dispatcher(quick).run_until_empty()
            slow.gate.set()

        delivery = the_delivery(outbox)
        assert (delivery.state, len(delivery.attempts)) == (DeliveryState.DONE, 1)


class TestOutboxTrouble:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr(lane, "_TROUBLE_WAIT", 0.005)

    @pytest.fixture
    def outbox(self, tmp_path, clock):
        outbox = SqliteOutbox(tmp_path / "events.db", clock=clock, busy_timeout=0.01)
        yield outbox
        outbox.close()

    @contextmanager
    def locked(self, outbox):
        connection = sqlite3.connect(outbox.path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.close()

    async def test_locked(self, make_dispatcher, append, outbox, logged):
        """While the outbox is locked deliveries wait, which is told once; afterwards they go out."""
        append()
        sink = Crm()

        with self.locked(outbox):
            dispatcher = make_dispatcher(sink)
            async with running(dispatcher):
                await until(lambda: "The outbox is not available; deliveries wait. sink='crm'" in logged())
                await anyio.sleep(0.05)
                told = logged().count("The outbox is not available")
                self_locked = list(sink.calls)
                dispatcher.stop()

        assert (told, self_locked) == (1, [])
        async with running(make_dispatcher(sink)):
            await until(lambda: sink.deliveries)

    async def test_locked_at_the_outcome(self, make_dispatcher, append, outbox):
        """An outcome that cannot be written down for a moment is written a moment later: nothing is sent twice."""
        append()
        sink = Crm()
        sink.gate = anyio.Event()

        async with running(make_dispatcher(sink)):
            await until(lambda: sink.calls)
            with self.locked(outbox):
                sink.gate.set()
                await anyio.sleep(0.05)
            await until(lambda: outbox.deliveries()[0].state == "done")

        assert len(sink.calls) == 1

    async def test_outcome_is_never_written(self, deliver, append, outbox, clock, monkeypatch, logged):
        """An outcome that cannot be written down at all is told; the delivery is made again when its lease ends."""
        append()
        sink = Crm()
        monkeypatch.setattr(lane, "_LEASE_MARGIN", 0.01)

        def refuse(_settlements):
            raise OutboxUnavailable("the outbox events.db cannot be used: database is locked")

        with monkeypatch.context() as patch:
            patch.setattr(outbox, "settle", refuse)
            await deliver(sink)
        clock.advance(60)
        await deliver(sink)

        assert "Outcomes could not be written down; the deliveries are made again. sink='crm'" in logged()
        assert [delivery.attempt for delivery in sink.deliveries] == [1, 1]
        assert the_delivery(outbox).state is DeliveryState.DONE


class TestThread:
    @pytest.fixture
    def sink(self):
        return Crm()

    @pytest.fixture
    def thread(self, make_dispatcher, sink):
        thread = DispatcherThread(lambda: make_dispatcher(sink, poll_interval=60))
        yield thread
        thread.stop()

    def test_wake(self, thread, append, sink):
        """The first wake-up starts the thread, every other one makes it look."""
        for n in range(1, 4):
            append()
            thread.wake()
            until_sync(lambda n=n: len(sink.deliveries) == n)

        assert sink.opened == 1

    def test_start(self, thread, append, sink):
        """Started, it delivers what was stored before."""
        append()

        thread.start()

        until_sync(lambda: sink.deliveries)

    def test_stop(self, thread, append, sink, outbox):
        """Stopping ends the thread with its sinks closed; twice is no harm; a later wake-up starts a new one."""
        append()
        thread.wake()
        until_sync(lambda: sink.deliveries)

        thread.stop()
        assert sink.closed == 1
        assert not running_threads()
        thread.stop()
        append()
        thread.wake()

        until_sync(lambda: len(sink.deliveries) == 2)

    def test_stop_at_once(self, thread):
        """A stop that comes before the thread has come up is not forgotten."""
        for _ in range(5):
            thread.start()
            start = time.monotonic()
            thread.stop(timeout=PATIENCE)

            assert time.monotonic() - start < PATIENCE
            assert not running_threads()

    def test_stop_gives_back(self, thread, append, sink, outbox, clock):
        """What is in flight when the time is up goes back to the outbox."""
        append()
        sink.deliver = never
        thread.wake()
        until_sync(lambda: outbox.look("crm").due_in > 0)

        thread.stop(timeout=0.05)

        assert outbox.look("crm").due_in == 0

    def test_many_wake_it(self, thread, append, sink):
        """Wake-ups from many threads start one thread."""
        append(n=20)

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda _: thread.wake(), range(50)))

        until_sync(lambda: len(sink.deliveries) == 20)
        assert len(running_threads()) == 1

    def test_that_cannot_begin(self, make_dispatcher, append, sink, logged):
        """A dispatcher that fails to begin is told without its text, and begun anew at the next wake-up."""
        failures = [KeyError(SECRET)]

        def make():
            if failures:
                raise failures.pop()
            return make_dispatcher(sink)

        thread = DispatcherThread(make)
        append()
        thread.wake()
        until_sync(lambda: not running_threads())

        thread.wake()

        until_sync(lambda: sink.deliveries)
        thread.stop()
        assert "The dispatcher ended; it starts again with the next event. error='KeyError at" in logged()
        assert SECRET not in logged()

    def test_fork(self, thread, append, sink, outbox, in_child):
        """A forked child leaves the lead, and the thread, to its parent: what it stores the parent delivers."""
        append()
        thread.wake()
        until_sync(lambda: outbox.deliveries(state=DeliveryState.DONE))

        def in_the_child():
            thread.stop()
            append()
            thread.wake()
            thread.stop()
            return len(sink.deliveries)

        assert in_child(in_the_child) == "1"
        thread.wake()
        until_sync(lambda: len(sink.deliveries) == 2)
        assert sink.deliveries[-1].sequence == 2

    def test_fork_of_one_that_ended(self, thread, append, sink, outbox, in_child):
        """Once the parent has given up the lead, a child delivers with a thread of its own."""
        append()
        thread.wake()
        until_sync(lambda: outbox.deliveries(state=DeliveryState.DONE))
        thread.stop()

        def in_the_child():
            append()
            thread.wake()
            until_sync(lambda: len(sink.deliveries) == 2)
            thread.stop()
            return sink.deliveries[-1].sequence

        assert in_child(in_the_child) == "2"

    def test_a_child_that_ends(self, tmp_path):
        """A forked child that ends as Python does, and takes down what it inherited, leaves the parent's loop awake."""
        code = """
import os, sys, time
from supertokens_events.dispatch import Dispatcher, DispatcherThread
from supertokens_events.ledger import Ledger
from supertokens_events.outbox import Entry, NewDelivery, SqliteOutbox
from supertokens_events.plugins import load_plugins
from supertokens_events.testing import RecordingSink, sample_event
outbox, sink = SqliteOutbox(sys.argv[1]), RecordingSink("crm")
plugins = load_plugins(disable="*")
thread = DispatcherThread(lambda: Dispatcher([sink], outbox, plugins, Ledger(), poll_interval=60))
def deliver(count):
    event = sample_event()
    outbox.append([Entry(event, event.to_bytes(), [NewDelivery("crm")])])
    thread.wake()
    deadline = time.monotonic() + 5
    while len(sink.calls) < count and time.monotonic() < deadline:
        time.sleep(0.002)
    return len(sink.calls)
first = deliver(1)
time.sleep(0.1)
pid = os.fork()
if pid == 0:
    deliver(1)
    sys.exit()
os.waitpid(pid, 0)
print(first, deliver(3), deliver(4))
"""
        command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(tmp_path / "events.db")]
        process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        assert (process.stdout, process.stderr) == ("1 3 4\n", "")


def until_sync(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


def running_threads():
    return [thread for thread in threading.enumerate() if thread.name == "supertokens-events-dispatch"]


async def never(_deliveries):
    await anyio.sleep_forever()
