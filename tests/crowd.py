"""Users who are in a core already: put into its memory, as quick as there may be many of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from core_double import CoreDouble
from core_double.state import LoginMethod, Tenant
from core_double.users import add_user

FIRST = 1_700_000_000_000  # milliseconds since the epoch: when the first of them joined
STEP = 60_000  # milliseconds from one to the next

__all__ = ["FIRST", "STEP", "crowd", "id_of", "join", "joined", "linked"]


def id_of(number: int) -> str:
    """The id of one of them."""
    return str(UUID(int=number * 0x9E3779B97F4A7C15 % 2**128))


def joined(number: int) -> float:
    """When one of them joined, in seconds since the epoch."""
    return (FIRST + number * STEP) / 1000


def join(core: CoreDouble, number: int, **fields: Any) -> str:
    """One joins, with an e-mail address and a password unless it is said otherwise."""
    state = core._state
    sample = {"recipe_id": "emailpassword", "tenant_ids": ["public"], "email": f"user{number}@example.com"}
    method = LoginMethod(id=id_of(number), time_joined=FIRST + number * STEP, **{**sample, **fields})
    for tenant in method.tenant_ids:
        state.tenants.setdefault(tenant, Tenant(tenant))
    add_user(state, method)
    return method.id


def linked(core: CoreDouble, number: int, primary: int) -> None:
    """One becomes part of another."""
    state = core._state
    user, member = state.users[id_of(primary)], state.users.pop(id_of(number))
    user.is_primary = True
    user.methods += member.methods
    state.user_of[member.id] = user


@contextmanager
def crowd(size: int, port: int = 0) -> Iterator[CoreDouble]:
    """A core in which so many have joined, one a minute."""
    with CoreDouble(port) as core:
        for number in range(size):
            join(core, number)
        yield core
