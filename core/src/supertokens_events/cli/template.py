"""What ``init`` writes: a configuration that works as it is, with every key of the core and a table for each sink type."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from supertokens_events.sink import Sink

__all__ = ["template"]

_CORE = """\
# supertokens-events: what happens in SuperTokens, as events, handed to sinks.
#
# 'supertokens-events check' says what is wrong with this file. A key that is commented out shows its default.
# Keep secrets out of this file: any value may be { env = "NAME" } or { file = "PATH" }.

[app]
# The app's own URL, the `source` of every event. Not set by default.
# source = "https://api.example.com"

[outbox]
# Where events are stored until every sink has them. A relative path starts at this file; an absolute one is
# sqlite:///var/lib/app/events.db
url = "sqlite:supertokens-events.db"
# "full" also survives a power cut, at the price of one disk sync per commit.
# durability = "normal"
# How long an auth call waits for the outbox at most. Past it the call goes on and the event waits in memory.
# append_timeout = "1s"
# The most that it may take on disk, such as "500MB" or "2GiB". Not set by default.
# max_size = "2GB"
# What comes of a new event then: "refuse", or "drop_oldest_done" deletes older events that every sink has.
# when_full = "refuse"
# How long things are kept, or "forever". What is pending always stays.
# retention = { events = "90d", deliveries = "30d", dead = "90d", attempts = "30d", ledger = "forever" }
# Whether user.deleted, once it is delivered, erases that user's stored payloads.
# erase_on_user_deleted = false

[capture]
# Which event types to store. "@default" is every type that is not high-volume ('supertokens-events catalog' lists them).
# events = ["@default"]
# Which fields of an event's context to keep.
# context = ["ip", "user_agent", "method", "path", "request_id", "origin"]
# The networks of our own proxies: from them the header X-Forwarded-For is believed.
# trusted_proxies = ["10.0.0.0/8"]

[dispatcher]
# "thread": a thread of the app delivers. "off": the app only stores; 'supertokens-events dispatch' delivers.
# run = "thread"
# How often to look for what another process has stored.
# poll_interval = "500ms"
# Calls of each sink at once, where neither its table nor its type says.
# concurrency = 10

[server]
# The management API, 'supertokens-events serve': whoever shows one of these keys may do everything in it.
# api_keys = [{ env = "SUPERTOKENS_EVENTS_API_KEY" }]
# What secrets of sinks that are made through it are encrypted with, such as 'openssl rand -base64 32' prints.
# encryption_key = { env = "SUPERTOKENS_EVENTS_ENCRYPTION_KEY" }

[core]
# The SuperTokens core, as the app's init names it: what 'backfill' and 'reconcile' read. Not set by default.
# connection_uri = "http://localhost:3567"
# api_key = { env = "SUPERTOKENS_API_KEY" }

[reconcile]
# How often dispatchers compare what was told with the core, from "1m" on. Not set by default: never.
# every = "1h"
# Whether what is missing is said then, or only logged and counted.
# fix = false
# Whether tenants and who is in which, roles and who has them, are compared too.
# tenants = false
# roles = false

# Sinks: where events go, one table each. `events` holds types with '*' for one or more parts and '!' in front to exclude.
# Every sink also takes: tenants = ["public"], enabled = false, retry = { schedule = ["5s", "5m", "1h"], jitter = 0.2 },
#   where = { "data.method" = "passwordless" }, ordering = "user" (each user's events one after the other),
#   concurrency = 5 (calls at once), rate = "10/s"
"""

_AUDIT = """
[sinks.audit]
type = "file"
events = ["*"]
path = "auth-events.jsonl"
"""

_NO_SINK = """
# No sink type is installed yet: pip install supertokens-events-file
"""


def template(sink_types: Mapping[str, type[Sink[Any]]]) -> str:
    """The TOML. With the file sink installed it has one sink that works; the other types are there to be filled in."""
    others = [_example(name, sink_type) for name, sink_type in sorted(sink_types.items()) if name != "file"]
    return "".join([_CORE, _AUDIT if "file" in sink_types else "", *others, "" if sink_types else _NO_SINK])


def _example(name: str, sink_type: type[Sink[Any]]) -> str:
    fields = sorted(sink_type.Settings.model_fields.items(), key=lambda item: not item[1].is_required())
    keys = [line for key, field in fields for line in _key(name, field.alias or key, field)]
    lines = [f"[sinks.my_{name}]", f'type = "{name}"', 'events = ["user.*"]', *keys]
    return "\n" + "".join(f"# {line}\n" for line in lines)


def _key(sink_type: str, key: str, field: FieldInfo) -> Iterator[str]:
    """``key = default``; for a required one where it comes from. A default that TOML cannot say is left out."""
    if field.is_required():
        variable = f"MY_{sink_type}_{key}".upper()
        value = f'{{ env = "{variable}" }}' if "Secret" in repr(field.annotation) else '"…"'
        yield f"{key} = {value}  # required"
    elif isinstance(field.default, str | int | float):
        yield f"{key} = {json.dumps(field.default)}"
