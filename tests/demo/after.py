"""What one may want to try after the demo, as commands that work where it was started."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from demo.stage import Stage

__all__ = ["ideas"]

Idea = tuple[str, list[str]]
"""What one may want, and the commands for it."""


def ideas(stage: Stage, kept: Path | None) -> Iterator[Idea]:
    """Look inside, break something, use it. ``kept`` is the folder that stays, if one does."""
    if kept is None:
        yield "Keep the outbox, the file and the TOML, and look inside:", [again(f"--keep {_beside_us('demo-files')}")]
    else:
        yield "The files are still there. Look inside:", list(_look_inside(stage, kept))
    yield (
        "See what it looks like when a sink (crm, oncall, analytics) has a wrong secret:",
        [again("--wrong-secret oncall")],
    )
    yield "Read the app, tests/demo/app.py, then put the same into yours: README.md, “Quick start”.", []


def again(options: str) -> str:
    """The command that runs the demo like this time, with ``options``."""
    if "NOX_CURRENT_SESSION" not in os.environ:
        return f"PYTHONPATH=tests {_from_here(Path(sys.executable))} -m demo {options}"
    nox = Path(".nox/env/bin/nox")  # where the README's line puts it
    return f"{nox if nox.exists() else 'nox'} -s demo -- {options}"


def _look_inside(stage: Stage, kept: Path) -> Iterator[str]:
    yield f"export SUPERTOKENS_EVENTS_CONFIG={_from_here(kept / stage.toml.name)}"
    yield from (f"export {name}={value}" for name, value in stage.places.given.items())
    program = _from_here(Path(sys.executable).parent / "supertokens-events")
    yield from (f"{program} {command}" for command in ("status", "deliveries --sink crm", "events"))
    yield f"head -1 {_from_here(kept / stage.places.file.name)}"


def _beside_us(name: str) -> str:
    """A folder that git does not see, where there is one."""
    return f".nox/{name}" if Path(".nox").is_dir() else name


def _from_here(path: Path) -> Path:
    """As short as it can be said in the working directory."""
    path = path.absolute()  # not resolve(): a virtual environment's python is a link
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
