"""The OpenAPI 3.1 document of the API, made from its operations and their models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from supertokens_events.server.operations import Operation
from supertokens_events.server.problems import Problem

__all__ = ["openapi_document"]

_REFERENCE = "#/components/schemas/{model}"
_ALWAYS = (401, 503)
_SAYS = {
    400: "The body is not JSON.",
    401: "No API key, or an unknown one.",
    404: "There is none of this name.",
    409: "It cannot be done as things are.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Something in the request is wrong; `errors` has a sentence for each problem.",
    503: "The outbox cannot be used now.",
}


def openapi_document(operations: Sequence[Operation], root: str = "") -> dict[str, Any]:
    """The document of these operations, below the path ``root``."""
    paths: dict[str, dict[str, Any]] = {}
    references, schemas = _schemas(operations)
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "supertokens-events",
            "version": _version(),
            "description": "Sinks, events and deliveries of one outbox.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": root or "/"}],
        "security": [{"apiKey": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "One of `[server] api_keys`."}
            },
        },
    }


_References = Mapping[Any, dict[str, Any]]  # by model and mode


def _schemas(operations: Iterable[Operation]) -> tuple[_References, dict[str, Any]]:
    models: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for operation in operations:
        models[operation.answer, "serialization"] = None
        if operation.body is not None:
            models[operation.body, "validation"] = None
    references, document = models_json_schema(list(models), ref_template=_REFERENCE)
    return references, document.get("$defs", {})


def _operation(operation: Operation, references: _References) -> dict[str, Any]:
    answer = references[operation.answer, "serialization"]
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation.query)],
        "responses": {
            str(operation.status): {
                "description": operation.summary,
                "content": {"application/json": {"schema": answer}},
            },
            **{str(status): _problem(status, references) for status in _statuses(operation)},
        },
    }
    if operation.body is not None:
        body = references[operation.body, "validation"]
        required = any(field.is_required() for field in operation.body.model_fields.values())
        described["requestBody"] = {"required": required, "content": {"application/json": {"schema": body}}}
    return described


def _statuses(operation: Operation) -> list[int]:
    of_body = (400, 413, 415, 422) if operation.body is not None else (422,) if operation.query is not None else ()
    return sorted({*_ALWAYS, *of_body, *operation.errors})


def _problem(status: int, references: _References) -> dict[str, Any]:
    schema = references[Problem, "serialization"]
    return {"description": _SAYS[status], "content": {"application/problem+json": {"schema": schema}}}


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(query: type[BaseModel] | None) -> Iterator[dict[str, Any]]:
    if query is None:
        return
    schema = query.model_json_schema()
    for name, field in schema["properties"].items():
        described = field.pop("description", None)
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": field,
            **({"description": described} if described else {}),
        }


@cache
def _version() -> str:
    try:
        return version("supertokens-events")
    except PackageNotFoundError:  # run from a checkout
        return "0"
