"""An app of one framework with SuperTokens in it, with or without events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps import sdk
from apps.browser import Browser
from apps.sdk import Mailbox
from apps.servers import FRAMEWORKS, Servers
from core_double import CoreDouble
from supertokens_events import Events


@dataclass
class App:
    """What a test needs of a running app."""

    url: str
    views: str
    core: CoreDouble
    mailbox: Mailbox

    def browser(self, **how: Any) -> Browser:
        return Browser(self.url, **how)


AppRunner = Callable[..., AbstractContextManager[App]]
"""``running_app`` with a core and servers."""


@contextmanager
def running_app(
    core: CoreDouble,
    servers: Servers,
    framework: str = "fastapi",
    events: Events | None = None,
    *,
    attach: str = sdk.WAYS[0],
    below: Sequence[Any] = (),
    above: Sequence[Any] = (),
    **recipe_config: Any,
) -> Iterator[App]:
    """``attach``, ``below`` and ``above`` as in :func:`apps.sdk.start`, the rest as in :func:`apps.sdk.recipes`."""
    server = FRAMEWORKS[framework]
    mailbox = Mailbox()
    how = {"attach": attach, "below": below, "above": above, "framework": server.framework, "mode": server.mode}
    core.reset()
    with sdk.started(core.url, sdk.recipes(mailbox, **recipe_config), events, **how):
        yield App(servers.url(framework), server.views, core, mailbox)


def configuration(folder: Path, **tables: Mapping[str, Any]) -> dict[str, Any]:
    """An outbox and a file sink for everything in ``folder``; nothing is delivered until a test says so."""
    return {
        "app": {"source": "https://api.example.com"},
        "outbox": {"url": f"sqlite:///{folder / 'events.db'}", **tables.pop("outbox", {})},
        "dispatcher": {"run": "off"},
        "sinks": {"audit": {"type": "file", "path": str(folder / "audit.jsonl"), "events": ["*"]}},
        **tables,
    }
