"""Roles: what they permit, and who has them."""

from __future__ import annotations

from collections.abc import Sequence

from supertokens_events.catalog.base import EventData

__all__ = [
    "RoleAssigned",
    "RoleCreated",
    "RoleDeleted",
    "RolePermissionsAdded",
    "RolePermissionsRemoved",
    "RoleUnassigned",
]

_ROLE = {"role": "editor"}
_PERMISSIONS = {**_ROLE, "permissions": ["articles:write"]}


class RoleCreated(EventData):
    """A role exists that did not exist before. Source: ``userroles.create_new_role_or_add_permissions``."""

    event_type = "role.created"
    example = _PERMISSIONS

    role: str
    permissions: Sequence[str]


class RolePermissionsAdded(EventData):
    """A role permits this from now on; some or all of it, it may have permitted already.

    Source: ``userroles.create_new_role_or_add_permissions`` for a role that exists.
    """

    event_type = "role.permissions.added"
    example = _PERMISSIONS

    role: str
    permissions: Sequence[str]


class RolePermissionsRemoved(EventData):
    """A role no longer permits this, if it did. Source: ``userroles.remove_permissions_from_role``."""

    event_type = "role.permissions.removed"
    example = _PERMISSIONS

    role: str
    permissions: Sequence[str]


class RoleDeleted(EventData):
    """A role is gone, and nobody has it any more. Source: ``userroles.delete_role``.

    No ``role.unassigned`` says who had it.
    """

    event_type = "role.deleted"
    example = _ROLE

    role: str


class RoleAssigned(EventData):
    """A user has a role, in one tenant. Source: ``userroles.add_role_to_user``."""

    event_type = "role.assigned"
    example = _ROLE

    role: str


class RoleUnassigned(EventData):
    """A user no longer has a role, in one tenant. Source: ``userroles.remove_user_role``."""

    event_type = "role.unassigned"
    example = _ROLE

    role: str
