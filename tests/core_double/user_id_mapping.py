"""External user ids: another name for a user, shown in every answer."""

from __future__ import annotations

from core_double.state import IdMapping, State
from core_double.wire import OK, CoreError, Json, Request, Routes

UNKNOWN: Json = {"status": "UNKNOWN_MAPPING_ERROR"}
ID_TYPES = ("SUPERTOKENS", "EXTERNAL", "ANY")


def create(core: State, req: Request) -> Json:
    """POST /recipe/userid/map; refused while other recipes keep something under the old id, unless forced"""
    user_id, external_id = req.text("superTokensUserId").strip(), req.text("externalUserId").strip()
    info = req.nullable_text("externalUserIdInfo")
    if user_id not in core.user_of and user_id not in core.users:
        return {"status": "UNKNOWN_SUPERTOKENS_USER_ID_ERROR"}
    if not req.flag("force", False):
        if external_id in core.user_of:
            raise CoreError("Cannot create a userId mapping where the externalId is also a SuperTokens userID")
        _refuse_if_in_use(core, user_id)
    if user_id in core.mappings or external_id in core.internal_ids:
        return {
            "status": "USER_ID_MAPPING_ALREADY_EXISTS_ERROR",
            "doesSuperTokensUserIdExist": user_id in core.mappings,
            "doesExternalUserIdExist": external_id in core.internal_ids,
        }
    core.mappings[user_id] = IdMapping(external_id, info)
    core.internal_ids[external_id] = user_id
    return OK


def _refuse_if_in_use(core: State, user_id: str) -> None:
    users = {
        "Session": [session.user_id for session in core.sessions.values()],
        "UserRoles": [owner for (_, owner), held in core.user_roles.items() if held],
        "UserMetadata": core.metadata,
        "EmailVerification": [token.user_id for token in core.verification_tokens.values()],
        "Totp": [owner for owner, devices in core.totp_devices.items() if devices],
    }
    for recipe, owners in users.items():
        if user_id in owners:
            raise CoreError(f"UserId is already in use in {recipe} recipe")


def _find(core: State, req: Request) -> str | None:
    """The core's own id behind the mapping that is asked for."""
    user_id, id_type = req.text("userId"), req.maybe_text("userIdType") or "ANY"
    if id_type not in ID_TYPES:
        raise CoreError("Field name 'userIdType' should be one of 'SUPERTOKENS', 'EXTERNAL' or 'ANY'")
    if id_type != "EXTERNAL" and user_id in core.mappings:
        return user_id
    return core.internal_ids.get(user_id) if id_type != "SUPERTOKENS" else None


def read(core: State, req: Request) -> Json:
    """GET /recipe/userid/map"""
    user_id = _find(core, req)
    if user_id is None:
        return UNKNOWN
    mapping = core.mappings[user_id]
    answer: Json = {**OK, "superTokensUserId": user_id, "externalUserId": mapping.external_id}
    if mapping.info is not None:
        answer["externalUserIdInfo"] = mapping.info
    return answer


def remove(core: State, req: Request) -> Json:
    """POST /recipe/userid/map/remove"""
    user_id = _find(core, req)
    if user_id is None:
        return {**OK, "didMappingExist": False}
    mapping = core.mappings[user_id]
    if not req.flag("force", False):
        _refuse_if_in_use(core, mapping.external_id)
    del core.mappings[user_id], core.internal_ids[mapping.external_id]
    return {**OK, "didMappingExist": True}


def set_info(core: State, req: Request) -> Json:
    """PUT /recipe/userid/external-user-id-info, which the SDK sends as POST"""
    user_id = _find(core, req)
    if user_id is None:
        return UNKNOWN
    core.mappings[user_id].info = req.nullable_text("externalUserIdInfo")
    return OK


ROUTES: Routes = {
    ("POST", "/recipe/userid/map"): create,
    ("GET", "/recipe/userid/map"): read,
    ("POST", "/recipe/userid/map/remove"): remove,
    ("POST", "/recipe/userid/external-user-id-info"): set_info,
    ("PUT", "/recipe/userid/external-user-id-info"): set_info,
}
