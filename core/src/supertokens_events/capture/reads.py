"""The few reads of the core that capture makes before a call: for facts that destroy their own evidence."""

from __future__ import annotations

from typing import Any

from supertokens_events.capture.scope import SessionFacts

__all__ = ["session", "user"]


async def user(user_id: str, user_context: dict[str, Any]) -> Any:
    """The SDK's ``User`` with this id, or ``None``."""
    from supertokens_python.asyncio import get_user

    return await get_user(user_id, user_context)


async def session(session_handle: str, user_context: dict[str, Any]) -> SessionFacts | None:
    """The ids of a session, or ``None`` when it is gone."""
    from supertokens_python.recipe.session.asyncio import get_session_information

    found = await get_session_information(session_handle, user_context)
    if found is None:
        return None
    return SessionFacts(session_handle, found.user_id, found.recipe_user_id.get_as_string(), found.tenant_id)
