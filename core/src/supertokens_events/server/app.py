"""The API as an ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from supertokens_events.config import ConfigurationError
from supertokens_events.events import Events
from supertokens_events.server import looking, replaying, sinks
from supertokens_events.server.asking import read_body, read_path, read_query
from supertokens_events.server.keys import KeyGate
from supertokens_events.server.openapi import openapi_document
from supertokens_events.server.operations import Api, Call, Operation
from supertokens_events.server.problems import answer_to, problem_answer

__all__ = ["OPERATIONS", "asgi_app"]

OPERATIONS: tuple[Operation, ...] = (*sinks.OPERATIONS, *looking.OPERATIONS, *replaying.OPERATIONS)

_THREADS = 8  # requests that may wait for the outbox at once; the app's own threads stay the app's
_NEVER_KEPT = {"cache-control": "no-store"}

_Endpoint = Callable[[Request], Awaitable[Response]]


def asgi_app(events: Events) -> Starlette:
    """The management API of these ``events``, to run or to mount: ``app.mount("/events", asgi_app(events))``.

    Whoever shows one of ``[server] api_keys`` may do everything in it. Raises ``ConfigurationError`` when there is none.
    """
    if not events.configured.server.api_keys:
        raise ConfigurationError(
            f"{events.configured.file}: server.api_keys: the management API needs at least one key, such as "
            'api_keys = [{ env = "SUPERTOKENS_EVENTS_API_KEY" }] in [server]'
        )
    api, threads = Api(events), anyio.CapacityLimiter(_THREADS)
    routes = [
        Route(operation.path, _endpoint(api, operation, threads), methods=[operation.method], name=operation.name)
        for operation in OPERATIONS
    ]
    return Starlette(
        routes=[*routes, Route("/v1/openapi.json", _document, name="openapi")],
        middleware=[Middleware(KeyGate, keys=lambda: events.configured.server.api_keys)],
        exception_handlers={HTTPException: _not_here},
    )


def _endpoint(api: Api, operation: Operation, threads: anyio.CapacityLimiter) -> _Endpoint:
    async def answer(request: Request) -> Response:
        try:
            call = await _call(api, operation, request)
            made = await anyio.to_thread.run_sync(_run, api, operation, call, limiter=threads)
        except Exception as error:
            refusal = answer_to(error, f"{operation.method} {operation.path}")
            refusal.headers.update(_NEVER_KEPT)
            return refusal
        return Response(made, operation.status, _NEVER_KEPT, "application/json")

    return answer


async def _call(api: Api, operation: Operation, request: Request) -> Call:
    path = read_path(request)
    query = None if operation.query is None else read_query(request, operation.query, api.plugins)
    body = None if operation.body is None else await read_body(request, operation.body, api.plugins)
    return Call(path, query, body)


def _run(api: Api, operation: Operation, call: Call) -> str:
    api.events.follow()
    return operation.run(api, call).model_dump_json()


async def _document(request: Request) -> Response:
    return JSONResponse(openapi_document(OPERATIONS, request.scope.get("root_path", "")))


async def _not_here(request: Request, error: Exception) -> Response:
    """A path or a method that is not there."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        sentence = f"{request.method} is not for {request.url.path}"
    else:
        sentence = f"there is nothing at {request.url.path}; see /v1/openapi.json"
    return problem_answer(error.status_code, sentence, headers=error.headers)
