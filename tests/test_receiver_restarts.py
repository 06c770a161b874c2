"""A receiver whose process is killed and started again, over and over, while events flow."""

import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from supertokens_events import Events
from supertokens_events.outbox import DeliveryState

RECEIVER = Path(__file__).parent / "apps" / "noting_receiver.py"
KILLS = 20
PATIENCE = 60.0  # seconds


def free_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def start(port, notes):
    process = subprocess.Popen([sys.executable, RECEIVER, str(port), notes], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "listening\n"
    return process


def stop(process):
    process.kill()
    process.communicate()


def configured(folder, port):
    sink = {
        "type": "webhook",
        "events": ["*"],
        "url": f"http://127.0.0.1:{port}/",
        "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "allow_http": True,
        "allow_networks": ["127.0.0.0/8"],
    }
    return Events.from_dict({"outbox": {"url": f"sqlite:///{folder}/events.db"}, "sinks": {"crm": sink}})


def test_nothing_is_lost_and_nothing_comes_twice_that_was_answered(tmp_path):
    """With twenty kills under load every event arrives, and none again whose answer was written before the kill."""
    port, notes = free_port(), tmp_path / "notes"
    events = configured(tmp_path, port)
    receiver = start(port, notes)
    chance, stored, over = random.Random(20), [], threading.Event()

    def load():
        while not over.wait(0.004):
            stored.append(events.emit_sync("app.happened", data={"number": len(stored)}).id)

    loading = threading.Thread(target=load)
    loading.start()
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.3))  # how long the receiver lives is what the test is about
            stop(receiver)
            receiver = start(port, notes)
        over.set()
        loading.join()
        deadline = time.monotonic() + PATIENCE
        while events.outbox.deliveries(state=DeliveryState.PENDING, limit=1) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        over.set()
        stop(receiver)
        events.stop()

    noted = Counter(tuple(line.split()) for line in notes.read_text().splitlines())
    came = {event_id: n for (what, event_id), n in noted.items() if what == "came"}
    answered = {event_id: n for (what, event_id), n in noted.items() if what == "answered"}
    assert set(came) == set(stored)
    assert len(stored) > KILLS
    assert {event_id: n for event_id, n in answered.items() if n > 1} == {}
