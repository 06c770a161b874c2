"""What the installed SDK can do, and what becomes of each of its functions: events, or a reason why not.

A function that a newer SDK has and nobody here has thought of is found by name.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from dis import get_instructions
from importlib import import_module
from itertools import zip_longest
from pkgutil import iter_modules
from types import CodeType, ModuleType
from typing import Any

import supertokens_python
import supertokens_python.recipe

from supertokens_events.capture import attach, supertokens
from supertokens_events.capture.recipe import Capture, Recipe
from supertokens_events.capture.scope import Kind
from supertokens_events.catalog import EventData

__all__ = [
    "INTERFACES",
    "Function",
    "Treatment",
    "coverage",
    "event_types",
    "interface_of",
    "missing",
    "public",
    "sdk_functions",
]

INTERFACES: Sequence[tuple[Kind, str]] = (("function", "RecipeInterface"), ("api", "APIInterface"))
FRAME = "what happens inside it says so"
NOTED = "it only prepares what a later call says"

_OURS = __name__.rpartition(".")[0]


@dataclass(frozen=True, order=True)
class Function:
    """One function of the SDK."""

    recipe: str
    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.recipe}.{self.name}"


@dataclass(frozen=True)
class Treatment:
    """What becomes of a function: the event types that it can bring, or ``because`` it brings none. Neither: it is missed."""

    function: Function
    events: Sequence[str] = ()
    because: str | None = None

    @property
    def missed(self) -> bool:
        return not self.events and self.because is None


def coverage() -> list[Treatment]:
    """Every function of the installed SDK, and what capture takes from beside its interfaces."""
    recipes = {**attach.RECIPES, supertokens.recipe.id: supertokens.recipe}
    functions = set(sdk_functions())
    captures: dict[Function, list[Capture]] = defaultdict(list)
    for recipe in recipes.values():
        for capture in recipe.captures:
            captures[_watched(recipe, capture, functions)].append(capture)
    beside = {function for function in captures if function.kind == "method"}
    return [
        _treatment(function, recipes.get(function.recipe), captures.get(function, []))
        for function in sorted(functions | beside)
    ]


def sdk_functions() -> Iterator[Function]:
    """The public functions of every recipe's two interfaces, and the methods of the SDK's own object."""
    for package in iter_modules(supertokens_python.recipe.__path__, "supertokens_python.recipe."):
        for module in _interface_modules(package.name):
            for kind, class_name in INTERFACES:
                interface = getattr(module, class_name, None)
                if interface is not None and interface.__module__ == module.__name__:
                    recipe = package.name.rpartition(".")[2]
                    yield from (Function(recipe, kind, name) for name in public(interface))
    yield from (Function(supertokens.recipe.id, "method", name) for name in public(supertokens_python.Supertokens))


def missing() -> dict[Function, list[str]]:
    """The functions that capture takes events from and that the installed SDK does not have, each with its event types."""
    functions = set(sdk_functions())
    found: dict[Function, list[Capture]] = defaultdict(list)
    for recipe in attach.RECIPES.values():
        for capture in recipe.captures:
            function = _watched(recipe, capture, functions)
            if capture.kind != "method" and function not in functions:
                found[function].append(capture)
    return {function: event_types(captures) for function, captures in sorted(found.items())}


def interface_of(recipe_id: str, kind: Kind) -> type | None:
    """The SDK's interface for a recipe's functions or API functions; ``None``: it has none."""
    class_name = dict(INTERFACES)[kind]
    for module in _interface_modules(f"{supertokens_python.recipe.__name__}.{recipe_id}"):
        interface = getattr(module, class_name, None)
        if interface is not None and interface.__module__ == module.__name__:
            found: type = interface
            return found
    return None


def event_types(captures: Iterable[Capture]) -> list[str]:
    """The event types that these captures can bring: those that their handlers name, and what those call of ours."""
    found: set[type[EventData]] = set()
    seen: set[Callable[..., Any]] = set()
    for capture in captures:
        _collect(capture.handler, found, seen)
    return sorted(data_model.event_type for data_model in found)


def _watched(recipe: Recipe, capture: Capture, functions: AbstractSet[Function]) -> Function:
    """The function that this SDK has."""
    function = Function(recipe.id, capture.kind, capture.name)
    if capture.or_else is None or function in functions:
        return function
    return Function(recipe.id, capture.kind, capture.or_else)


def _treatment(function: Function, recipe: Recipe | None, captures: Sequence[Capture]) -> Treatment:
    if recipe is None:
        return Treatment(function)
    if events := event_types(captures):
        return Treatment(function, events)
    if function.kind == "api" and function.name in recipe.frames:
        return Treatment(function, because=FRAME)
    return Treatment(function, because=NOTED if captures else recipe.ignored.get(function.name))


def _interface_modules(package: str) -> Iterator[ModuleType]:
    """``interfaces.py``, or the modules of the folder ``interfaces``."""
    module = import_module(f"{package}.interfaces")
    yield module
    for part in iter_modules(getattr(module, "__path__", ()), f"{module.__name__}."):
        yield import_module(part.name)


def public(interface: type) -> Iterator[str]:
    """The names of the functions that an interface asks for."""
    for name, value in vars(interface).items():
        if not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, staticmethod | classmethod)):
            yield name


# What a handler can say --------------------------------------------------------------------------------------------------


def _collect(function: Callable[..., Any], found: set[type[EventData]], seen: set[Callable[..., Any]]) -> None:
    """By the names in its code: a handler builds its events from classes that its module imports."""
    seen.add(function)
    for value in _named(function):
        if isinstance(value, type) and issubclass(value, EventData):
            found.add(value)
        elif inspect.isfunction(value) and value.__module__.startswith(_OURS) and value not in seen:
            _collect(value, found, seen)


def _named(function: Callable[..., Any]) -> Iterator[Any]:
    names = {name for code in _codes(function.__code__) for name in _names(code)}
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            yield from (getattr(value, name, None) for name in names)
        else:
            yield value


def _names(code: CodeType) -> Iterator[str]:
    """But not of a class of which only the ``event_type`` is taken, to look for events that others have brought."""
    instructions = list(get_instructions(code))
    for instruction, following in zip_longest(instructions, instructions[1:]):
        if isinstance(instruction.argval, str) and (following is None or following.argval != "event_type"):
            yield instruction.argval


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
