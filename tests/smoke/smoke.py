"""What somebody who installed the wheels does first: look at what is there, and send one event to a file.

Run by `nox -s wheels` with the Python of an environment that holds the wheels and what they depend on, nothing else.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import version
from pathlib import Path

PROGRAM = Path(sysconfig.get_path("scripts")) / "supertokens-events"

CONFIGURATION = """
[outbox]
url = "sqlite:///{folder}/events.db"

[sinks.audit]
type   = "file"
events = ["user.*"]
path   = "{folder}/audit.jsonl"
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "supertokens-events.toml").write_text(CONFIGURATION.format(folder=folder))
        os.chdir(folder)

        assert version("supertokens-events") in run("--version")
        listed = run("plugins")
        for sink in ("file", "segment", "slack", "webhook"):
            assert f"supertokens-events-{sink}" in listed, f"the {sink} sink is not listed: {listed}"
        run("send", "user.created", "--user-id", "smoke")
        run("dispatch", "--until-empty")

        (event,) = map(json.loads, (folder / "audit.jsonl").read_text().splitlines())
        assert event["type"] == "user.created", event
        assert event["user_id"] == "smoke", event
        assert event["id"].startswith("evt_"), event
    print(f"smoke: one event went from `send` to the file sink, on Python {sys.version.split()[0]}")


def run(*arguments: str) -> str:
    """Run the command as a user does; what it prints. Fails with everything it said."""
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)
    print("$ supertokens-events", *arguments)
    print(done.stdout, done.stderr, sep="")
    if done.returncode != 0:
        sys.exit(f"supertokens-events {' '.join(arguments)} exited {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()
