"""How large a payload is, and what that means: Standard Webhooks has payloads under 20 kB ("Payload size")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supertokens_events.log import get_logger
from supertokens_events.sink import Rejected

__all__ = ["USUAL", "SizeGate"]

log = get_logger(__name__)

USUAL = 20_000  # bytes


class SizeGate:
    """Tells of payloads that are larger than usual, of each type once, and refuses those of more than ``most`` bytes."""

    def __init__(self, sink: str, most: int) -> None:
        self.most = most
        self._sink = sink
        self._told: set[str] = set()

    def refusal(self, size: int) -> Rejected | None:
        """Why a payload of ``size`` bytes is not sent, if it is not."""
        if size <= self.most:
            return None
        return Rejected(
            f"the payload has {size:,} bytes, and max_size is {self.most:,}: raise it, or send less with format or transform",
            {"bytes": size},
        )

    def note(self, event_type: str, size: int) -> Mapping[str, Any]:
        """What is kept with the attempt of a payload that is larger than usual; logged for the first of its type."""
        if size <= USUAL:
            return {}
        if event_type not in self._told:
            self._told.add(event_type)
            log.warning(
                "A webhook's payload is larger than 20 kB; some receivers refuse that.",
                sink=self._sink,
                event_type=event_type,
                bytes=size,
            )
        return {"bytes": size, "large": True}
