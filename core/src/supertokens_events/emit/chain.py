"""The hook chain: enrich, redact, filter. What comes out is what is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from supertokens_events.emit.hooks import HookHung, Hooks
from supertokens_events.emit.routing import Plan, entry_for
from supertokens_events.emit.writer import Writer
from supertokens_events.event import Event
from supertokens_events.ledger import Ledger, Reason
from supertokens_events.outbox import HELD, Entry
from supertokens_events.plugins import HookResult

__all__ = ["Chain"]


class Chain:
    """One event's way through the hooks, by ``plan``, on the thread of ``writer``."""

    def __init__(self, hooks: Hooks, ledger: Ledger, plan: Plan, writer: Writer) -> None:
        self._hooks = hooks
        self._ledger = ledger
        self._plan = plan
        self._writer = writer

    def entry(self, event: Event) -> Entry | None:
        """The entry to store; ``None`` when the event is not wanted."""
        if not self._plan.captured.matches(event.type):
            self._ledger.count(Reason.CAPTURE_OFF, event_type=event.type)
            return None
        event = self._redact(self._enrich(event))
        wanted, held = self._filter(event)
        return entry_for(event, self._plan, held) if wanted else None

    def _enrich(self, event: Event) -> Event:
        for result in self._hooks.call(self._writer, "enrich_event", event.type, event=event):
            try:
                if result.value:
                    event = _with_context(event, result.value)
            except Exception as refused:
                result = replace(result, error=refused)  # noqa: PLW2901
            self._hooks.failed(Reason.ENRICH_FAILED, result, event.type)
        return event

    def _redact(self, event: Event) -> Event:
        if self._plan.context_fields is None:
            return event
        kept = {name: None for name in type(event.context).model_fields if name not in self._plan.context_fields}
        return event.model_copy(update={"context": event.context.model_copy(update=kept)})

    def _filter(self, event: Event) -> tuple[bool, str | None]:
        """Whether the event is wanted, and why its deliveries are held, if they are."""
        held: str | None = None
        for result in self._hooks.call(self._writer, "filter_event", event.type, event=event):
            self._hooks.failed(Reason.FILTER_FAILED, result, event.type)
            if result.error:
                held = f"{HELD}{result.plugin!r} {_what_it_did(result)}"
            elif result.value is False:
                self._ledger.count(Reason.FILTERED, subject=result.plugin, event_type=event.type)
                return False, None
        return True, held


def _what_it_did(result: HookResult) -> str:
    if isinstance(result.error, HookHung):
        return "was not asked: a hook of the plugin hangs"
    return f"raised {type(result.error).__name__}"


def _with_context(event: Event, added: Mapping[str, object]) -> Event:
    """``event`` with more context, validated and made into plain JSON values now: what cannot be stored is the hook's
    fault, not the event's.
    """
    context = type(event.context).model_validate({**event.context.model_dump(), **added})
    context.model_dump_json()
    return event.model_copy(update={"context": context})
