"""What the core says about itself."""

from __future__ import annotations

from core_double import keys
from core_double.state import State
from core_double.wire import OK, CoreError, Json, Request, Routes

CDI_VERSIONS = ["5.1", "5.2", "5.3", "5.4"]


def api_version(core: State, req: Request) -> Json:
    """GET /apiversion"""
    return {"versions": list(CDI_VERSIONS)}


def jwks(core: State, req: Request) -> Json:
    """GET /.well-known/jwks.json"""
    return keys.jwks()


def create_jwt(core: State, req: Request) -> Json:
    """POST /recipe/jwt"""
    if req.text("algorithm") != "RS256":
        return {"status": "UNSUPPORTED_ALGORITHM_ERROR"}
    validity = req.number("validity")
    if validity <= 0:
        raise CoreError("validity must be greater than or equal to 0")
    now = core.now() // 1000
    payload = {"iss": req.text("jwksDomain"), **req.object("payload"), "iat": now, "exp": now + validity}
    return {**OK, "jwt": keys.sign(payload, dynamic=not req.flag("useStaticSigningKey", True))}


def telemetry(core: State, req: Request) -> Json:
    """GET /telemetry"""
    return {**OK, "exists": False}


ROUTES: Routes = {
    ("GET", "/apiversion"): api_version,
    ("GET", "/.well-known/jwks.json"): jwks,
    ("POST", "/recipe/jwt"): create_jwt,
    ("GET", "/telemetry"): telemetry,
}
