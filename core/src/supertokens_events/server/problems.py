"""What is wrong with a request, as a JSON problem (RFC 9457): sentences for a person, never a traceback."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse

from supertokens_events.config import ConfigurationError
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import OutboxError
from supertokens_events.stored.sinks import NoSuchSink, SinkConflict

__all__ = ["Problem", "Refused", "answer_to", "problem_answer"]

log = get_logger(__name__)

_MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong (RFC 9457). ``errors`` are all the problems that were found, a sentence each."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[str] = []


class Refused(Exception):
    """A request that is not carried out, with its status and one sentence for each problem."""

    def __init__(self, status: int, *sentences: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, *sentences)
        self.status = status
        self.sentences = sentences
        self.headers = headers


def problem_answer(status: int, *sentences: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer that says so."""
    title = HTTPStatus(status).phrase
    problem = Problem(title=title, status=status, detail="; ".join(sentences) or title, errors=list(sentences))
    return JSONResponse(problem.model_dump(), status, headers, media_type=_MEDIA_TYPE)


def answer_to(error: Exception, request: str) -> JSONResponse:
    """The answer to whatever a request has led to. ``request`` is named in the log, where it is a bug of ours."""
    status, sentences = _meaning(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("A request failed.", request=request, error=describe_exception(error))
    return problem_answer(status, *sentences, headers=error.headers if isinstance(error, Refused) else None)


def _meaning(error: Exception) -> tuple[int, Sequence[Any]]:
    match error:
        case Refused():
            return error.status, error.sentences
        case ConfigurationError():
            return 422, error.problems
        case NoSuchSink():
            return 404, error.args
        case SinkConflict():
            return 409, error.args
        case OutboxError():
            return 503, error.args
        case _:
            return 500, ["that is a bug in supertokens-events or in a plugin; the log has more"]
