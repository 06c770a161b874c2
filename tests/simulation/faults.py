"""The outbox as one process sees it: a real one, and between the two everything that may go wrong."""

import anyio

from supertokens_events.outbox import OutboxUnavailable
from supertokens_events.sink import Delivered, Rejected, Retry, Sink, SinkSettings


class Process:
    """One life of one process. Dead, it reaches nothing any more, as after ``kill -9``."""

    def __init__(self, name, outbox):
        self.name = name
        self.outbox = outbox
        self.dead = False
        self.scope = anyio.CancelScope()

    def kill(self):
        self.dead = True
        self.scope.cancel()
        self.outbox.close()  # as the system does with what a dead process held: locks, connections
        raise Killed

    def must_live(self):
        if self.dead:
            raise Killed


class Killed(BaseException):
    """The end of everything in a dead process, its shielded last acts too."""


class Faults:
    """How often what goes wrong, drawn once per play; all of it stops at ``until`` so that the play can end."""

    KINDS = ("crash_before", "crash_after", "slow", "lost_answer", "locked", "disk_full")

    def __init__(self, rng, story, until):
        self.rng = rng
        self.story = story
        self.until = until
        self.weights = {kind: rng.choice((0, 0, 0.005, 0.02)) for kind in self.KINDS}

    def draw(self):
        if anyio.current_time() >= self.until:
            return None
        roll = self.rng.random()
        for kind, weight in self.weights.items():
            if (roll := roll - weight) < 0:
                return kind
        return None

    async def around(self, process, name, call):
        """``call()`` of the outbox, as it may go. A function that raises nothing and returns what the outbox said."""
        fault = self.draw()
        if fault:
            self.story(f"{process.name} {name}: {fault}")
        process.must_live()
        if fault == "slow":
            await anyio.sleep(self.rng.uniform(0, 90))
            process.must_live()
        if fault == "crash_before":
            process.kill()
        if fault in ("locked", "disk_full"):
            raise OutboxUnavailable("database is locked" if fault == "locked" else "database or disk is full")
        answer = call()
        if fault == "crash_after":
            process.kill()
        if fault == "lost_answer":
            raise OutboxUnavailable("the connection was lost")
        return answer


class Watched:
    """An outbox whose every call is told to the model. What it does not know it hands on."""

    def __init__(self, outbox, model):
        self._outbox = outbox
        self._model = model

    def __getattr__(self, name):
        return getattr(self._outbox, name)

    def append(self, entries):
        sequences = self._outbox.append(entries)
        self._model.appended(entries, sequences)
        return sequences

    def claim(self, sink, limit, lease):
        claims = self._outbox.claim(sink, limit, lease)
        self._model.claimed(claims, lease)
        return claims

    def claim_overdue(self, sink, limit, lease, span):
        claims = self._outbox.claim_overdue(sink, limit, lease, span)
        self._model.claimed(claims, lease, overdue=True)
        return claims

    def settle(self, settlements):
        held = self._outbox.settle(settlements)
        self._model.settled(settlements, held)
        return held

    def release(self, claims):
        self._outbox.release(claims)
        self._model.released(claims)

    def close_breaker(self, sink):
        due = self._outbox.close_breaker(sink)
        self._model.breaker_closed(sink)
        return due


class FaultySink(Sink):
    """A place that has its bad days. What arrives there is told to the model, whatever the dispatcher hears of it."""

    type = "faulty"

    def __init__(self, name, world, process):
        super().__init__(name, SinkSettings())
        self._world = world
        self._process = process
        self.deadline = 30.0

    async def deliver(self, deliveries):
        rng = self._world.rng
        self._process.must_live()
        await anyio.sleep(rng.choice((0.0, 0.01, rng.uniform(0, 2))))
        self._process.must_live()
        return [await self._one(delivery) for delivery in deliveries]

    async def _one(self, delivery):
        what = self._world.place(self.name).answers(delivery.event_id)
        if what in ("takes", "takes_twice", "answer_lost", "takes_and_hangs"):
            for _ in range(2 if what == "takes_twice" else 1):
                self._world.model.received(delivery.event_id, self.name)
        match what:
            case "takes" | "takes_twice":
                return Delivered({"status": 200})
            case "answer_lost":
                return Retry("the connection was lost", away=True)
            case "takes_and_hangs" | "hangs":
                await anyio.sleep(200)
                return Delivered()
            case "away":
                return Retry("refused", away=True)
            case "fails":
                return Retry("500", after=self._world.rng.choice((None, 0, 7)))
            case "patience":
                return Retry("429", after=3, counts=False, away=self._world.rng.random() < 0.5)
            case "raises":
                raise RuntimeError("a bug of the sink")
            case _:
                return Rejected("410")
