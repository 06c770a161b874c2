"""What a handler is given and what it may answer: a parsed CDI request, a JSON object, or a ``CoreError``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from core_double.state import State

Json: TypeAlias = dict[str, Any]
Handler: TypeAlias = "Callable[[State, Request], Json]"
Routes: TypeAlias = "dict[tuple[str, str], Handler]"

OK: Json = {"status": "OK"}


class CoreError(Exception):
    """The core's answer to a request it does not accept: an HTTP status and one line of plain text."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One CDI request. Fields come from the body of a POST or PUT and from the query of a GET or DELETE."""

    method: str
    path: str
    tenant: str
    query: Mapping[str, str]
    body: Mapping[str, Any]
    rid: str = ""
    cdi: tuple[int, int] = (5, 4)

    @property
    def fields(self) -> Mapping[str, Any]:
        return self.body if self.method in ("POST", "PUT") else self.query

    def has(self, name: str) -> bool:
        return name in self.fields

    def text(self, name: str) -> str:
        """A required string; 400 when it is missing or no string."""
        value = self.fields.get(name)
        if isinstance(value, str):
            return value
        raise self._refusal(name)

    def maybe_text(self, name: str) -> str | None:
        """A string that may be left out; an explicit ``null`` is refused, as the core does."""
        return self.text(name) if self.has(name) else None

    def nullable_text(self, name: str) -> str | None:
        """A string that may be left out or ``null``."""
        return None if self.fields.get(name) is None else self.text(name)

    def flag(self, name: str, default: bool | None = None) -> bool:
        value = self.fields.get(name, default)
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.lower())
        if isinstance(value, bool):
            return value
        raise self._refusal(name)

    def number(self, name: str, default: int | None = None) -> int:
        value = self.fields.get(name, default)
        if isinstance(value, str) and value.lstrip("-").isdigit():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise self._refusal(name)

    def object(self, name: str) -> Json:
        value = self.fields.get(name)
        if isinstance(value, dict):
            return cast("Json", value)
        raise self._refusal(name)

    def texts(self, name: str) -> list[str]:
        """A required list of strings."""
        value = self.fields.get(name)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        raise self._refusal(name)

    def _refusal(self, name: str) -> CoreError:
        if self.method in ("POST", "PUT"):
            return CoreError(f"Field name '{name}' is invalid in JSON input")
        return CoreError(f"Field name '{name}' is missing in {self.method} request")
