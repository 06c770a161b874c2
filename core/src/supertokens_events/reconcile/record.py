"""The record of what was told, as a comparison reads and changes it while others may do the same."""

from __future__ import annotations

from collections.abc import Sequence

from supertokens_events.outbox import Change, Outbox, OutboxError, Records, Told
from supertokens_events.reconcile.follow import follow
from supertokens_events.reconcile.mark import Book

__all__ = ["EventsLost", "Record"]

_TRIES = 5


class EventsLost(OutboxError):
    """Events went before a comparison has read them: what they said cannot be told from what was never said."""


class Record:
    """That of ``outbox``."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @property
    def records(self) -> Records:
        """What it lies in."""
        return self._outbox.records

    def begin(self) -> bool:
        """Have one; whether there was none."""
        if Book.opened(self._outbox) is not None:
            return False
        Book.begun(self._outbox)
        return True

    def begin_anew(self) -> Book:
        """Forget what was told, and begin with what is told from now on."""
        return Book.begun_anew(self._outbox)

    def followed(self) -> Book:
        """Up to the last event. Raises :class:`EventsLost` when some were never read."""
        book = _there(follow(self._outbox))
        if book.mark.lost:
            raise EventsLost(
                f"{book.mark.lost:,} events went from the outbox before they were read, so what was told is not known: take "
                "everything as it is now with 'supertokens-events reconcile --baseline'"
            )
        return book

    def opened(self) -> Book:
        """As it is."""
        return _there(Book.opened(self._outbox))

    def note(self, rows: Sequence[Told], book: Book) -> None:
        """Take this down as found, unless somebody has changed the record since ``book`` was opened: then the rows are old, and
        the next comparison finds the same.
        """
        if rows:
            book.moved(book.mark, Change(kept=rows))

    def change(self, change: Change, **moved: bool) -> None:
        """Change it, whoever else follows at the same time; and of its mark what is ``moved``."""
        for _ in range(_TRIES):
            book = self.opened()
            if book.moved(book.mark.model_copy(update=moved), change) is not None:
                return
        raise OutboxError("the record of what was told is being changed by others; try again")


def _there(book: Book | None) -> Book:
    if book is None:
        raise OutboxError("the record of what was told is gone; begin again")
    return book
