"""A Python environment of its own, in which packages are installed as an installer does it: built by their build backend, and
unpacked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

__all__ = ["Environment"]

_OURS = ("supertokens_events", "_editable_impl_supertokens_events", "_virtualenv")
_OF_A_RUN = ("PYTHON", "PYTEST", "SUPERTOKENS_EVENTS_")  # variables that are about the tests around us


class Environment:
    """A new environment in ``folder``. What others have made is there as it is here, of ours only what is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, symlinks=True)
        (self._site,) = folder.glob("lib/python*/site-packages")
        for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
            for path in Path(place).iterdir():
                if not path.name.lower().startswith(_OURS):
                    (self._site / path.name).symlink_to(path)
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith(_OF_A_RUN)}

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def install(self, source: Path, *, editable: bool = False) -> None:
        """Build the wheel of a package, and unpack it; ``editable``: its metadata, and a way to its modules."""
        wheels = self.folder / "wheels" / source.name
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
        subprocess.run(build, cwd=source, check=True, capture_output=True)
        (path,) = wheels.glob("*.whl")
        with ZipFile(path) as wheel:
            names = [name for name in wheel.namelist() if not editable or ".dist-info/" in name]
            wheel.extractall(self._site, names)
        if editable:
            (self._site / f"{source.name}.pth").write_text(f"{source / 'src'}\n")

    def run(self, *arguments: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run its Python."""
        command, env = [str(self.python), *map(str, arguments)], self.variables | variables
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=100, check=False)
