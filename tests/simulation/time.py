"""Virtual time: an event loop that never waits. When nothing is ready, its clock jumps to the next timer."""

import asyncio
import selectors


class Deadlock(Exception):
    """Nothing is ready and no timer is set: whatever is awaited never comes."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop without input or output, whose seconds cost nothing."""

    def __init__(self):
        self.now = 0.0
        super().__init__(_NoWaiting(self))

    def time(self):
        return self.now


class _NoWaiting(selectors.DefaultSelector):
    def __init__(self, loop):
        super().__init__()
        self._loop = loop

    def select(self, timeout=None):
        if timeout is None:
            raise Deadlock
        self._loop.now += max(0.0, timeout)
        return []


class StoreClock:
    """The store's clock: virtual time, plus the jumps that somebody made to it. Seconds since the epoch."""

    def __init__(self, begin=1_790_000_000.0):
        self._begin = begin
        self.jumped = 0.0

    def __call__(self):
        return self._begin + asyncio.get_running_loop().time() + self.jumped

    def jump(self, seconds):
        self.jumped += seconds
