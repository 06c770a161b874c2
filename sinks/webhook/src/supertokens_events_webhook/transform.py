"""A function of the app's own that says what a receiver gets: ``transform = "package.module:function"``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
from pydantic_core import to_json

from supertokens_events.event import Event
from supertokens_events.log import describe_exception
from supertokens_events.sink import Delivered, Delivery, Outcome, Rejected, Retry

__all__ = ["Transform", "function_named"]

Function = Callable[[Event], Mapping[str, Any] | None]


def function_named(name: str) -> Function | None:
    """The function that ``package.module:function`` names. ``None``: its module is just being imported, and says later.

    Raises ``ValueError`` with a sentence.
    """
    module_name, colon, path = name.partition(":")
    if not (colon and all(part.isidentifier() for part in f"{module_name}.{path}".split("."))):
        raise ValueError(f"expected 'package.module:function', got {name!r}")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise ValueError(f"the module {module_name!r} cannot be imported: {_why(error)}") from None
    for part in path.split("."):
        if not hasattr(found, part):
            if _is_being_imported(module_name):
                return None
            raise ValueError(f"the module {module_name!r} has no {path!r}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{name!r} is no function")  # noqa: TRY004 - what pydantic tells the user
    function: Function = found
    return function


def _why(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"there is no {error.name!r}; is it on PYTHONPATH?"
    return f"it raised {describe_exception(error)}"


def _is_being_imported(module_name: str) -> bool:
    """An app that reads its configuration while it is imported may name a function that stands further down."""
    spec = getattr(sys.modules.get(module_name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


@dataclass(frozen=True)
class Transform:
    """Calls the function that ``name`` names, in a thread: one that blocks holds up its own event and no other.

    ``patience`` is in seconds; up to ``at_once`` calls run side by side.
    """

    name: str
    function: Function
    patience: float
    limiter: anyio.CapacityLimiter

    @classmethod
    def open(cls, name: str, *, patience: float, at_once: int) -> Transform:
        """Ready to call. Raises ``ValueError`` when there is no such function."""
        function = function_named(name)
        if function is None:
            raise ValueError(f"the module of {name!r} is not imported yet")
        return cls(name, function, patience, anyio.CapacityLimiter(at_once))

    async def body(self, delivery: Delivery) -> bytes | Outcome:
        """The JSON to send for a delivery, or what comes of it at once: ``None`` from the function skips it, a function that
        raises or gives something else than a JSON object rejects it, one that takes too long is tried again.
        """
        try:
            with anyio.fail_after(self.patience):
                made = await anyio.to_thread.run_sync(
                    self.function, delivery.event, abandon_on_cancel=True, limiter=self.limiter
                )
        except TimeoutError:
            return Retry(f"the transform {self.name!r} took longer than {self.patience:g} s")
        except Exception as error:
            return Rejected(f"the transform {self.name!r} raised {describe_exception(error)}")
        return (
            Delivered({"skipped": f"the transform {self.name!r} returned None"}) if made is None else self._json(made)
        )

    def _json(self, made: object) -> bytes | Rejected:
        if isinstance(made, Mapping):
            try:
                return to_json(dict(made), inf_nan_mode="null")
            except Exception:  # pydantic's text repeats the value
                return Rejected(f"the transform {self.name!r} returned what is not JSON")
        return Rejected(f"the transform {self.name!r} returned no mapping but a value of type {type(made).__name__!r}")
