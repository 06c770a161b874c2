"""What somebody does who has written a sink with `new-sink`: install its wheel beside the core's, and send it an event.

Run by `nox -s wheels` with the Python of an environment that holds the wheels, that of the sink type `smoke_signal` too.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIGURATION = """
[outbox]
url = "sqlite:{folder}/events.db"

[sinks.hill]
type = "smoke_signal"
events = ["user.*"]
path = "{folder}/signals.jsonl"
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "supertokens-events.toml"
        file.write_text(CONFIGURATION.format(folder=folder))
        for arguments in (["send", "user.created", "--user-id", "smoke"], ["dispatch", "--until-empty"]):
            command = [sys.executable, "-m", "supertokens_events", "--config", str(file), *arguments]
            subprocess.run(command, check=True, timeout=60)

        (event,) = map(json.loads, (folder / "signals.jsonl").read_text().splitlines())
        assert event["user_id"] == "smoke", event
    print("smoke: one event went to a sink that `new-sink` wrote")


if __name__ == "__main__":
    main()
