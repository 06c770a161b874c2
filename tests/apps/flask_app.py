"""A Flask app with SuperTokens' middleware and three routes of its own."""

from __future__ import annotations

from typing import Any

from flask import Flask, g, jsonify
from supertokens_python.framework.flask import Middleware
from supertokens_python.recipe.session.framework.flask import verify_session
from supertokens_python.recipe.session.syncio import revoke_all_sessions_for_user

from apps.inside import what_is_left


def make_app() -> Any:
    app = Flask(__name__)
    Middleware(app)

    @app.get("/app/left")
    def left() -> Any:
        return jsonify(what_is_left())

    @app.post("/app/ban/<user_id>")
    def ban(user_id: str) -> Any:
        return jsonify(revoke_all_sessions_for_user(user_id))

    @app.get("/app/me")
    @verify_session()
    def me() -> Any:
        return jsonify({"user_id": g.supertokens.get_user_id()})

    return app
