"""For tests of sinks, plugins and apps.

Sinks: :class:`SinkContract` with a :class:`Place`, most of the time an :class:`HttpPlace`. Apps: :func:`capture_events`, and
the pytest fixture ``events`` over it. Both: :class:`FakeClock`, :func:`sample_event`, :func:`memory_outbox`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supertokens_events.testing.captured import CapturedEvents, capture_events
    from supertokens_events.testing.clock import FakeClock
    from supertokens_events.testing.contract import SinkContract, deviates
    from supertokens_events.testing.http_place import HttpAnswer, HttpPlace, HttpRequest
    from supertokens_events.testing.memory import memory_outbox
    from supertokens_events.testing.place import Place
    from supertokens_events.testing.proxy import ProxyPlace
    from supertokens_events.testing.recording import RecordingSink
    from supertokens_events.testing.samples import odd_events, sample_event, sample_events
    from supertokens_events.testing.server import ServerPlace

__all__ = [
    "CapturedEvents",
    "FakeClock",
    "HttpAnswer",
    "HttpPlace",
    "HttpRequest",
    "Place",
    "ProxyPlace",
    "RecordingSink",
    "ServerPlace",
    "SinkContract",
    "capture_events",
    "deviates",
    "memory_outbox",
    "odd_events",
    "sample_event",
    "sample_events",
]

_HOMES = {
    "CapturedEvents": "captured",
    "FakeClock": "clock",
    "HttpAnswer": "http_place",
    "HttpPlace": "http_place",
    "HttpRequest": "http_place",
    "Place": "place",
    "ProxyPlace": "proxy",
    "RecordingSink": "recording",
    "ServerPlace": "server",
    "SinkContract": "contract",
    "capture_events": "captured",
    "deviates": "contract",
    "memory_outbox": "memory",
    "odd_events": "samples",
    "sample_event": "samples",
    "sample_events": "samples",
}


def __getattr__(name: str) -> Any:
    """A public name, imported on first use: only the contract needs pytest."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name] == "contract":
        _rewrite_assertions()
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def _rewrite_assertions() -> None:
    """Have pytest show what an ``assert`` of the contract compared."""
    try:
        import pytest
    except ImportError as error:
        raise ImportError("SinkContract needs pytest: pip install 'supertokens-events[testing]'") from error
    if (contract := f"{__name__}.contract") not in sys.modules:
        pytest.register_assert_rewrite(contract)
