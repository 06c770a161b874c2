"""Who is to be forgotten, what names them, and what stands where something was erased. The same for every store."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import NamedTuple

from pydantic_core import to_json

from supertokens_events.outbox.contract import Entry, Erased

__all__ = ["ERASED", "GONE", "REPORTS", "SAYS_SO", "Answers", "Names", "Tell", "reports_on", "tell_nobody"]

ERASED = "erased"
"""Why a delivery is dead that had not gone out when its event was erased."""

GONE = "the reason is erased"
"""What stands in place of a reason: it may repeat what a receiver said, and a receiver may repeat what it got."""

SAYS_SO = "user.data_erased"
"""The type that says that somebody was erased. It has no personal data, and is not erased itself."""

REPORTS = ("delivery.exhausted", "sink.disabled")
"""The types that repeat why a delivery failed."""

Tell = Callable[[Erased], Entry | None]
"""Makes the event that says what was erased. It is called inside the transaction, so it neither waits nor asks the outbox."""

Answers = frozenset[tuple[str, str]]
"""Sinks, each with a reason that it gave."""


class Names(NamedTuple):
    """What a person is called in events: ids, and the addresses by which one that is about no user may know them."""

    user_ids: tuple[str, ...]
    addresses: tuple[str, ...] = ()

    @property
    def id_needles(self) -> list[bytes]:
        """The ids as JSON writes them."""
        return [to_json(user_id) for user_id in self.user_ids]

    @property
    def address_needles(self) -> list[bytes]:
        """The addresses as JSON writes them."""
        return [to_json(address) for address in self.addresses]


def tell_nobody(_erased: Erased) -> None:
    """Where no event is to say so."""


def reports_on(body: bytes, event_ids: Collection[str], answers: Answers) -> bool:
    """Whether an event of :data:`REPORTS` is about one of these events, or repeats one of these answers."""
    data = json.loads(body, parse_int=float)["data"]
    return data.get("about_event_id") in event_ids or (data.get("sink"), data.get("why")) in answers
