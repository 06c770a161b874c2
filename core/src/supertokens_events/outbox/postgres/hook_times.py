"""How long hooks took, on PostgreSQL: a row for each hour, plugin, hook and bucket, for a day."""

from __future__ import annotations

from collections.abc import Mapping

from supertokens_events.hook_times import HookTime, Tally, TimeKey, summed
from supertokens_events.outbox.postgres.claim import NOW
from supertokens_events.outbox.postgres.connections import Connection

__all__ = ["hook_times", "record"]

_HOUR = f"floor({NOW} / 3600)::bigint"
_ADD = f"""
INSERT INTO hook_time (hour, plugin, hook, bucket, calls, failures, total, longest, last_at)
SELECT {_HOUR}, t.*, {NOW} FROM unnest(
    %(plugins)s::text[], %(hooks)s::text[], %(buckets)s::integer[],
    %(calls)s::bigint[], %(failures)s::bigint[], %(totals)s::float8[], %(longest)s::float8[]) AS t
ON CONFLICT (hour, plugin, hook, bucket) DO UPDATE
SET calls = hook_time.calls + excluded.calls, failures = hook_time.failures + excluded.failures,
    total = hook_time.total + excluded.total, longest = greatest(hook_time.longest, excluded.longest),
    last_at = excluded.last_at"""
_OLD = f"DELETE FROM hook_time WHERE hour <= {_HOUR} - 24"
_OF_A_DAY = f"""
SELECT plugin, hook, bucket, sum(calls)::bigint, sum(failures)::bigint, sum(total), max(longest), max(last_at)
FROM hook_time WHERE hour > {_HOUR} - 24 GROUP BY plugin, hook, bucket"""


def record(connection: Connection, times: Mapping[TimeKey, Tally]) -> None:
    """Add them; what is older than a day goes. In the order of the keys, so that two who do so never wait in a circle."""
    ordered = sorted(times.items())
    values = {
        "plugins": [key.plugin for key, _ in ordered],
        "hooks": [key.hook for key, _ in ordered],
        "buckets": [key.bucket for key, _ in ordered],
        "calls": [tally.calls for _, tally in ordered],
        "failures": [tally.failures for _, tally in ordered],
        "totals": [tally.total for _, tally in ordered],
        "longest": [tally.longest for _, tally in ordered],
    }
    connection.execute(_ADD.encode(), values)
    connection.execute(_OLD.encode())


def hook_times(connection: Connection) -> list[HookTime]:
    """Those of the last 24 hours."""
    rows = connection.execute(_OF_A_DAY.encode()).fetchall()
    return summed((TimeKey(*row[:3]), Tally(*row[3:7]), row[7]) for row in rows)
