"""Field conditions: what must hold of an event's fields for a sink to want it. ``where`` in a sink's TOML table.

A condition is compiled once into a test. Testing an event never raises: a value of another type than the one asked for
does not match, whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from supertokens_events.event import Actor, Event
from supertokens_events.subscription.operators import OPERATORS, Test, any_of
from supertokens_events.suggest import nearest

__all__ = ["OBJECTS", "ConditionError", "Conditions"]

Problem = Callable[[str, str], None]

_FIELDS = [name for name in Event.model_fields if name != "sequence"]  # what is stored: the sequence comes at commit

OBJECTS = {"actor": list(Actor.model_fields), "context": None, "data": None}
"""The fields of an event that have fields, and which those are; ``None``: any."""


class ConditionError(ValueError):
    """What is wrong with a table of conditions: each key with a sentence."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {sentence}" for key, sentence in problems))
        self.problems = problems


@dataclass(frozen=True)
class _Condition:
    """One key. ``value`` tests single values, of which one must pass; ``refused`` is what none of them may pass."""

    path: tuple[str, ...]
    wanted: Any
    value: Test | None
    refused: Test | None
    exists: bool | None

    def holds(self, document: Mapping[str, Any]) -> bool:
        found = list(_found(document, self.path))
        if self.exists is not None and self.exists is not bool(found):
            return False
        values = [single for value in found for single in _singles(value)]
        if self.value is not None and not any(map(self.value, values)):
            return False
        return self.refused is None or not any(map(self.refused, values))


class Conditions:
    """Conditions that must all hold. ``table`` is as in TOML: paths, and for each a value, a list or a table of operators.

    Raises :class:`ConditionError` with everything that is wrong in it.
    """

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = dict(table)
        problems: list[tuple[str, str]] = []
        noted: Problem = lambda key, sentence: problems.append((key, sentence))  # noqa: E731
        compiled = [_compiled(path, wanted, noted) for path, wanted in _paths(table, noted)]
        if problems:
            raise ConditionError(problems)
        self._conditions = [condition for condition in compiled if condition is not None]

    def hold(self, document: Mapping[str, Any]) -> bool:
        """Whether they hold for an event, given as the JSON that is stored."""
        return all(condition.holds(document) for condition in self._conditions)

    def failing(self, document: Mapping[str, Any]) -> list[tuple[str, Any, list[Any]]]:
        """Those that do not hold: the path, what is wanted there, and what is there."""
        return [
            (".".join(condition.path), condition.wanted, list(_found(document, condition.path)))
            for condition in self._conditions
            if not condition.holds(document)
        ]

    def __repr__(self) -> str:
        return f"Conditions({self.table!r})"


# Compiling -------------------------------------------------------------------------------------------------------------


def _paths(table: Mapping[str, Any], problem: Problem) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each path with what is wanted there. ``actor.type`` without quotes is a table in TOML: it is taken apart."""
    for key, wanted in table.items():
        path = tuple(str(key).split("."))
        inner = isinstance(wanted, Mapping) and len(path) == 1 and path[0] in OBJECTS
        for leaf, value in _inner(path[0], wanted) if inner else [(path, wanted)]:
            if sentence := _misplaced(leaf):
                problem(".".join(leaf), sentence)
            else:
                yield leaf, value


def _inner(name: str, table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, wanted in table.items():
        yield (name, *str(key).split(".")), wanted


def _misplaced(path: tuple[str, ...]) -> str | None:
    """What is wrong with a path, or ``None``."""
    first, *rest = path
    if first not in _FIELDS:
        return f"an event has no field {first!r}{nearest(first, _FIELDS)}; its fields: {', '.join(_FIELDS)}"
    if "" in rest:
        return "a path is names with '.' between them, such as 'data.provider'"
    if first not in OBJECTS:
        return f"{first!r} is a plain value and has no fields" if rest else None
    if not rest:
        return f"{first!r} has fields: name one, such as '{first}.{_example(first)}'"
    known = OBJECTS[first]
    if known is not None and (len(rest) > 1 or rest[0] not in known):
        return f"{first!r} has no field {'.'.join(rest)!r}{nearest(rest[0], known)}; its fields: {', '.join(known)}"
    return None


def _example(name: str) -> str:
    return {"actor": "type", "context": "ip"}.get(name, "provider")


def _compiled(path: tuple[str, ...], wanted: Any, problem: Problem) -> _Condition | None:
    key = ".".join(path)
    if isinstance(wanted, Mapping):
        return _from_operators(path, wanted, problem)
    try:
        return _Condition(path, wanted, any_of(wanted if isinstance(wanted, list) else [wanted]), None, None)
    except ValueError as error:
        problem(key, str(error))
        return None


def _from_operators(path: tuple[str, ...], table: Mapping[str, Any], problem: Problem) -> _Condition | None:
    key, tests = ".".join(path), dict[str, Test]()
    if not table:
        problem(key, f"expected at least one operator: {', '.join(_NAMES)}")
    for name, operand in table.items():
        if name not in _NAMES:
            problem(f"{key}.{name}", _unknown(f"{key}.{name}", str(name)))
        elif name == "exists":
            if not isinstance(operand, bool):
                problem(f"{key}.exists", "expected true or false")
        else:
            try:
                tests[name] = OPERATORS[name](operand)
            except ValueError as error:
                problem(f"{key}.{name}", str(error))
    refused = tests.pop("not", None)
    return _Condition(path, dict(table), _all_of(list(tests.values())), refused, table.get("exists"))


_NAMES = [*OPERATORS, "exists"]


def _unknown(path: str, name: str) -> str:
    return (
        f"unknown operator{nearest(name, _NAMES)}; operators: {', '.join(_NAMES)}; "
        f'if it is a field, put its whole path in quotes: "{path}"'
    )


def _all_of(tests: list[Test]) -> Test | None:
    """One value must pass them all: of two bounds, both hold for the same element of a list."""
    if len(tests) < 2:
        return tests[0] if tests else None
    return lambda value: all(test(value) for test in tests)


# Matching --------------------------------------------------------------------------------------------------------------


def _found(document: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """What stands at ``path``; in a list, at the same path of each element. ``null`` is as good as absent."""
    if isinstance(document, list) and path:
        for element in document:
            yield from _found(element, path)
    elif not path:
        if document is not None:
            yield document
    elif isinstance(document, Mapping) and path[0] in document:
        yield from _found(document[path[0]], path[1:])


def _singles(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for element in value:
            yield from _singles(element)
    else:
        yield value
