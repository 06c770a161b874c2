"""Arguments for a call that nobody makes in earnest: made up from the signature, good for nothing."""

from __future__ import annotations

import builtins
import inspect
import types
import typing
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Self, Union

__all__ = ["StandIn", "made_up"]

_TEXTS: Mapping[str, str] = {"email": "doctor@example.com", "phone_number": "+15555550100", "tenant_id": "public"}
_FORM = {"email": "doctor@example.com", "password": "made-up-Pa55word"}
_PLAIN: Mapping[Any, tuple[Any, Any]] = {bool: (False, True), int: (0, 1), float: (0.0, 1.0)}


class StandIn:
    """In the place of any object, of class ``cls`` as far as ``isinstance`` goes: whatever is asked of it is another one.

    It can be called, awaited, entered and looped over (it is empty), and has nothing behind it.
    """

    def __init__(self, cls: type = object, **known: Any) -> None:
        self.__dict__.update(known, _cls=cls)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        cls: type = self.__dict__["_cls"]
        return StandIn if cls is object else cls

    def __getattr__(self, name: str) -> StandIn:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn()

    def __call__(self, *_: Any, **__: Any) -> StandIn:
        return StandIn()

    def __await__(self) -> Generator[None, None, StandIn]:
        yield from ()
        return StandIn()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __contains__(self, _item: object) -> bool:
        return False

    def __getitem__(self, _key: object) -> StandIn:
        return StandIn()

    def __str__(self) -> str:
        return "doctor"


def made_up(function: Callable[..., Any], *, full: bool) -> dict[str, Any]:
    """A value for each parameter of a method but its first, by name. ``full``: what may be ``None`` is there, and every bool is
    true.
    """
    hints = _hints(function)
    parameters = [*inspect.signature(function).parameters.values()][1:]
    return {one.name: _value(one.name, hints.get(one.name, one.annotation), full=full) for one in parameters}


class _Names(dict[str, Any]):
    """The names of a module, and ``object`` for those that only a type checker knows."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, object)


def _hints(function: Callable[..., Any]) -> Mapping[str, Any]:
    names = getattr(function, "__globals__", {})
    try:
        return typing.get_type_hints(function, localns=_Names(names))
    except Exception:  # a type that only a type checker can make
        return {}


def _value(name: str, annotation: Any, *, full: bool) -> Any:
    if name == "user_context":
        return {}
    if name == "form_fields":
        return [StandIn(id=id_, value=value) for id_, value in _FORM.items()]
    choices = [annotation]
    if typing.get_origin(annotation) in (Union, types.UnionType):
        choices = [one for one in typing.get_args(annotation) if one is not type(None)]
        if len(choices) < len(typing.get_args(annotation)) and not full:
            return None
    return _of(name, choices[0], full=full)


def _of(name: str, annotation: Any, *, full: bool) -> Any:
    kind = typing.get_origin(annotation) or annotation
    if kind is str or annotation in ("str", inspect.Parameter.empty):
        return _TEXTS.get(name, "doctor")
    if kind is typing.Literal:
        return typing.get_args(annotation)[0]
    if kind in _PLAIN:
        return _PLAIN[kind][full]
    if kind in (list, dict, set, tuple):
        return kind()
    return StandIn(kind if isinstance(kind, type) else object)
