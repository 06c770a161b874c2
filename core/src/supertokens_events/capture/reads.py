"""The few reads of the core that capture makes around a call: for facts that destroy their own evidence, and where the
SDK reads the same anyway. It caches by arguments and ``user_context``, so these ask exactly as it does.
"""

from __future__ import annotations

import re
from typing import Any

from supertokens_events.capture.scope import SessionFacts

__all__ = [
    "dashboard_admin",
    "dashboard_has_api_key",
    "is_email_verified",
    "oauth_client",
    "passwordless_device",
    "passwordless_flow",
    "saml_clients",
    "session",
    "user",
    "users_by_contact",
    "users_by_third_party",
]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


async def user(user_id: str, user_context: dict[str, Any]) -> Any:
    """The SDK's ``User`` with this id, or ``None``."""
    from supertokens_python.asyncio import get_user

    return await get_user(user_id, user_context)


async def users_by_third_party(
    tenant_id: str, third_party_id: str, third_party_user_id: str, user_context: dict[str, Any]
) -> list[Any]:
    """The SDK's ``User`` objects with this third-party account, asked for as ``manually_create_or_update_user`` does."""
    from supertokens_python.recipe.thirdparty.types import ThirdPartyInfo

    third_party = ThirdPartyInfo(third_party_user_id, third_party_id)
    return await _users(tenant_id, user_context, union=False, third_party=third_party)


async def users_by_contact(
    tenant_id: str, email: str | None, phone_number: str | None, user_context: dict[str, Any]
) -> list[Any]:
    """The SDK's ``User`` objects with this e-mail or phone number, asked for as ``consume_code_post`` does."""
    return await _users(tenant_id, user_context, union=True, email=email, phone_number=phone_number)


async def session(session_handle: str, user_context: dict[str, Any]) -> SessionFacts | None:
    """The ids of a session, or ``None`` when it is gone."""
    from supertokens_python.recipe.session.asyncio import get_session_information

    found = await get_session_information(session_handle, user_context)
    if found is None:
        return None
    return SessionFacts(session_handle, found.user_id, found.recipe_user_id.get_as_string(), found.tenant_id)


async def is_email_verified(recipe_user_id: str, email: str, user_context: dict[str, Any]) -> bool:
    """Whether this address of this user is verified."""
    from supertokens_python.recipe.emailverification.asyncio import is_email_verified as ask
    from supertokens_python.types import RecipeUserId

    return bool(await ask(RecipeUserId(recipe_user_id), email, user_context))


async def passwordless_flow(tenant_id: str, pre_auth_session_id: str, user_context: dict[str, Any]) -> Any:
    """The SDK's ``DeviceType``, which says whom a passwordless sign-in is for, or ``None`` when it is over."""
    from supertokens_python.recipe.passwordless.asyncio import list_codes_by_pre_auth_session_id

    return await list_codes_by_pre_auth_session_id(tenant_id, pre_auth_session_id, user_context)


async def passwordless_device(tenant_id: str, device_id: str, user_context: dict[str, Any]) -> Any:
    """The same by the device."""
    from supertokens_python.recipe.passwordless.asyncio import list_codes_by_device_id

    return await list_codes_by_device_id(tenant_id, device_id, user_context)


async def oauth_client(client_id: str, user_context: dict[str, Any]) -> Any:
    """The SDK's ``OAuth2Client`` with this id, or ``None``. Raises ``LookupError`` when the core says neither."""
    from supertokens_python.recipe.oauth2provider.asyncio import get_oauth2_client

    found = await get_oauth2_client(client_id, user_context)
    if hasattr(found, "client"):
        return found.client
    if found.error in {"Unable to locate the resource", "invalid_request"}:
        return None
    raise LookupError("the core did not say whether there is this OAuth2 client")


async def saml_clients(tenant_id: str, user_context: dict[str, Any]) -> set[str]:
    """The ids of a tenant's SAML clients."""
    from supertokens_python.recipe.saml.asyncio import list_clients

    return {client.client_id for client in (await list_clients(tenant_id, user_context)).clients}


async def _users(tenant_id: str, user_context: dict[str, Any], *, union: bool, **account_info: Any) -> list[Any]:
    from supertokens_python.asyncio import list_users_by_account_info

    return await list_users_by_account_info(tenant_id, _account_info()(**account_info), union, user_context)


async def dashboard_admin(authorization: str | None, user_context: dict[str, Any]) -> str | None:
    """The e-mail address of whoever has this session at the dashboard; ``None`` when nobody has, or it asks for a key.

    What an app of its own puts into that header stays in the app: a session's id is a UUID.
    """
    from supertokens_python.normalised_url_path import NormalisedURLPath
    from supertokens_python.querier import Querier

    session_id = (authorization or "").partition(" ")[2]
    if not _UUID.fullmatch(session_id) or dashboard_has_api_key():
        return None
    path = NormalisedURLPath("/recipe/dashboard/session/verify")
    answer = await Querier.get_instance().send_post_request(path, {"sessionId": session_id}, user_context)
    email = answer.get("email")
    return email if isinstance(email, str) else None


def dashboard_has_api_key() -> bool:
    """Whether the dashboard asks for a key, by which nobody is known, and not for an e-mail address and a password."""
    from supertokens_python.recipe.dashboard.recipe import DashboardRecipe

    return bool(DashboardRecipe.get_instance().config.api_key)


def _account_info() -> Any:
    try:
        from supertokens_python.types.base import AccountInfoInput
    except ImportError:  # before webauthn came, one class was both what is asked and what is answered
        from supertokens_python.types import AccountInfo

        return AccountInfo
    return AccountInfoInput
