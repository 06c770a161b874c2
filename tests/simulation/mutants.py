"""Engines with one mistake each. A simulation that does not find them finds nothing."""

from supertokens_events.outbox import SqliteOutbox
from supertokens_events.outbox.sqlite import write as sqlite_write


class SettlesWithoutFencing(SqliteOutbox):
    """What an earlier holder writes late is taken for the word of the one who holds the claim now."""

    def settle(self, settlements):
        fenced = sqlite_write._SETTLE
        sqlite_write._SETTLE = fenced.replace("AND delivery.fence = outcome.fence", "")
        try:
            return super().settle(settlements)
        finally:
            sqlite_write._SETTLE = fenced


class ClaimsWithoutLease(SqliteOutbox):
    """Who claims does not say until when: the next one who asks gets the same deliveries."""

    def claim(self, sink, limit, lease):
        return super().claim(sink, limit, lease * 0)


class CommitsAfterAnswering(SqliteOutbox):
    """The caller hears that an event is stored before it is. Whoever dies in between has promised too much."""

    _later = ()

    def append(self, entries):
        self._commit()
        self._later = entries
        (*_, last) = (0, *(event.sequence for event in self.events(limit=1)))
        return list(range(last + 1, last + 1 + len(entries)))

    def _commit(self):
        entries, self._later = self._later, ()
        if entries:
            super().append(entries)

    def close(self):
        self._later = ()
        super().close()


MUTANTS = [SettlesWithoutFencing, ClaimsWithoutLease, CommitsAfterAnswering]
