"""The records beside the events: how far somebody has come, and what was told of whom. They outlive what they come from.

Who fills a sink, or compares the outbox with the core, works for minutes, is interrupted, and goes on another day. Events are
pruned meanwhile; a record is small and stays. It holds no personal data: addresses and numbers are in it as fingerprints.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from supertokens_events.outbox.contract import StoredEvent

__all__ = ["Change", "Grant", "Records", "Stretch", "Told"]


class Told(NamedTuple):
    """What was told of one login method. ``user_id`` is the user's, ``None`` where that is not known; ``own_id`` is the core's
    own id behind a mapped one. ``facts`` is a small JSON object.
    """

    recipe_user_id: str
    user_id: str | None
    facts: Mapping[str, Any]
    own_id: str | None = None


class Grant(NamedTuple):
    """A role of a user in a tenant. With empty texts also: that there is a role, that there is a tenant. To take some back,
    ``None`` stands for any.
    """

    tenant_id: str | None = ""
    role: str | None = ""
    user_id: str | None = ""


class Stretch(NamedTuple):
    """Events of some types in a stretch of sequences that ends with ``through``. ``missing``: so many of that stretch, of any
    type, are not there any more.
    """

    events: Sequence[StoredEvent]
    through: int
    missing: int


@dataclass(frozen=True)
class Change:
    """What is to be different in the record: rows to keep, login methods to forget, grants to add (``True``) and to take back, in
    order. ``anew``: everything else is forgotten first.
    """

    kept: Sequence[Told] = ()
    gone: Collection[str] = ()
    grants: Sequence[tuple[bool, Grant]] = field(default=())
    anew: bool = False


NOTHING = Change()


class Records(ABC):
    """The records of one outbox. Every method may raise :class:`OutboxError`."""

    # How far somebody has come -------------------------------------------------------------------------------------

    @abstractmethod
    def bookmark(self, name: str) -> str | None:
        """What is kept under a name; ``None``: nothing."""

    @abstractmethod
    def keep(self, name: str, value: str, was: str | None, change: Change = NOTHING) -> bool:
        """Keep ``value`` under a name and change the record, in one transaction. ``False``, and nothing has changed, when what
        was kept is not ``was``: somebody else has gone on meanwhile.
        """

    @abstractmethod
    def take_turn(self, name: str, wait: float) -> bool:
        """Whether the caller may do what is to be done under a name: yes to one, and to the next after ``wait`` seconds."""

    # What was told -------------------------------------------------------------------------------------------------

    @abstractmethod
    def told(self, ids: Collection[str]) -> list[Told]:
        """What was told of those whose user, login method or own id is one of these."""

    @abstractmethod
    def told_after(self, recipe_user_id: str, limit: int) -> list[Told]:
        """The next so many, by the id of the login method."""

    @abstractmethod
    def holders(self, tenant_id: str, role: str) -> set[str]:
        """Who was told to have a role in a tenant."""

    @abstractmethod
    def grants(self) -> set[tuple[str, str]]:
        """Each tenant and role of which something was told; with an empty text instead of one: that it exists."""

    # What is in the outbox -----------------------------------------------------------------------------------------

    @abstractmethod
    def stretch(self, after: int, limit: int, event_types: Collection[str]) -> Stretch:
        """The events of these types among the next ``limit`` sequences."""

    @abstractmethod
    def complete_since(self) -> tuple[int, float] | None:
        """The sequence from which on no event is missing, and when it was stored; ``None``: there are no events."""

    @abstractmethod
    def had(self, sink: str, event_types: Collection[str], user_ids: Collection[str]) -> list[StoredEvent]:
        """The events of these types and users that a sink has, that wait for it, or that it has refused."""
