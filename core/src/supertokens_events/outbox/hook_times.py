"""How long hooks took, on its way into an outbox."""

from __future__ import annotations

from supertokens_events.hook_times import HookTimes
from supertokens_events.outbox.contract import Outbox, OutboxError

__all__ = ["save_hook_times"]


def save_hook_times(outbox: Outbox, times: HookTimes) -> None:
    """Store what there is; what the outbox does not take now waits."""
    taken = times.take()
    try:
        if taken:
            outbox.record_hook_times(taken)
    except OutboxError:
        times.put_back(taken)
