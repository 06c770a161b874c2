"""What happens in the SDK's ``Supertokens`` object itself, by no recipe: user id mappings."""

from __future__ import annotations

from supertokens_events.capture.recipe import Fact, Recipe, ok
from supertokens_events.catalog.mapping import (
    UserIdMappingCreated,
    UserIdMappingDeleted,
    UserIdMappingInfoChanged,
    UserIdType,
)

recipe = Recipe("supertokens")
recipe.ignore(
    "get_user_count", "get_user_id_mapping", "get_all_cors_headers", "get_request_from_user_context", because="a read"
)
recipe.ignore("init", "reset", "get_instance", "is_recipe_initialized", because="the SDK's own beginning and end")
recipe.ignore("middleware", "handle_supertokens_error", because="the request around everything else")


@recipe.method("create_user_id_mapping", ok("CreateUserIdMappingOkResult"))
def mapping_created(supertokens_user_id: str, external_user_id: str) -> Fact:
    data = UserIdMappingCreated(supertokens_user_id=supertokens_user_id, external_user_id=external_user_id)
    return Fact(data, user_id=supertokens_user_id)


@recipe.method("delete_user_id_mapping", ok("DeleteUserIdMappingOkResult"))
def mapping_deleted(user_id: str, user_id_type: str | None, did_mapping_exist: bool) -> Fact | None:
    return Fact(UserIdMappingDeleted(user_id_type=_type(user_id_type)), user_id=user_id) if did_mapping_exist else None


@recipe.method("update_or_delete_user_id_mapping_info", ok("UpdateOrDeleteUserIdMappingInfoOkResult"))
def mapping_info_changed(user_id: str, user_id_type: str | None, external_user_id_info: str | None) -> Fact:
    data = UserIdMappingInfoChanged(user_id_type=_type(user_id_type), removed=external_user_id_info is None)
    return Fact(data, user_id=user_id)


def _type(user_id_type: str | None) -> UserIdType:
    return UserIdType((user_id_type or UserIdType.ANY).lower())
