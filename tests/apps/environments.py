"""A Python environment of its own, in which packages are installed as an installer does it: built by their build backend, and
unpacked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import entry_points
from pathlib import Path
from zipfile import ZipFile

from supertokens_events.hookspecs import DISABLE_VARIABLE, PROJECT

__all__ = ["Environment"]


class Environment:
    """A new environment in ``folder``. What others have made is there as it is here, of ours only what is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, symlinks=True)
        (self._site,) = folder.glob("lib/python*/site-packages")
        (self._site / "of_others.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self._installed_here = ",".join(point.name for point in entry_points(group=PROJECT))
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def install(self, source: Path, *, editable: bool = False) -> None:
        """Build the wheel of a package, and unpack it."""
        wheels = self.folder / "wheels" / source.name
        build = "import sys, hatchling.build as b; getattr(b, 'build_' + sys.argv[1])(sys.argv[2])"
        kind = "editable" if editable else "wheel"
        wheels.mkdir(parents=True)
        subprocess.run([sys.executable, "-c", build, kind, str(wheels)], cwd=source, check=True, capture_output=True)
        (wheel,) = wheels.glob("*.whl")
        ZipFile(wheel).extractall(self._site)

    def run(self, *arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run its Python."""
        # The metadata of what is installed around us is in reach too; its modules are not.
        env = {**self.variables, DISABLE_VARIABLE: self._installed_here, **variables}
        command = [str(self.python), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=100, check=False)
