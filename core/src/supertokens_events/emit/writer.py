"""The thread that stores: its queue, the jobs that it works on, and how another takes them over."""

from __future__ import annotations

import contextvars
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from supertokens_events.event import Event
from supertokens_events.outbox import Entry

__all__ = ["BATCH", "FIRST_WAIT", "Call", "Job", "Retired", "Writer"]

BATCH = 500
FIRST_WAIT = 0.02  # seconds between tries at an outbox that is locked or full

_COUNTS_WAIT = 4.0  # seconds that counts wait for an event to be stored with


class Retired(BaseException):
    """Another thread has taken over; what this one was about to do is not its own any more."""


@dataclass
class Job:
    """One event on the queue. ``caller`` is the context it was emitted in: hooks see the request's context variables. ``began``
    is when, by the monotonic clock.
    """

    event: Event
    stored: Future[Event | None] = field(default_factory=Future)
    caller: contextvars.Context = field(default_factory=contextvars.copy_context)
    began: float = field(default_factory=time.monotonic)
    entry: Entry | None = None
    """What is to be stored of it, once it went through the hooks."""
    _answered: threading.Lock = field(default_factory=threading.Lock)

    def is_first_answer(self) -> bool:
        """``True`` once, for the one who may answer: the thread, or who stops it and has waited enough."""
        return self._answered.acquire(blocking=False)

    def taken_over(self) -> Job:
        """Itself, for another thread: its caller's context is still in use where the hook hangs."""
        self.caller = self.caller.copy()
        return self


@dataclass(frozen=True, eq=False)
class Call:
    """A hook call that goes on. ``began`` is by the monotonic clock."""

    plugin: str
    hook: str
    event_type: str
    began: float = field(default_factory=time.monotonic)


class _Counts:
    """What stands on the queue when counts wait to be stored."""


class Writer:
    """One thread, its queue, and the jobs that it works on. ``None`` on the queue is the last thing it takes.

    ``predecessor`` is one whose thread hangs: what it has begun and its queue are this one's from now on.
    """

    def __init__(self, run: Callable[[Writer], None], predecessor: Writer | None = None) -> None:
        self.thread = threading.Thread(target=run, args=(self,), name="supertokens-events-emit", daemon=True)
        self.queue: queue.SimpleQueue[Job | _Counts | None] = queue.SimpleQueue()
        self.jobs: list[Job] = []
        self.untold: deque[Event] = deque()
        self.last = False
        self.deadline = math.inf
        self.call: Call | None = None
        self.busy = threading.Event()
        self.working = threading.Lock()  # held while it works, but not while it waits for an outbox
        self.over = threading.Event()
        self._counts_due: float | None = None
        self._ending = threading.Event()
        self._all_taken = threading.Event()
        self._retiring = threading.Lock()
        self._retired = False
        if predecessor is not None:
            self._take_over(predecessor)

    def _take_over(self, other: Writer) -> None:
        self.queue = other.queue
        self.jobs = [job.taken_over() for job in other.jobs if not job.stored.done()]
        self.untold.extend(other.untold)
        self.last, self.deadline = other.last, other.deadline
        self._ending, self._all_taken = other._ending, other._all_taken

    # Its thread ----------------------------------------------------------------------------------------------------

    def take(self) -> None:
        """Make :attr:`jobs` everything that waits, up to a batch; none when counts have waited long enough."""
        jobs = self.jobs = []
        while not jobs or (len(jobs) < BATCH and not self.queue.empty()):
            try:
                item = self.queue.get(timeout=self._patience())
            except queue.Empty:
                return
            if item is None:
                self.last = True
                return
            if isinstance(item, Job):
                jobs.append(item)
            else:
                self.counts_wait()

    def _patience(self) -> float | None:
        return None if self._counts_due is None else max(0.0, self._counts_due - time.monotonic())

    def counts_wait(self) -> None:
        """There are counts; they are due in a while."""
        self._counts_due = self._counts_due or time.monotonic() + _COUNTS_WAIT

    def counts_stored(self) -> None:
        """No count waits."""
        self._counts_due = None

    def has_time(self) -> bool:
        """Whether another try at the outbox is due to what waits."""
        return time.monotonic() < self.deadline

    def pause(self, seconds: float) -> None:
        """Wait, but not through the call of :meth:`end`. A fork may come meanwhile."""
        self.working.release()
        if self._ending.is_set():
            time.sleep(FIRST_WAIT)
        else:
            self._ending.wait(seconds)
        self.working.acquire()

    def finish(self) -> None:
        """The thread has nothing more to do."""
        self.over.set()
        self.busy.set()
        self._all_taken.set()

    # A hook call ---------------------------------------------------------------------------------------------------

    def enter(self, call: Call) -> None:
        """A hook is called now."""
        self.call = call

    def leave(self) -> None:
        """It has returned. Raises :class:`Retired` when that took so long that another thread has taken over."""
        with self._retiring:
            self.call = None
            if self._retired:
                raise Retired

    def retire(self, call: Call, successor: Callable[[], bool]) -> bool:
        """Have ``successor`` start a thread that takes over, if this one still hangs in ``call``; returns whether it does."""
        with self._retiring:
            self._retired = self.call is call and successor()
            return self._retired

    # Others --------------------------------------------------------------------------------------------------------

    def count(self) -> None:
        """Counts wait to be stored."""
        self.queue.put(_Counts())

    def end(self, timeout: float) -> None:
        """Let the thread take what waits and end; returns when it has, at the latest after ``timeout`` seconds."""
        self.deadline = time.monotonic() + timeout
        self._ending.set()
        self.queue.put(None)
        if self.thread is not threading.current_thread():
            self._all_taken.wait(timeout)

    @property
    def is_finished(self) -> bool:
        """Whether everything that it should take is taken, by it or by who took over."""
        return self._all_taken.is_set()

    def unanswered(self) -> list[Job]:
        """What it works on or did not get to."""
        jobs = list(self.jobs)
        while not self.queue.empty():
            job = self.queue.get()
            if isinstance(job, Job):
                jobs.append(job)
        return jobs
