"""How long hooks took, in the SQLite file: a row for each hour, plugin, hook and bucket, for a day."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from supertokens_events.hook_times import HookTime, Tally, TimeKey, summed

__all__ = ["hook_times", "record"]

_HOUR = 3600.0  # seconds
_HOURS = 24
_ADD = """
INSERT INTO hook_time (hour, plugin, hook, bucket, calls, failures, total, longest, last_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, failures = failures + excluded.failures,
    total = total + excluded.total, longest = max(longest, excluded.longest), last_at = excluded.last_at
"""
_OF_A_DAY = """
SELECT plugin, hook, bucket, sum(calls), sum(failures), sum(total), max(longest), max(last_at)
FROM hook_time WHERE hour > ? GROUP BY plugin, hook, bucket
"""


def record(connection: sqlite3.Connection, times: Mapping[TimeKey, Tally], now: float) -> None:
    """Add them; what is older than a day goes."""
    hour = now // _HOUR
    connection.execute("DELETE FROM hook_time WHERE hour <= ?", (hour - _HOURS,))
    connection.executemany(_ADD, [(hour, *key, *tally, now) for key, tally in times.items()])


def hook_times(connection: sqlite3.Connection, now: float) -> list[HookTime]:
    """Those of the last 24 hours."""
    rows = connection.execute(_OF_A_DAY, (now // _HOUR - _HOURS,))
    return summed((TimeKey(*row[:3]), Tally(*row[3:7]), row[7]) for row in rows)
