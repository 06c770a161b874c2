"""A FastAPI app with SuperTokens' middleware and three routes of its own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI
from supertokens_python.framework.fastapi import get_middleware
from supertokens_python.recipe.session import SessionContainer
from supertokens_python.recipe.session.asyncio import revoke_all_sessions_for_user
from supertokens_python.recipe.session.framework.fastapi import verify_session

from apps.inside import what_is_left


def make_app() -> Any:
    app = FastAPI()
    app.add_middleware(get_middleware())

    @app.get("/app/left")
    async def left() -> Any:
        return what_is_left()

    @app.post("/app/ban/{user_id}")
    async def ban(user_id: str) -> Any:
        return await revoke_all_sessions_for_user(user_id)

    @app.get("/app/me")
    async def me(session: Annotated[SessionContainer, Depends(verify_session())]) -> Any:
        return {"user_id": session.get_user_id()}

    return app
