"""One play: a few processes with dispatchers, a few sinks, events, and what goes wrong, all of it from one seed."""

import random
import tempfile
from functools import partial
from pathlib import Path

import anyio

from simulation.faults import Faults, FaultySink, Killed, Process, Watched
from simulation.model import Broken, Model
from simulation.time import StoreClock, VirtualTimeLoop
from supertokens_events.dispatch import Dispatcher
from supertokens_events.ledger import Ledger, LedgerKey, Reason
from supertokens_events.outbox import Entry, NewDelivery, OutboxError, OutboxUnavailable, SqliteOutbox
from supertokens_events.plugins import load_plugins
from supertokens_events.retry import RetryPolicy
from supertokens_events.testing import sample_event

TROUBLE = 600.0  # virtual seconds with faults
QUIET = 2400.0  # and without: everything must have come to an end
POLICY = RetryPolicy(schedule=(5, 30, 120, 300), max_retry_after=500)
SINKS = ("crm", "audit")


class Failure(Exception):
    """A seed whose play broke an invariant."""

    def __init__(self, seed, story, broken):
        super().__init__(f"seed {seed}: {broken}")
        self.seed, self.story, self.broken = seed, story, broken


class Place:
    """Where one sink delivers to: mostly there, sometimes away, and hard on some events."""

    def __init__(self, world):
        rng = self.world_rng = world.rng
        self._poison = rng.choice((0.0, 0.0, 0.1))
        self._odd = rng.choice((0.0, 0.05, 0.3))
        self._poisoned = {}
        begin = rng.uniform(0, TROUBLE)
        self._away = (begin, begin + rng.choice((0, 20, 100, 2000))) if rng.random() < 0.5 else (0, 0)

    def answers(self, event_id):
        rng = self.world_rng
        if self._away[0] <= anyio.current_time() < self._away[1]:
            return rng.choice(("away", "away", "hangs"))
        if self._poisoned.setdefault(event_id, rng.random() < self._poison):
            return "fails"
        if anyio.current_time() < TROUBLE and rng.random() < self._odd:
            return rng.choice(
                ("takes_twice", "answer_lost", "takes_and_hangs", "hangs", "fails", "patience", "raises", "rejects")
            )
        return "takes"


class World:
    """Everything of one play."""

    def __init__(self, seed, folder, outbox_type):
        self.rng = random.Random(seed)
        self.lines = []
        self.clock = StoreClock()
        self.model = Model(self.clock)
        self.ledger = Ledger()
        self.faults = Faults(self.rng, self.story, TROUBLE)
        self._path = folder / "events.db"
        self._outbox_type = outbox_type
        self._opened = []
        self._places = {}
        self._plugins = load_plugins((), disable="*")
        self.keys = self.rng.choice((None, ("u1", "u2", "u3")))

    def story(self, line):
        self.lines.append(f"{anyio.current_time():9.3f} {line}")

    def place(self, sink):
        return self._places[sink]

    def connect(self):
        outbox = self._outbox_type(self._path, clock=self.clock)
        self._opened.append(outbox)
        return outbox

    def close(self):
        for outbox in self._opened:
            outbox.close()

    async def run(self):
        self._places = {sink: Place(self) for sink in SINKS}
        async with anyio.create_task_group() as tasks:
            for number in range(self.rng.choice((1, 2, 3))):
                tasks.start_soon(self._dispatcher, f"dispatcher {number}")
            tasks.start_soon(self._clock_jumps)
            await self._emitters()
            await anyio.sleep(TROUBLE + QUIET - anyio.current_time())
            tasks.cancel_scope.cancel()
        self._check()

    # Those who store -----------------------------------------------------------------------------------------------

    async def _emitters(self):
        async with anyio.create_task_group() as tasks:
            for number in range(self.rng.choice((1, 2))):
                tasks.start_soon(self._emitter, f"app {number}")

    async def _emitter(self, name):
        process = Process(name, self.connect())
        for _ in range(self.rng.randrange(3, 12)):
            await anyio.sleep(self.rng.expovariate(1 / 40))
            if anyio.current_time() > TROUBLE:
                break
            if process.dead:
                process = Process(name, self.connect())
            await self._until_killed(process, self._store, [self._entry() for _ in range(self.rng.choice((1, 1, 3)))])
        process.outbox.close()

    async def _until_killed(self, process, function, *arguments):
        try:
            with process.scope:
                await function(process, *arguments)
        except* Killed:
            self.story(f"{process.name} is dead")

    def _entry(self):
        event = sample_event(user_id=self.rng.choice(self.keys or (None,)))
        event = event.model_copy(update={"id": f"evt_{self.rng.getrandbits(100):026x}"})
        key = event.user_id if self.keys else None
        sinks = [sink for sink in SINKS if self.rng.random() < 0.8] or SINKS[:1]
        return Entry(event, event.to_bytes(), [NewDelivery(sink, ordering_key=key) for sink in sinks])

    async def _store(self, process, entries):
        """As the emitter does: again and again until it is stored, and only then the caller hears that it is."""
        outbox = Watched(process.outbox, self.model)
        try:
            while True:
                try:
                    await self.faults.around(process, "append", partial(outbox.append, entries))
                except OutboxUnavailable:
                    await anyio.sleep(1)
                else:
                    break
        except OutboxError:
            self.model.given_up.update(entry.event.id for entry in entries)
            self.ledger.count(Reason.LOST, n=len(entries))
        else:
            self.model.acknowledged.update(entry.event.id for entry in entries)
        self.model.emitted.update(entry.event.id for entry in entries)

    # Those who deliver ---------------------------------------------------------------------------------------------

    async def _dispatcher(self, name):
        while True:
            process = Process(name, self.connect())
            await self._until_killed(process, self._dispatch)
            await anyio.sleep(self.rng.uniform(0, 60))

    async def _dispatch(self, process):
        sinks = [FaultySink(name, self, process) for name in SINKS]
        for sink in sinks:
            sink.retry = POLICY
            sink.concurrency = self.rng.choice((1, 3, 10))

        async def aside(function):
            return await self.faults.around(process, function.func.__name__, function)

        outbox = Watched(process.outbox, self.model)
        dispatcher = Dispatcher(
            sinks, outbox, self._plugins, self.ledger, poll_interval=30.0, pulse=3600.0, aside=lambda: aside
        )
        if self.rng.random() < 0.3:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(dispatcher.run)
                await anyio.sleep(self.rng.uniform(1, TROUBLE))
                self.story(f"{process.name} stops")
                dispatcher.stop(self.rng.choice((0, 1, 40)))
            process.outbox.close()
        else:
            await dispatcher.run()

    async def _clock_jumps(self):
        if self.rng.random() < 0.3:
            await anyio.sleep(self.rng.uniform(0, TROUBLE))
            jump = self.rng.choice((-30.0, -1.0, 1.0, 50.0, 3600.0))
            self.story(f"the clock jumps by {jump} s")
            self.clock.jump(jump)

    # The end -------------------------------------------------------------------------------------------------------

    def _check(self):
        outbox = self.connect()
        stored = outbox.deliveries(limit=100_000)
        ledger = {LedgerKey(Reason(line.reason), line.subject, line.event_type): line.count for line in outbox.ledger()}
        outbox.close()
        self.model.check_end(stored, POLICY.attempts)
        counted = sum(
            count for key, count in (*ledger.items(), *self.ledger.peek().items()) if key.reason is Reason.LOST
        )
        if counted != len(self.model.given_up):
            raise Broken(f"the ledger says that {counted} events are lost; {len(self.model.given_up)} are")


def play(seed, outbox_type=SqliteOutbox):
    """Play one seed; returns its story. Raises :class:`Failure` when an invariant does not hold."""
    with tempfile.TemporaryDirectory(prefix="simulation") as folder:
        world = World(seed, Path(folder), outbox_type)
        state = random.getstate()
        random.seed(seed)  # the schedule's jitter
        try:
            anyio.run(world.run, backend_options={"loop_factory": VirtualTimeLoop})
        except* Broken as broken:
            raise Failure(seed, world.lines, _first(broken)) from None
        finally:
            random.setstate(state)
            world.close()
        return world.lines


def _first(group):
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group
