"""`dispatch --metrics` and `--otel`."""

from __future__ import annotations

import json
import socket
import sys
import urllib.request

import pytest

WITHOUT = """
import sys
sys.modules["{module}"] = None
from supertokens_events.cli import main
main()
"""


def test_metrics(place):
    """The dispatcher serves its own figures, and how the outbox stands."""
    place.run("send", "user.created")
    process = place.start("dispatch", "--metrics", "127.0.0.1:0")
    said = map(json.loads, process.stderr)
    served = next(entry for entry in said if entry["event"].startswith("Serving"))
    next(entry for entry in said if entry["event"] == "Dispatching.")  # from here on SIGTERM is heard

    with urllib.request.urlopen(f"http://127.0.0.1:{served['port']}/metrics", timeout=20) as answer:
        page = answer.read().decode()

    assert "supertokens_events_outbox_events 1.0" in page
    assert 'supertokens_events_deliveries_dead{sink="first"} 0.0' in page
    process.terminate()
    assert process.wait(20) == 0


@pytest.mark.parametrize("address", ["9464", ":9464", "localhost:", "localhost:port", "localhost:65536", "localhost:²"])
def test_no_address(place, address):
    """An address that is none is a mistake, with an example of one."""
    result = place.run("dispatch", "--until-empty", "--metrics", address)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"--metrics {address}: expected HOST:PORT, such as 127.0.0.1:9464\n"


def test_taken(place):
    """So is one where somebody else is."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        result = place.run("dispatch", "--until-empty", "--metrics", address)

    assert result.exit_code == 2
    assert result.stderr == f"--metrics {address}: nothing can be served there: Address already in use\n"


@pytest.mark.parametrize(
    ("option", "module", "extra"),
    [
        (["--metrics", "127.0.0.1:0"], "prometheus_client", "prometheus"),
        (["--otel"], "opentelemetry", "otel"),
    ],
)
def test_not_installed(place, option, module, extra):
    """Without its extra, the option says what to install."""
    program = [sys.executable, "-c", WITHOUT.format(module=module)]
    process = place.start("dispatch", "--until-empty", *option, program=program)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 2
    assert f"pip install 'supertokens-events[{extra}]'" in said
    assert "Traceback" not in said


def test_otel(place):
    """The process's own providers are told; where it has none, nothing is."""
    place.run("send", "user.created")

    result = place.run("dispatch", "--until-empty", "--otel")

    assert result.exit_code == 0
    assert result.stdout == "1 delivered, 0 will be tried later, 0 dead\n"
