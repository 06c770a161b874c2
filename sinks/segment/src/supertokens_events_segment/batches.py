"""What goes into one request: whole events, as many as Segment's own libraries send at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

__all__ = ["MAX_BYTES", "MAX_MESSAGES", "Parcel", "body_of", "packed"]

MAX_MESSAGES = 100
"""Messages in a request."""

MAX_BYTES = 475_000
"""Bytes of a request's body; Segment refuses more than 500 KB."""

_HEAD, _MIDDLE, _TAIL = b'{"batch":[', b'],"sentAt":"', b'"}'
_ENVELOPE = len(_HEAD + _MIDDLE + _TAIL) + len("2026-11-23T07:15:22.104Z")


@dataclass(frozen=True, slots=True)
class Parcel:
    """One event's messages, which always go together, and its place among the deliveries of a call."""

    position: int
    event_id: str
    messages: Sequence[bytes] = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes in a batch, with the commas."""
        return sum(map(len, self.messages)) + len(self.messages)


def packed(parcels: Iterable[Parcel]) -> Iterator[Sequence[Parcel]]:
    """The parcels in batches that one request can hold, in order."""
    batch: list[Parcel] = []
    messages, size = 0, _ENVELOPE
    for parcel in parcels:
        more, larger = len(parcel.messages), parcel.size
        if batch and (messages + more > MAX_MESSAGES or size + larger > MAX_BYTES):
            yield batch
            batch, messages, size = [], 0, _ENVELOPE
        batch.append(parcel)
        messages += more
        size += larger
    if batch:
        yield batch


def body_of(batch: Iterable[Parcel], sent_at: str) -> bytes:
    """The JSON of a request. Segment corrects every ``timestamp`` by the difference between its clock and ``sent_at``."""
    messages = b",".join(message for parcel in batch for message in parcel.messages)
    return b"".join((_HEAD, messages, _MIDDLE, sent_at.encode("ascii"), _TAIL))
