"""How the contract's tests come to a store, move its time, and make what goes into it.

A row in ``STORES`` is all that another store needs: a class with the methods of :class:`SqliteStore`.
"""

import sqlite3
from contextlib import closing

from outbox.postgres_server import PostgresStore
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery, Settlement, SqliteOutbox
from supertokens_events.testing import FakeClock, sample_event

LEASE = 60.0


class SqliteStore:
    """A file of its own in ``folder``, any number of outboxes on it, all by one clock."""

    def __init__(self, folder):
        self.path = folder / "events.db"
        self.clock = FakeClock()
        self.opened = []

    def connect(self, **options):
        """A new outbox on this store; closed with it."""
        outbox = SqliteOutbox(self.path, clock=self.clock, **options)
        self.opened.append(outbox)
        return outbox

    def now(self):
        """The store's time: compare with ``pytest.approx(…, abs=0.5)``, other stores' clocks do not stand still."""
        return self.clock()

    def advance(self, seconds):
        """Let time pass for the store."""
        self.clock.advance(seconds)

    def drop_payload(self, sequence):
        """Take the payload of an event away, as an erasure does, and leave its deliveries as they are."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("UPDATE event SET payload = NULL WHERE sequence = ?", (sequence,))

    def go_on_after(self, sequence):
        """Have the next event get the sequence after this one; what was there before is as if it was pruned."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'sequence'", (sequence,))
            connection.execute("UPDATE event SET sequence = ?", (sequence,))

    def close(self):
        """Close every outbox."""
        for outbox in self.opened:
            outbox.close()


STORES = {"sqlite": SqliteStore, "postgres": PostgresStore}


def entry(*sinks, **fields):
    """An event, due for each of ``sinks``: names, or whole deliveries."""
    event = sample_event(**fields)
    deliveries = [NewDelivery(sink) if isinstance(sink, str) else sink for sink in sinks]
    return Entry(event, event.to_bytes(), deliveries)


def keyed(sink, key, **fields):
    """An event for ``sink`` that waits for the earlier ones of ``key``."""
    return entry(NewDelivery(sink, ordering_key=key), **fields)


def settlement(claim, state=DeliveryState.DONE, *, outcome="delivered", used=None, wait=0.0, reason=None, **detail):
    """What came of a claim: done, unless said otherwise, after a try of half a second."""
    used = claim.used + 1 if used is None else used
    return Settlement(claim, state, outcome, used, wait, duration=0.5, reason=reason, detail=detail)


def later(claim, wait, **changes):
    """To be tried again in ``wait`` seconds."""
    return settlement(claim, DeliveryState.PENDING, outcome="retry", wait=wait, reason="503", **changes)


def dead(claim, reason="gone"):
    """Given up."""
    return settlement(claim, DeliveryState.DEAD, outcome="rejected", reason=reason)


def disabling(claim, reason="410"):
    """The place wants no more events."""
    return dead(claim, reason)._replace(disables=True)


def sequences(outbox):
    """Every sequence in the store."""
    return [event.sequence for event in outbox.events(after=0, limit=100_000)]


def claimed(claims):
    """Their sequences, in order of the claims."""
    return [claim.delivery.sequence for claim in claims]
