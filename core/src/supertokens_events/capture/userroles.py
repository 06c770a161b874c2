"""What happens in the recipe ``userroles``."""

from __future__ import annotations

from supertokens_events.capture.recipe import Fact, Recipe, ok
from supertokens_events.catalog.role import (
    RoleAssigned,
    RoleCreated,
    RoleDeleted,
    RolePermissionsAdded,
    RolePermissionsRemoved,
    RoleUnassigned,
)

recipe = Recipe("userroles")
recipe.ignore(
    "get_roles_for_user",
    "get_users_that_have_role",
    "get_permissions_for_role",
    "get_roles_that_have_permission",
    "get_all_roles",
    because="a read",
)


@recipe.function("create_new_role_or_add_permissions", ok("CreateNewRoleOrAddPermissionsOkResult"))
def role_created(role: str, permissions: list[str], created_new_role: bool) -> Fact | None:
    if created_new_role:
        return Fact(RoleCreated(role=role, permissions=permissions))
    return Fact(RolePermissionsAdded(role=role, permissions=permissions)) if permissions else None


@recipe.function("remove_permissions_from_role", ok("RemovePermissionsFromRoleOkResult"))
def permissions_removed(role: str, permissions: list[str]) -> Fact | None:
    return Fact(RolePermissionsRemoved(role=role, permissions=permissions)) if permissions else None


@recipe.function("delete_role", ok("DeleteRoleOkResult"))
def role_deleted(role: str, did_role_exist: bool) -> Fact | None:
    return Fact(RoleDeleted(role=role)) if did_role_exist else None


@recipe.function("add_role_to_user", ok("AddRoleToUserOkResult"))
def role_assigned(user_id: str, role: str, tenant_id: str, did_user_already_have_role: bool) -> Fact | None:
    return None if did_user_already_have_role else Fact(RoleAssigned(role=role), user_id=user_id, tenant_id=tenant_id)


@recipe.function("remove_user_role", ok("RemoveUserRoleOkResult"))
def role_unassigned(user_id: str, role: str, tenant_id: str, did_user_have_role: bool) -> Fact | None:
    return Fact(RoleUnassigned(role=role), user_id=user_id, tenant_id=tenant_id) if did_user_have_role else None
