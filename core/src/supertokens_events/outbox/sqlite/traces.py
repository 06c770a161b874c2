"""What is left of what was erased: in the WAL, in parts of pages that nothing uses, in files that were set aside.

SQLite overwrites what is deleted, but not what it has only moved: a page that was filled anew keeps what lay in the rest of it.
Writing the whole file anew leaves nothing of that.
"""

from __future__ import annotations

import sqlite3

from supertokens_events.outbox.sqlite.aside import aside_of
from supertokens_events.outbox.sqlite.file import SqliteFile

__all__ = ["remember", "scrub"]

_WAL, _PAGES = "erased_in_wal", "erased_in_pages"
_REMEMBER = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, 1)"


def remember(connection: sqlite3.Connection) -> None:
    """In the transaction that erases: there are traces, whatever becomes of this process."""
    connection.executemany(_REMEMBER, [(_WAL,), (_PAGES,)])


def scrub(file: SqliteFile, rewrite_up_to: float) -> list[str]:
    """As the contract says."""
    with file.connected() as connection:
        left = {key for (key,) in connection.execute("SELECT key FROM meta WHERE key IN (?, ?)", (_WAL, _PAGES))}
    size = file.path.stat().st_size
    if _PAGES in left and size <= rewrite_up_to:
        file.rewrite()
        _forget(file, _PAGES)
        left = {_WAL}
    if _WAL in left and file.checkpoint():
        _forget(file, _WAL)
        left -= {_WAL}
    name = file.path.name
    sentences = {
        _WAL: f"{name}-wal: it still has what was erased, since another process is reading the outbox at this moment: a "
        "dispatcher empties it within a minute after that, or this command when it runs again",
        _PAGES: f"{name}: unused parts of it may still have what was erased: --rewrite writes its {size / 2**20:,.0f} MiB anew, "
        "and new events wait in memory meanwhile",
    }
    return [sentences[key] for key in sorted(left, reverse=True)] + [
        f"{aside.name}: it was set aside and is not searched; delete it when nobody needs it any more"
        for aside in aside_of(file.path)
    ]


def _forget(file: SqliteFile, key: str) -> None:
    with file.transaction() as connection:
        connection.execute("DELETE FROM meta WHERE key = ?", (key,))
