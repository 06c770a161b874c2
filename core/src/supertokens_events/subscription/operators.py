"""The operators of field conditions: each makes, of what TOML says, a test for one value of an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from ipaddress import ip_address, ip_network
from operator import ge, gt, le, lt
from typing import Any

__all__ = ["OPERATORS", "Test", "any_of"]

Test = Callable[[Any], bool]


def any_of(operands: Any) -> Test:
    """Equal to one of them. A boolean is no number, and a TOML time is compared as a time.

    Raises ``ValueError`` for what is no plain value.
    """
    wanted = _listed(operands, "texts, numbers, true or false")
    tests = [_equals(operand) for operand in wanted]
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _equals(operand: Any) -> Test:
    if isinstance(operand, datetime | date):
        moment = _moment(operand)
        return lambda value: _moment_of(value) == moment
    if isinstance(operand, bool):
        return lambda value: value is operand
    if isinstance(operand, int | float):
        return lambda value: _is_number(value) and value == operand
    if isinstance(operand, str):
        return lambda value: isinstance(value, str) and value == operand
    raise ValueError("expected a text, a number, true, false or a time")


def _equal(operand: Any) -> Test:
    if not isinstance(operand, list):
        return _equals(operand)
    raise ValueError("expected one value; for any of several write 'in'")


def _not(operand: Any) -> Test:
    return any_of(operand if isinstance(operand, list) else [operand])


def _in(operand: Any) -> Test:
    if isinstance(operand, list):
        return any_of(operand)
    raise ValueError("expected a list, in square brackets")


def _text(test: Callable[[str, str], bool]) -> Callable[[Any], Test]:
    def make(operand: Any) -> Test:
        wanted = _texts(operand)
        return lambda value: isinstance(value, str) and any(test(value, text) for text in wanted)

    return make


def _compared(test: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def make(operand: Any) -> Test:
        if _is_number(operand):
            return lambda value: _is_number(value) and bool(test(value, operand))
        moment = _moment_of(operand)
        if moment is None:
            raise ValueError("expected a number, or a time such as '2026-11-23T07:15:00Z'")
        return lambda value: (at := _moment_of(value)) is not None and bool(test(at, moment))

    return make


def _cidr(operand: Any) -> Test:
    try:
        networks = [ip_network(text) for text in _texts(operand)]
    except ValueError:
        raise ValueError("expected a network such as '10.0.0.0/8', or a list of them") from None

    def within(value: Any) -> bool:
        try:
            address = ip_address(value) if isinstance(value, str) else None
        except ValueError:
            return False
        plain = getattr(address, "ipv4_mapped", None) or address
        return plain is not None and any(plain in network for network in networks)

    return within


OPERATORS: Mapping[str, Callable[[Any], Test]] = {
    "equals": _equal,
    "not": _not,
    "in": _in,
    "prefix": _text(str.startswith),
    "suffix": _text(str.endswith),
    "contains": _text(str.__contains__),
    "gt": _compared(gt),
    "gte": _compared(ge),
    "lt": _compared(lt),
    "lte": _compared(le),
    "cidr": _cidr,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _texts(operand: Any) -> Sequence[str]:
    wanted = operand if isinstance(operand, list) else [operand]
    if not wanted or not all(isinstance(text, str) for text in wanted):
        raise ValueError("expected a text, or a list of texts")
    return wanted


def _listed(operands: Any, what: str) -> Sequence[Any]:
    if not operands:
        raise ValueError(f"expected a list of {what}; this one is empty")
    listed: Sequence[Any] = operands
    return listed


def _moment_of(value: Any) -> datetime | None:
    """A time, or a text that says one in ISO 8601; ``None`` for anything else."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return _moment(value) if isinstance(value, date) else None


def _moment(value: date) -> datetime:
    """In UTC unless it says otherwise; a day is its first moment."""
    moment = value if isinstance(value, datetime) else datetime.combine(value, time.min)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
