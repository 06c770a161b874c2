"""User metadata: one JSON object per user id, known or not."""

from __future__ import annotations

from core_double.state import State
from core_double.wire import OK, Json, Request, Routes


def read(core: State, req: Request) -> Json:
    """GET /recipe/user/metadata"""
    return {**OK, "metadata": dict(core.metadata.get(req.text("userId"), {}))}


def update(core: State, req: Request) -> Json:
    """PUT /recipe/user/metadata: a shallow merge, in which null takes a key away"""
    merged = {**core.metadata.get(req.text("userId"), {}), **req.object("metadataUpdate")}
    core.metadata[req.text("userId")] = {key: value for key, value in merged.items() if value is not None}
    return read(core, req)


def remove(core: State, req: Request) -> Json:
    """POST /recipe/user/metadata/remove"""
    core.metadata.pop(req.text("userId"), None)
    return OK


ROUTES: Routes = {
    ("GET", "/recipe/user/metadata"): read,
    ("PUT", "/recipe/user/metadata"): update,
    ("POST", "/recipe/user/metadata/remove"): remove,
}
