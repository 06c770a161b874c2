"""Events as they are captured, for tests: one of any type, one of every type, and odd ones."""

from __future__ import annotations

from functools import cache
from typing import Any

from supertokens_events.catalog import Catalog
from supertokens_events.event import Context, Event
from supertokens_events.plugins import load_plugins

__all__ = ["odd_events", "sample_event", "sample_events"]

_USER = "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1"


def sample_event(event_type: str = "user.created", **fields: Any) -> Event:
    """An event of this type, with its catalog example as ``data``. ``fields`` are the event's own; they replace the sample's.

    The types of installed plugins have their examples too. A type that is in no catalog has empty ``data``.
    """
    model = _catalog().get(event_type)
    sample: dict[str, Any] = {"tenant_id": "public", "user_id": _USER, "data": {}}
    if model is not None:
        sample |= {"data": dict(model.example), "schema_version": model.schema_version}
    return Event(type=event_type, **(sample | fields))


def sample_events() -> list[Event]:
    """One event of every type there is, those of installed plugins too, in order of their names."""
    return [sample_event(model.event_type) for model in _catalog()]


def odd_events() -> dict[str, Event]:
    """Events that are allowed and rarely seen, each by what is odd about it."""
    return {
        "no data": Event(type="app.odd.empty"),
        "no user and no tenant": sample_event("user.created", user_id=None, tenant_id=None),
        "other scripts": sample_event("app.odd.text", data={"name": "Zoë 王小明 محمد 👩‍👩‍👧‍👦", "ключ": "значение"}),
        "marks that turn text around": sample_event("app.odd.text", data={"name": "\u202egnp.exe\u2066 \u200b\ufeff"}),
        "control characters": sample_event("app.odd.text", data={"name": "a\0b\x1b[31mc\r\n\tSet-Cookie: d\x7f"}),
        "markup": sample_event(
            "app.odd.text", data={"name": "<!channel> <script>alert(1)</script> *b* `c` {{7*7}} %s $(id) '; --"}
        ),
        "numbers": sample_event("app.odd.numbers", data={"large": 2**63, "small": -0.0, "tiny": 5e-324, "none": None}),
        "nested": sample_event("app.odd.nested", data={"a": [{"b": [[], {}, [None, {"c": {"d": {"e": {}}}}]]}]}),
        "many fields": sample_event("app.odd.many", data={f"field_{number}": number for number in range(1000)}),
        "large": sample_event("app.odd.large", data={"text": "0123456789abcdef" * 12_500}),
        "a long user agent": sample_event(
            "user.created", context=Context(ip="2001:db8::1", user_agent="Mozilla/5.0 " * 500, path="/?q=" + "é" * 500)
        ),
    }


@cache
def _catalog() -> Catalog:
    """All types, those of plugins that are installed too."""
    return load_plugins().catalog
