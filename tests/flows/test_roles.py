"""Roles and metadata: exactly the events that are so. One row is one flow; to add a flow, add a row."""

from __future__ import annotations

from typing import Any

import pytest

from flows.harness import BACKEND, Flow, Step, World, rows
from flows.recipes import emailpassword, sessions, userroles

USER = "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1"
ROLES = [userroles(), sessions()]
METADATA = [emailpassword(), sessions()]
SECRET = "what-nobody-may-know"


def save(*permissions: str, role: str = "editor") -> Step:
    return lambda w: w.backend.userroles.create_new_role_or_add_permissions(role, list(permissions))


def give(role: str = "editor") -> Step:
    return lambda w: w.backend.userroles.add_role_to_user("public", USER, role)


def take(role: str = "editor") -> Step:
    return lambda w: w.backend.userroles.remove_user_role("public", USER, role)


def forbid(*permissions: str, role: str = "editor") -> Step:
    return lambda w: w.backend.userroles.remove_permissions_from_role(role, list(permissions))


def delete(role: str = "editor") -> Step:
    return lambda w: w.backend.userroles.delete_role(role)


def read_roles(w: World) -> None:
    roles = w.backend.userroles
    roles.get_roles_for_user("public", USER)
    roles.get_users_that_have_role("public", "editor")
    roles.get_permissions_for_role("editor")
    roles.get_roles_that_have_permission("write")
    roles.get_all_roles()


def note(**values: Any) -> Step:
    def step(w: World) -> None:
        w.secrets.add(SECRET)
        w.backend.usermetadata.update_user_metadata(USER, values)

    return step


def forget(w: World) -> None:
    w.backend.usermetadata.clear_user_metadata(USER)


FLOWS = [
    Flow("UR.create_new_role_or_add_permissions (new)", BACKEND, ROLES, [], save("read"), "role.created"),
    Flow(
        "UR.create_new_role_or_add_permissions (existing)",
        BACKEND,
        ROLES,
        [save()],
        save("read"),
        "role.permissions.added",
    ),
    Flow("UR.create_new_role_or_add_permissions (existing, no permission)", BACKEND, ROLES, [save("read")], save(), ""),
    Flow("UR.add_role_to_user", BACKEND, ROLES, [save()], give(), "role.assigned"),
    Flow("UR.add_role_to_user again", BACKEND, ROLES, [save(), give()], give(), ""),
    Flow("UR.add_role_to_user unknown role", BACKEND, ROLES, [], give(), ""),
    Flow("UR.remove_user_role", BACKEND, ROLES, [save(), give()], take(), "role.unassigned"),
    Flow("UR.remove_user_role again", BACKEND, ROLES, [save(), give(), take()], take(), ""),
    Flow("UR.remove_user_role unknown role", BACKEND, ROLES, [], take(), ""),
    Flow("UR.remove_permissions_from_role", BACKEND, ROLES, [save("read")], forbid("read"), "role.permissions.removed"),
    Flow("UR.remove_permissions_from_role: none", BACKEND, ROLES, [save("read")], forbid(), ""),
    Flow("UR.remove_permissions_from_role unknown role", BACKEND, ROLES, [], forbid("read"), ""),
    Flow("UR.delete_role", BACKEND, ROLES, [save(), give()], delete(), "role.deleted"),
    Flow("UR.delete_role again", BACKEND, ROLES, [save(), delete()], delete(), ""),
    Flow("UR reads", BACKEND, ROLES, [save("read"), give()], read_roles, ""),
    Flow("UM.update_user_metadata", BACKEND, METADATA, [], note(plan=SECRET), "user.metadata.updated"),
    Flow("UM.clear_user_metadata", BACKEND, METADATA, [note(plan=SECRET)], forget, "user.metadata.cleared"),
    Flow("UM.get_user_metadata", BACKEND, METADATA, [], lambda w: w.backend.usermetadata.get_user_metadata(USER), ""),
]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}


def test_what_is_said_of_a_role(world):
    """Who has a role is said in a tenant; what a role permits, in none."""
    w = world(ROLES)
    for step in (save("read", "write"), save("publish"), give(), forbid("write"), take(), delete()):
        step(w)

    assert [(event.user_id, event.tenant_id, event.data) for event in w.told()] == [
        (None, None, {"role": "editor", "permissions": ["read", "write"]}),
        (None, None, {"role": "editor", "permissions": ["publish"]}),
        (USER, "public", {"role": "editor"}),
        (None, None, {"role": "editor", "permissions": ["write"]}),
        (USER, "public", {"role": "editor"}),
        (None, None, {"role": "editor"}),
    ]
    assert {event.actor.type for event in w.told()} == {"system"}


def test_metadata_by_key_only(world):
    """The keys that were set, and those that were taken away; no value."""
    w = world(METADATA)
    note(plan=SECRET, address={"city": SECRET}, trial=None)(w)

    (updated,) = w.told()
    assert (updated.user_id, updated.data) == (USER, {"keys": ["plan", "address"], "removed_keys": ["trial"]})
    assert w.leaked() == set()
