"""Messages in Block Kit: one event, or many together, within Slack's limits whatever they hold.

Limits: 50 blocks; a section's text 3,000 characters, its fields 10 of 2,000; and, documented nowhere, some 13,000 characters in
all blocks together (``msg_blocks_too_long``). A :class:`~supertokens_events_slack.template.Template` comes to 1,200 at most.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from supertokens_events.sink import Delivery
from supertokens_events_slack.fields import Document, document_of, happened_at
from supertokens_events_slack.fields import field as field_of
from supertokens_events_slack.mrkdwn import code, date, link
from supertokens_events_slack.template import Template, UrlTemplate
from supertokens_events_slack.texts import TEXTS, text_for_another, urgency_of

__all__ = ["Message", "Writer"]

Block = Mapping[str, Any]

_TOLD = 5  # events that are told one by one in a message about many
_TYPES = 20  # lines of counts
_VALUE = 120  # characters of a value in a field
_MORE_FIELDS = 4  # of the event's own data: with who, where from and the device nine, of the ten that Slack takes
_TOLD_ROOM = 8000  # characters that they may come to, with their JSON
_TEXT = 3000  # characters of the fallback: of 40,000 that Slack takes, more than any notification shows


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted. ``text`` is for notifications and screen readers, the blocks for everybody else."""

    text: str = field(repr=False)
    blocks: Sequence[Block] = field(repr=False)

    def payload(self) -> dict[str, Any]:
        """As both ``chat.postMessage`` and incoming webhooks take it. A URL in a value is nobody's wish to show a page."""
        return {"text": self.text, "blocks": list(self.blocks), "unfurl_links": False, "unfurl_media": False}


class Writer:
    """Writes messages. ``templates`` are a person's own texts by event type, ``dashboard`` is what each event links to."""

    def __init__(self, templates: Mapping[str, Template] | None = None, dashboard: UrlTemplate | None = None) -> None:
        self._templates = dict(templates or {})
        self._dashboard = dashboard

    def write(self, deliveries: Sequence[Delivery]) -> Message:
        """One message about all of ``deliveries``, of which there is at least one."""
        if len(deliveries) == 1:
            return self._about_one(document_of(deliveries[0]), deliveries[0].event_type)
        return self._about_many(deliveries)

    # One event -----------------------------------------------------------------------------------------------------

    def _about_one(self, document: Document, event_type: str) -> Message:
        sentence = self._sentence(document, event_type)
        facts = [*_facts(document), *_data(document, sentence), *_device(document)]
        fields = [_mrkdwn(f"*{label}*\n{text}") for label, text in facts]
        blocks: list[Block] = [_section(sentence)]
        if fields:
            blocks.append({"type": "section", "fields": fields})
        blocks.append(_context(self._origin(document, event_type)))
        return Message(sentence, blocks)

    def _sentence(self, document: Document, event_type: str) -> str:
        return urgency_of(event_type).sign + self._template(event_type).render(document)

    def _template(self, event_type: str) -> Template:
        template = self._templates.get(event_type)
        if template is None:
            text = TEXTS.get(event_type) or text_for_another(event_type[:_VALUE])
            template = self._templates[event_type] = Template.parse(text)
        return template

    def _origin(self, document: Document, event_type: str) -> str:
        parts = [code(event_type, _VALUE), code(document.get("id"), _VALUE)]
        if moment := happened_at(document):
            parts.insert(0, date(moment))
        return " · ".join([*parts, *self._link(document)])

    def _link(self, document: Document) -> Iterator[str]:
        if self._dashboard is not None and (url := self._dashboard.render(document)) is not None:
            yield link(url, "Open in the dashboard")

    # Many ----------------------------------------------------------------------------------------------------------

    def _about_many(self, deliveries: Sequence[Delivery]) -> Message:
        counts = Counter(delivery.event_type for delivery in deliveries)
        ranked = sorted(counts, key=lambda name: (urgency_of(name), -counts[name], name))
        documents = [document_of(delivery) for delivery in deliveries]
        events = [(document, delivery.event_type) for document, delivery in zip(documents, deliveries, strict=True)]
        told: list[Block] = []
        left = len(deliveries)
        for document, event_type in sorted(events, key=lambda event: urgency_of(event[1]))[:_TOLD]:
            more = [*self._told(document, event_type)]
            if _size(told) + _size(more) > _TOLD_ROOM:
                break
            told += more
            left -= 1
        lines = [f"*{len(deliveries)} events*", *(_count_lines(counts, ranked) if left else ()), *_spread(documents)]
        end = f"and {left} more · " if left else ""
        blocks = [_section("\n".join(lines)), *told, _context(end + _span(deliveries, documents))]
        summary = ", ".join(f"{counts[name]} {name[:_VALUE]}" for name in ranked)
        return Message(f"{urgency_of(ranked[0]).sign}{len(deliveries)} events: {summary}"[:_TEXT], blocks)

    def _told(self, document: Document, event_type: str) -> Iterator[Block]:
        yield _section(self._sentence(document, event_type))
        facts = [f"{label.lower()} {text}" for label, text in _facts(document) if label in {"From", "Tenant"}]
        yield _context(" · ".join([self._origin(document, event_type), *facts]))


def _facts(document: Document) -> Iterator[tuple[str, str]]:
    """Who and where from, each with its name."""
    for label, path in (("User", "user_id"), ("By", "actor"), ("From", "context.ip"), ("Tenant", "tenant_id")):
        value = _by(document) if path == "actor" else field_of(document, path)
        if value:
            yield label, code(value, _VALUE)


def _data(document: Document, sentence: str) -> Sequence[tuple[str, str]]:
    """What its own data says beyond ``sentence``, the first of it."""
    data = document.get("data")
    plain = data.items() if isinstance(data, Mapping) else ()
    known = (
        (str(name), code(value, _VALUE))
        for name, value in plain
        if isinstance(value, str | int | float) and value != ""
    )
    told = [*(text for _, text in _facts(document)), sentence]
    return [(_label(name), text) for name, text in known if not any(text in one for one in told)][:_MORE_FIELDS]


def _device(document: Document) -> Iterator[tuple[str, str]]:
    if agent := field_of(document, "context.user_agent"):
        yield "With", code(agent, _VALUE)


def _by(document: Document) -> str | None:
    """Who did it, where that is not the user whom it is about."""
    kind, user = field_of(document, "actor.type"), field_of(document, "actor.user_id")
    if kind in {None, "unknown"} or (kind == "user" and user == document.get("user_id")):
        return None
    known = field_of(document, "actor.email") or user
    return f"{kind} {known}" if known else str(kind)


def _label(name: str) -> str:
    words = name.replace("_", " ")[:_VALUE]
    shown = "".join(sign if sign.isalnum() or sign == " " else "\N{REPLACEMENT CHARACTER}" for sign in words)
    return shown[:1].upper() + shown[1:] if shown.strip() else "\N{REPLACEMENT CHARACTER}"


def _count_lines(counts: Mapping[str, int], ranked: Sequence[str]) -> Iterator[str]:
    for name in ranked[:_TYPES]:
        yield f"{counts[name]} \N{MULTIPLICATION SIGN} {urgency_of(name).sign}{code(name, _VALUE)}"
    if rest := ranked[_TYPES:]:
        yield f"{sum(counts[name] for name in rest)} \N{MULTIPLICATION SIGN} {len(rest)} other types"


def _spread(documents: Sequence[Document]) -> Iterator[str]:
    """About how many users, and from where: one address behind many failures is what to look for."""
    users = {user for document in documents if isinstance(user := document.get("user_id"), str)}
    sources = Counter(ip for document in documents if isinstance(ip := field_of(document, "context.ip"), str))
    parts = [f"{len(users)} users"] if len(users) > 1 else []
    if sources:
        most, times = sources.most_common(1)[0]
        everywhere = f"from {len(sources)} addresses, most from" if len(sources) > 1 else "from"
        parts.append(f"{everywhere} {code(most, _VALUE)} ({times})")
    if parts:
        yield " · ".join(parts)


def _span(deliveries: Sequence[Delivery], documents: Sequence[Document]) -> str:
    """From when to when, and which they are in the outbox."""
    moments = [moment for document in documents if (moment := happened_at(document))]
    sequences = [delivery.sequence for delivery in deliveries]
    times = " to ".join(dict.fromkeys(date(end(moments)) for end in (min, max))) if moments else ""
    return " · ".join(part for part in (times, f"sequence {min(sequences)} to {max(sequences)}") if part)


def _mrkdwn(text: str) -> Block:
    """``verbatim``: nothing in it is made a link or a mention that is not written as one."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _size(blocks: Sequence[Block]) -> int:
    return len(json.dumps(blocks, ensure_ascii=False))


def _section(text: str) -> Block:
    return {"type": "section", "text": _mrkdwn(text)}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text)]}
