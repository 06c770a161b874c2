"""What a request asks for: its query and its body, read within limits and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from supertokens_events.config import Reader
from supertokens_events.plugins import Plugins
from supertokens_events.server.problems import Refused

__all__ = ["LARGEST_BODY", "Asked", "read_body", "read_path", "read_query"]

LARGEST_BODY = 256 * 1024  # bytes

_NUL = "holds a NUL, which no store can keep"

AskedT = TypeVar("AskedT", bound=BaseModel)


class Asked(BaseModel):
    """A query or a body: an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def read_path(request: Request) -> Mapping[str, str]:
    """The names in the path. Raises :class:`Refused`."""
    if any("\0" in value for value in request.path_params.values()):
        raise Refused(404, f"request: path: {_NUL}")
    return request.path_params


def read_query(request: Request, model: type[AskedT], plugins: Plugins) -> AskedT:
    """The query as a ``model``. Raises :class:`Refused`."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in given:
            raise Refused(422, f"request: query.{name}: is given twice")
        if "\0" in value:
            raise Refused(422, f"request: query.{name}: {_NUL}")
        given[name] = value
    return _checked(model, given, "query", plugins)


async def read_body(request: Request, model: type[AskedT], plugins: Plugins) -> AskedT:
    """The JSON body as a ``model``; without one, as if it was ``{}``. Raises :class:`Refused`."""
    body = await _bytes(request)
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if body and kind != "application/json":
        raise Refused(415, f"request: body: expected 'application/json', got {kind!r}")
    if b"\\u0000" in body:  # the only way to write it in JSON
        raise Refused(422, f"request: body: {_NUL}")
    try:
        document = from_json(body or b"{}", allow_inf_nan=False)
    except ValueError as error:
        raise Refused(400, f"request: body: is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Refused(422, "request: body: expected an object")
    return _checked(model, document, "body", plugins)


async def _bytes(request: Request) -> bytes:
    parts = bytearray()
    try:
        async for part in request.stream():
            parts += part
            if len(parts) > LARGEST_BODY:
                raise Refused(
                    413, f"request: body: is larger than {LARGEST_BODY:,} bytes", headers={"connection": "close"}
                )
    except ClientDisconnect:
        raise Refused(400, "request: body: ended in the middle") from None
    return bytes(parts)


def _checked(model: type[AskedT], given: dict[str, Any], key: str, plugins: Plugins) -> AskedT:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise Refused(422, *_sentences(error, model, key, plugins)) from None


def _sentences(error: ValidationError, model: type[BaseModel], key: str, plugins: Plugins) -> Iterator[str]:
    """As those about a configuration."""
    reader = Reader("request", Path(), plugins, {})
    for detail in error.errors(include_url=False, include_input=False):
        reader.validation_problem(key, model, detail, ())
    yield from reader.problems
