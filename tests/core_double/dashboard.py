"""Who may use the dashboard. The dashboard's users are not the app's users."""

from __future__ import annotations

from core_double.state import State
from core_double.users import hash_password, normalise_email
from core_double.wire import OK, Json, Request, Routes


def create_user(core: State, req: Request) -> Json:
    """POST /recipe/dashboard/user"""
    email = normalise_email(req.text("email"))
    if email in core.dashboard_users:
        return {"status": "EMAIL_ALREADY_EXISTS_ERROR"}
    core.dashboard_users[email] = hash_password(req.text("password"))
    return {**OK, "user": {"email": email, "userId": core.secrets.uuid(), "timeJoined": core.now()}}


def sign_in(core: State, req: Request) -> Json:
    """POST /recipe/dashboard/signin"""
    email = normalise_email(req.text("email"))
    if core.dashboard_users.get(email) != hash_password(req.text("password")):
        return {"status": "INVALID_CREDENTIALS_ERROR"}
    session_id = core.secrets.uuid()
    core.dashboard_sessions[session_id] = email
    return {**OK, "sessionId": session_id}


def verify_session(core: State, req: Request) -> Json:
    """POST /recipe/dashboard/session/verify"""
    email = core.dashboard_sessions.get(req.text("sessionId"))
    return {**OK, "email": email} if email else {"status": "INVALID_SESSION_ERROR"}


def sign_out(core: State, req: Request) -> Json:
    """DELETE /recipe/dashboard/session"""
    core.dashboard_sessions.pop(req.text("sessionId"), None)
    return OK


def core_config(core: State, req: Request) -> Json:
    """GET T/recipe/dashboard/tenant/core-config: the double has nothing to configure"""
    return {**OK, "config": []}


ROUTES: Routes = {
    ("POST", "/recipe/dashboard/user"): create_user,
    ("POST", "/recipe/dashboard/signin"): sign_in,
    ("POST", "/recipe/dashboard/session/verify"): verify_session,
    ("DELETE", "/recipe/dashboard/session"): sign_out,
    ("GET", "/recipe/dashboard/tenant/core-config"): core_config,
}
