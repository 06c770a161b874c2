"""The overrides of an app and of other plugins around the SDK's functions, and a way to find out by a call whether they pass
it on.

The chain is put together anew, by the same override functions that ``init()`` was given, around an object that does nothing but
note which of its functions are called. Neither the SDK's implementation nor ours is in it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from supertokens_python import Supertokens

from supertokens_events.capture.attach import RECIPES
from supertokens_events.capture.coverage import INTERFACES, Function, interface_of, public
from supertokens_events.capture.inspection import described, modules
from supertokens_events.capture.rebind import leave_alone
from supertokens_events.capture.scope import Kind
from supertokens_events.capture.stand_ins import StandIn, made_up
from supertokens_events.log import describe_exception

__all__ = ["Chain", "Course", "Unbuilt", "Way", "chains"]


class Way(StrEnum):
    """Where a made-up call went."""

    REACHED = "reached"
    """It came to the original."""
    RETURNED = "returned"
    """It was answered without the original."""
    RAISED = "raised"
    """It ended in an exception before."""


class Course(NamedTuple):
    """What a made-up call came to: ``called`` are the functions of the same recipe that it came to instead, ``error`` is
    the class and place of an exception.
    """

    way: Way
    called: tuple[str, ...] = ()
    error: str = ""
    cause: BaseException | None = None


class _Reached(BaseException):
    """The call has come to the original: what comes after it shall not happen."""


@dataclass
class _Notes:
    wanted: str = ""
    called: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Chain:
    """The overrides around one function that capture watches; ``where`` is the outermost of them."""

    function: Function
    where: str
    _call: Callable[..., Any] = field(repr=False)
    _interface: type = field(repr=False)
    _notes: _Notes = field(repr=False)

    async def try_out(self, *, full: bool) -> Course:
        """Call it with arguments that are made up. Whatever stands before the call of the original is run, nothing after it."""
        arguments = made_up(getattr(self._interface, self.function.name), full=full)
        self._notes.wanted, self._notes.called = self.function.name, []
        try:
            await self._answer(arguments)
        except _Reached:
            return Course(Way.REACHED)
        except Exception as error:
            if self.function.name in self._notes.called:
                return Course(Way.REACHED)
            return Course(Way.RAISED, (), describe_exception(error), error)
        called = tuple(dict.fromkeys(self._notes.called))
        return Course(Way.REACHED) if self.function.name in called else Course(Way.RETURNED, called)

    async def _answer(self, arguments: dict[str, Any]) -> Any:
        """As the SDK calls it: recipe functions by name, API functions by position."""
        by_position = self.function.kind == "api" or not _takes(self._call, arguments)
        answer = self._call(*arguments.values()) if by_position else self._call(**arguments)
        return await answer if inspect.isawaitable(answer) else answer


class Unbuilt(NamedTuple):
    """Overrides of a recipe that could not be put together anew."""

    recipe: str
    kind: Kind
    error: str


def chains() -> Iterator[Chain | Unbuilt]:
    """Each function that capture watches and that is overridden, of every recipe of the started SDK. Puts the overrides together
    anew: runs the override functions, and none of what they return.
    """
    for module in modules(Supertokens.get_instance()):
        recipe_id = module.get_recipe_id()
        for kind, _ in INTERFACES:
            override = getattr(module.config.override, "functions" if kind == "function" else "apis", None)
            interface = interface_of(recipe_id, kind)
            if recipe_id not in RECIPES or override is None or interface is None:
                continue
            try:
                yield from _overridden(recipe_id, kind, interface, override)
            except Exception as error:
                yield Unbuilt(recipe_id, kind, describe_exception(error))


def _overridden(recipe_id: str, kind: Kind, interface: type, override: Callable[[Any], Any]) -> list[Chain]:
    notes = _Notes()
    original = _noting(interface, notes)
    own = {
        name: vars(type(original))[name] for name in RECIPES[recipe_id].watched(kind, original) if name in dir(original)
    }
    leave_alone(original, own)
    built = override(original)
    found = {name: getattr(built, name) for name in own}
    return [
        Chain(Function(recipe_id, kind, name), described(function), function, interface, notes)
        for name, function in found.items()
        if getattr(function, "__func__", function) is not own[name]
    ]


def _noting(interface: type, notes: _Notes) -> Any:
    """An implementation that notes what is called, and ends the call that is wanted."""
    functions = {name: _note(name, notes) for name in public(interface)}
    return type("Noting", (interface,), {"__module__": __name__, **functions})()


def _note(name: str, notes: _Notes) -> Callable[..., Any]:
    async def noting(_self: Any, *_: Any, **__: Any) -> Any:
        notes.called.append(name)
        if name == notes.wanted:
            raise _Reached
        return StandIn()

    return noting


def _takes(function: Callable[..., Any], arguments: dict[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(**arguments)
    except (TypeError, ValueError):
        return False
    return True
