"""Apps in processes of their own, for what a process can only do once: run out of disk, or die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent


def in_process(module: str, *arguments: object) -> Any:
    """Run ``python -m module arguments…`` from this folder; what it printed, which must be JSON."""
    done = run_python("-m", module, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def run_python(*arguments: object, cwd: Path = TESTS, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this Python, with our tests' modules in reach."""
    paths = [environment.pop("PYTHONPATH", ""), str(TESTS)]
    env = {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=100, check=False)
