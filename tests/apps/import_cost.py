"""``python -m apps.import_cost``: what importing supertokens-events adds to an app that has the SDK, in milliseconds."""

from __future__ import annotations

import statistics
import subprocess
import sys

RUNS = 7
SCRIPT = """
import time
import supertokens_python, supertokens_python.recipe.emailpassword, supertokens_python.recipe.session
began = time.perf_counter(), time.process_time()
{statement}
print((time.perf_counter() - began[0]) * 1000, (time.process_time() - began[1]) * 1000)
"""
PLUGIN = "from supertokens_events import Events; plugin = Events.from_dict({}).plugin()"
INIT = """
from supertokens_python import InputAppInfo, SupertokensConfig, SupertokensExperimentalConfig, init
from supertokens_python.recipe import emailpassword, session
init(
    app_info=InputAppInfo(app_name="App", api_domain="http://localhost", website_domain="http://localhost"),
    supertokens_config=SupertokensConfig(connection_uri="http://localhost:1"),
    framework="fastapi",
    recipe_list=[emailpassword.init(), session.init()],
    experimental=SupertokensExperimentalConfig(plugins=[{plugins}]),
)
"""
STATEMENTS = {
    "import supertokens_events": "import supertokens_events",
    "from supertokens_events import Events": "from supertokens_events import Events",
    "the same, and Events.from_dict({}).plugin()": PLUGIN,
    "the same, and the SDK's init()": PLUGIN + INIT.format(plugins="plugin"),
    "the SDK's init() without events": INIT.format(plugins=""),
}


def milliseconds(statement: str) -> tuple[float, float]:
    """In a fresh Python, by the clock on the wall and by the processor's."""
    command = [sys.executable, "-c", SCRIPT.format(statement=statement)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, processor = map(float, done.stdout.split())
    return wall, processor


def main() -> None:
    for name, statement in STATEMENTS.items():
        wall, processor = zip(*(milliseconds(statement) for _ in range(RUNS)), strict=True)
        median = f"median {statistics.median(wall):6.1f} ms, {statistics.median(processor):6.1f} ms of processor time"
        print(f"{name:44} {median} ({min(wall):.1f} … {max(wall):.1f}, {RUNS} runs)")


if __name__ == "__main__":
    main()
