"""Processes that are killed again and again: nothing that was acknowledged is lost, and nothing comes twice without a reason.

`nox -s chaos -- sqlite --seconds 60` is the same for longer.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COUNT, APPS = 100, 4


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_killed(store):
    """Whoever is killed, and whenever: all that was acknowledged arrives, and twice only what a dead process was sending."""
    options = {"--seconds": 4, "--count": COUNT, "--apps": APPS}
    command = [sys.executable, "-m", "chaos", store, *(str(word) for option in options.items() for word in option)]
    path = os.pathsep.join((str(ROOT / "tests"), str(ROOT / "core/tests")))

    run = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=110, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
    result = json.loads(run.stdout)
    assert result["acknowledged"] == COUNT * APPS
    assert result["kills"] >= 5
