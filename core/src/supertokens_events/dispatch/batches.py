"""What goes into one call of a sink."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from supertokens_events.outbox import Claim
from supertokens_events.sink import BatchPolicy

__all__ = ["batches_of"]


def batches_of(claims: Sequence[Claim], policy: BatchPolicy | None) -> Iterator[Sequence[Claim]]:
    """The claims in the calls that the sink's policy allows, in order; one that is too large for any call goes alone."""
    if policy is None:
        policy = BatchPolicy(size=1)
    batch: list[Claim] = []
    room = policy.max_bytes
    for claim in claims:
        size = len(claim.delivery.body)
        if batch and (len(batch) >= policy.size or (room is not None and size > room)):
            yield batch
            batch, room = [], policy.max_bytes
        batch.append(claim)
        room = None if room is None else room - size
    if batch:
        yield batch
