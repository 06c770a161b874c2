"""Who is gone, as the events that were never told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from supertokens_events.catalog.user import DeletionExtent, LoginMethod, Method, UserDeleted
from supertokens_events.core_api import Fact
from supertokens_events.outbox import Change, Grant, Records, Told
from supertokens_events.reconcile.difference import Difference

__all__ = ["deletions"]

_METHODS = frozenset(Method)


def deletions(records: Records, gone: Sequence[Told], since: float) -> Iterator[Difference]:
    """That these are gone: whole users, and login methods that others outlive. Whoever joined at an unknown time did so at
    ``since``, in seconds since the epoch.
    """
    users: dict[str, list[Told]] = {}
    for row in gone:
        users.setdefault(row.user_id or row.recipe_user_id, []).append(row)
    for user_id, rows in users.items():
        told = {row.recipe_user_id for row in records.told({user_id}) if row.user_id == user_id}
        left = len(told - {row.recipe_user_id for row in rows})
        for some in [[row] for row in rows] if left else [rows]:
            yield _deletion(user_id, some, left, int(since * 1000))


def _method(name: str | None) -> Method:
    return Method(name) if name in _METHODS else Method.OTHER


def _deletion(user_id: str, rows: Sequence[Told], left: int, since: int) -> Difference:
    methods = [
        LoginMethod(
            method=_method(row.facts.get("method")),
            recipe_user_id=row.recipe_user_id,
            tenant_ids=row.facts.get("tenants", []),
        )
        for row in rows
    ]
    tenants = sorted({tenant for row in rows for tenant in row.facts.get("tenants", [])})
    data = UserDeleted(
        extent=DeletionExtent.LOGIN_METHOD if left else DeletionExtent.USER,
        recipe_user_id=rows[0].recipe_user_id if left else None,
        login_methods=methods,
        remaining_login_methods=left,
        tenant_ids=tenants,
    )
    joined = min(int(row.facts.get("joined") or since) for row in rows)
    tenant_id = tenants[0] if len(tenants) == 1 else None
    ids = [row.recipe_user_id for row in rows]
    revoked = [(False, Grant(None, None, id_)) for id_ in {user_id, *ids} if not left or id_ != user_id]
    at = max(int(row.facts.get("at", 0)) for row in rows)
    return Difference(Fact(data, user_id, tenant_id, joined), at, Change(gone=ids, grants=revoked))
