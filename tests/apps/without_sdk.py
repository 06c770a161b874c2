"""An environment in which supertokens-python is absent: of what is installed here, only what the packages ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "supertokens-events": ROOT / "core",
    "supertokens-events-file": ROOT / "sinks/file",
    "supertokens-events-webhook": ROOT / "sinks/webhook",
}


class Bare:
    """Runs Python on a folder of links: our packages, and everything that they depend on without an extra."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in _needed(*PACKAGES):
            for source in _top_level(package):
                target = folder / source.name
                if not target.exists():
                    target.symlink_to(source)

    def python(self, *arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """``-S``: the site-packages of this environment stay out."""
        sources = [path / "src" for path in PACKAGES.values()]
        env = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(map(str, [*sources, self.folder]))}
        command = [sys.executable, "-S", *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=100, check=False)


def _needed(*names: str) -> Iterator[Distribution]:
    """The distributions of these names and, once each, all that they require."""
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            package = distribution(name)
        except PackageNotFoundError:  # a requirement for another Python or system
            continue
        yield package
        for line in package.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)


def _top_level(package: Distribution) -> Iterator[Path]:
    """What of a distribution lies in site-packages, its metadata included."""
    for name in {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}:
        path = Path(str(package.locate_file(name)))
        if path.exists() and path.suffix != ".pth":
            yield path
