"""``python -m apps.full_disk CORE_URL FOLDER``: lives the story while no file can grow; prints how that went, as JSON."""

from __future__ import annotations

import io
import json
import logging
import resource
import sys
from pathlib import Path

from apps import sdk
from apps.browser import Browser, plain, tell_story
from apps.fastapi_app import make_app
from apps.running import configuration
from apps.servers import serve_asgi
from apps.stored import counted, stored_events
from apps.trouble import APPEND_TIMEOUT
from supertokens_events import Events


def main(core_url: str, folder: Path) -> None:
    log = io.StringIO()
    logging.basicConfig(stream=log, level=logging.WARNING)
    events = Events.from_dict(configuration(folder, outbox={"append_timeout": APPEND_TIMEOUT}))
    events.outbox.open()
    with (
        sdk.started(core_url, sdk.recipes(sdk.Mailbox()), events),
        serve_asgi(make_app()) as url,
        Browser(url) as browser,
    ):
        _, no_limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, no_limit))
        answers = tell_story(browser)
        during = stored_events(events)
        resource.setrlimit(resource.RLIMIT_FSIZE, (no_limit, no_limit))
    events.stop()
    told = {
        "answers": [plain(answer) for answer in answers],
        "slowest": max(answer.elapsed.total_seconds() for answer in answers),
        "during": [event.type for event in during],
        "after": [event.type for event in stored_events(events)],
        "late": counted(events, running=True)["late", ""],
        "log": log.getvalue(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
