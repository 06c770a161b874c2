"""The management API: what an operator does with sinks, events and deliveries, over HTTP. Needs the extra ``server``.

``supertokens-events serve`` runs it in a process of its own; :func:`asgi_app` is the same to mount in an app's own Starlette or
FastAPI.
"""

from supertokens_events.server.app import asgi_app

__all__ = ["asgi_app"]
