"""What can be asked of the API, as data: the routes and the OpenAPI document are made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from supertokens_events.config import Settings
from supertokens_events.events import Events
from supertokens_events.outbox import Outbox
from supertokens_events.plugins import Plugins
from supertokens_events.stored.sinks import Sinks

__all__ = ["Api", "Call", "Operation"]


class Api:
    """What the operations work on."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.sinks = Sinks(events.outbox, events.plugins, lambda: events.configured, lambda: events.follow(now=True))

    @property
    def outbox(self) -> Outbox:
        """Where events, deliveries and stored sinks are."""
        return self.events.outbox

    @property
    def plugins(self) -> Plugins:
        """What is installed."""
        return self.events.plugins

    @property
    def settings(self) -> Settings:
        """With the stored sinks."""
        return self.events.settings


@dataclass(frozen=True)
class Call:
    """One request, checked: the names in its path, its query, its body. The last two are of the operation's models."""

    path: Mapping[str, str]
    query: Any = None
    body: Any = None


@dataclass(frozen=True)
class Operation:
    """One method of one path. ``run`` may block; ``errors`` are the statuses of the problems beside those of every operation."""

    method: str
    path: str
    name: str
    summary: str
    run: Callable[[Api, Call], BaseModel]
    answer: type[BaseModel]
    status: int = 200
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    errors: tuple[int, ...] = field(default=())
