"""The SDK that capture attaches to: it is there, and new enough. Everything else of ours works without it."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

__all__ = ["MINIMUM", "require_sdk"]

MINIMUM = "0.27"


def require_sdk() -> None:
    """Raises ``ImportError``, a sentence that says what is installed, what is needed, and how to get it."""
    try:
        installed = version("supertokens-python")
    except PackageNotFoundError:
        if find_spec("supertokens_python") is not None:
            return  # somebody's own copy, of whatever version
        found = "is not installed"
    else:
        if _numbers(installed) >= _numbers(MINIMUM):
            return
        found = f"{installed} is installed"
    raise ImportError(
        f"supertokens-python {found}; taking events from it needs {MINIMUM} or newer: pip install 'supertokens-events[sdk]'"
    )


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", release)[:2])
