"""An event as Segment takes it: the messages of its calls, each in the bytes that are sent.

This is the hot path. An event is read from its JSON without being checked again: it was when it was emitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic_core import from_json, to_json

from supertokens_events.sink import Delivered, Delivery, Outcome, Rejected
from supertokens_events_segment.fields import IMPERSONAL, PERSONAL, hidden_by, without
from supertokens_events_segment.mapping import changed, known_types
from supertokens_events_segment.rules import Call, Rule
from supertokens_events_segment.settings import SegmentSettings
from supertokens_events_segment.traits import traits_of

__all__ = ["LIBRARY", "MAX_MESSAGE", "Mapper", "library_version"]

MAX_MESSAGE = 32 * 1024
"""How many bytes a message may have (Segment: 32 KB)."""

LIBRARY = "supertokens-events-segment"
_LONG_ID = 100  # characters: a messageId has fewer
_DEFAULT_TENANT = "public"  # where everybody is in an app without tenants
_MILLISECONDS = len("2026-11-23T07:15:22.104")
_CONTEXT = {"ip": "ip", "user_agent": "userAgent"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is said of one event type: its rule, and the fields of ``data`` that may become properties."""

    rule: Rule
    told: frozenset[str]


class Mapper:
    """Makes messages of deliveries, as the settings say."""

    def __init__(self, settings: SegmentSettings) -> None:
        self._settings = settings
        self._hidden = hidden_by(settings.traits)
        self._context = [(name, _CONTEXT[name]) for name in settings.context]
        self._library = {"name": LIBRARY, "version": library_version()}
        self._plans: dict[str, _Plan] = {}
        self._say: Mapping[Call, Callable[[_Plan, Json], Json | None]] = {
            "identify": self._identify,
            "track": self._track,
            "group": self._group,
            "alias": self._alias,
        }

    def messages(self, delivery: Delivery) -> list[bytes] | Outcome:
        """The messages of an event, or what comes of it without being sent."""
        plan = self._plans.get(delivery.event_type) or self._planned(delivery.event_type)
        event = _read(delivery.body)
        if event is None:
            return Rejected("what was stored is not an event: no JSON object with a type, data, context and actor")
        common = {"timestamp": event["timestamp"], "context": self._context_of(event)}
        messages = []
        for call in plan.rule.calls:
            if (said := self._say[call](plan, event)) is None:
                continue
            message_id = _message_id(delivery.event_id, call, plan.rule.calls)
            if len(message_id) >= _LONG_ID:
                return Rejected(f"the event's id has {len(delivery.event_id)} characters: Segment takes fewer than 100")
            message = to_json({"type": call, "messageId": message_id, **common, **said}, inf_nan_mode="null")
            if len(message) > MAX_MESSAGE:
                return _too_large(call, len(message))
            messages.append(message)
        return messages or Delivered({"sent": False, "why": _why_nothing(plan.rule)})

    def _planned(self, event_type: str) -> _Plan:
        rule = changed(event_type, self._settings.mapping.get(event_type))
        told = frozenset(rule.properties) if rule.properties is not None else self._usually_told(event_type)
        plan = self._plans[event_type] = _Plan(rule, told)
        return plan

    def _usually_told(self, event_type: str) -> frozenset[str]:
        """The fields of a built-in type that are about nobody, or allowed; of any other type nobody here can know."""
        data_model = known_types().get(event_type)
        fields = frozenset(data_model.model_fields) if data_model else frozenset()
        return fields & (IMPERSONAL.union(*PERSONAL.values()) - self._hidden)

    def _context_of(self, event: Json) -> Json:
        context: Json = {"library": self._library}
        source = event["context"]
        for name, theirs in self._context:
            if value := source.get(name):
                context[theirs] = value
        if (tenant := event.get("tenant_id")) and tenant != _DEFAULT_TENANT:
            context["groupId"] = tenant
        return context

    # The calls: what each adds to what all have, or None when the event has nothing to say by it ----------------------

    def _identify(self, _plan: _Plan, event: Json) -> Json | None:
        user = event.get("user_id")
        said = traits_of(event["type"], event["data"], event["timestamp"], self._settings.traits)
        return {"userId": user, "traits": said} if user and said else None

    def _track(self, plan: _Plan, event: Json) -> Json:
        rule = plan.rule
        name = rule.own_name if rule.own_name and _is_of_own_doing(event) else rule.name
        return {**self._who(event), "event": name, "properties": self._properties(plan, event["data"])}

    def _group(self, plan: _Plan, event: Json) -> Json | None:
        user, group = event.get("user_id"), _id_in(event, plan.rule.group_id, "tenant_id")
        return {"userId": user, "groupId": group, "traits": {}} if user and group else None

    def _alias(self, plan: _Plan, event: Json) -> Json | None:
        user = _id_in(event, plan.rule.user_id, "user_id")
        previous = _id_in(event, plan.rule.previous_id)
        return {"previousId": previous, "userId": user} if user and previous and user != previous else None

    def _who(self, event: Json) -> Json:
        """Whom it is about, else who did it, else nobody: one id for all of those, as Segment counts ids."""
        user = event.get("user_id") or (event["actor"].get("user_id") if event["actor"].get("type") == "user" else None)
        return {"userId": user} if user else {"anonymousId": self._settings.anonymous_id}

    def _properties(self, plan: _Plan, data: Json) -> Json:
        properties = {}
        for name, value in data.items():
            if name in plan.told and value is not None:
                properties[name] = without(value, self._hidden) if isinstance(value, dict | list) else value
        return properties


def _read(body: bytes) -> Json | None:
    """The event, its time in milliseconds as Segment's own libraries say it; ``None`` when it is none."""
    try:
        event = from_json(body)
    except ValueError:
        return None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        return None
    for part in ("data", "context", "actor"):
        if not isinstance(event.setdefault(part, {}), dict):
            return None
    event["timestamp"] = f"{event['timestamp'][:_MILLISECONDS]}Z" if isinstance(event.get("timestamp"), str) else None
    return event


def _message_id(event_id: str, call: Call, calls: Sequence[Call]) -> str:
    """The event's own id for what is tracked, or for its first call; for the others that id and the call."""
    return event_id if call == ("track" if "track" in calls else calls[0]) else f"{event_id}-{call}"


def _is_of_own_doing(event: Json) -> bool:
    """Whether users ended the session with which they came: signing out, not looking after their other devices."""
    actor = event["actor"]
    here = actor.get("type"), actor.get("user_id"), actor.get("session_handle")
    return here == ("user", event.get("user_id"), event["data"].get("session_handle"))


def _id_in(event: Json, field: str | None, otherwise: str = "") -> str | None:
    value = event.get(otherwise) if field is None else event["data"].get(field)
    return str(value) if isinstance(value, str | int) and value != "" else None


def _too_large(call: Call, size: int) -> Rejected:
    return Rejected(
        f"its {call} message has {size:,} bytes, and Segment takes {MAX_MESSAGE:,}: say with mapping which properties to send",
        {"bytes": size},
    )


def _why_nothing(rule: Rule) -> str:
    return "it says nothing by " + ", ".join(rule.calls) if rule.calls else "the mapping of its type is off"


@cache
def library_version() -> str:
    """This package's version."""
    try:
        return version(LIBRARY)
    except PackageNotFoundError:  # run from a checkout
        return "0"
