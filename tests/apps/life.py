"""What an app looks like that a server of its own loads: Flask with SuperTokens, a configuration in the working directory.

``LIFE_CORE`` is the core's URL. ``LIFE_AT_IMPORT`` is what the module does besides making the app, before any worker is there:
``start`` the dispatcher, or ``emit`` an event.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Response, jsonify

from apps import sdk
from apps.flask_app import make_app
from supertokens_events import Events

events = Events.from_toml()
sdk.start(os.environ["LIFE_CORE"], sdk.recipes(sdk.Mailbox()), events, framework="flask", mode="wsgi")
app: Any = make_app()


@app.after_request
def _say_who_answered(response: Response) -> Response:
    response.headers["x-pid"] = str(os.getpid())
    return response


@app.get("/ready")
def ready() -> Any:
    return jsonify(os.getpid())


match os.environ.get("LIFE_AT_IMPORT"):
    case "start":
        events.start()
    case "emit":
        events.emit_sync("app.loaded")
