"""Every subset of the sinks' wheels: each installs beside the core, is listed, and what is not there is named with its package.

Run by `nox -s wheels` with the Python of an environment that holds all the wheels, and the folder where these are. One wheel is
taken away or put back from each subset to the next.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

PREFIX = "supertokens_events_"
PROGRAM = [sys.executable, "-m", "supertokens_events"]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


def main(folder: Path) -> None:
    wheels = {wheel.name.removeprefix(PREFIX).partition("-")[0]: wheel for wheel in folder.glob(f"{PREFIX}*.whl")}
    everything = frozenset(wheels)
    assert everything, f"no wheel of a sink is in {folder}"
    check(everything, everything)
    for before, subset in pairwise(subsets(sorted(everything))):
        for name in before - subset:
            run([*PIP, "uninstall", "-q", "-y", distribution(name)])
        for name in subset - before:
            run([*PIP, "install", "-q", "--no-index", str(wheels[name])])
        run([*PIP, "check"])
        check(subset, everything)
    print(f"smoke: {2 ** len(wheels)} subsets of {', '.join(sorted(everything))} are installed and told as they are")


def subsets(names: list[str]) -> Iterator[frozenset[str]]:
    """All of them, from the whole set back to it: each differs from the one before in one name (a Gray code)."""
    for number in range(2 ** len(names)):
        absent = number ^ (number >> 1)
        yield frozenset(name for place, name in enumerate(names) if not absent >> place & 1)
    yield frozenset(names)


def distribution(name: str) -> str:
    return f"{PREFIX}{name}".replace("_", "-")


def check(subset: frozenset[str], everything: frozenset[str]) -> None:
    """``plugins`` lists what is there, and ``check`` says of each sink type that is not how to install it."""
    listed = map(json.loads, run([*PROGRAM, "plugins", "--json"]).stdout.splitlines())
    assert {name for plugin in listed for name in plugin["sink_types"]} == subset, f"with {sorted(subset)}"
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.writelines(f'[sinks.my_{name}]\ntype = "{name}"\nevents = ["*"]\n' for name in sorted(everything))
        file.flush()
        said = subprocess.run(
            [*PROGRAM, "--config", file.name, "check"], capture_output=True, text=True, timeout=60, check=False
        ).stderr
    for name in sorted(everything):
        sentence = f"sinks.my_{name}.type: the sink type '{name}' is not installed: pip install {distribution(name)}"
        assert (sentence in said) is (name not in subset), f"with {sorted(subset)}, of {name}:\n{said}"


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} exited {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


if __name__ == "__main__":
    main(Path(sys.argv[1]))
