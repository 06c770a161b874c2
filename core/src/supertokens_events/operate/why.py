"""Why: what became of an event at each sink, and what will, in sentences."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from supertokens_events.config import SinkConfig
from supertokens_events.operate.wanting import wanting
from supertokens_events.operate.words import age_in_words, counted, rate_in_words, time_in_words
from supertokens_events.outbox import (
    ERASED,
    HELD,
    Attempt,
    Breaker,
    DeliveryState,
    Disabled,
    Dispatching,
    Outbox,
    Retention,
    StoredDelivery,
    StoredEvent,
)
from supertokens_events.sink import is_handler

__all__ = ["Explained", "explain"]


class Explained(NamedTuple):
    """What is to be said about one sink. ``state`` is that of its delivery; ``None``: it has none."""

    sink: str
    state: DeliveryState | None
    sentences: tuple[str, ...]


class _Facts(NamedTuple):
    """What holds for all sinks, or by sink, at one moment."""

    event: StoredEvent
    breakers: Mapping[str, Breaker]
    disabled: Mapping[str, Disabled]
    dispatchers: tuple[Dispatching, ...]
    retention: Retention
    now: float


def explain(
    outbox: Outbox,
    sinks: Mapping[str, SinkConfig],
    retention: Retention,
    event: StoredEvent,
    *,
    now: float | None = None,
) -> list[Explained]:
    """What became of ``event`` at every sink that is configured or has a delivery of it, by name. ``now`` is the time that
    sentences count from, in seconds since the epoch.
    """
    deliveries = {delivery.sink: delivery for delivery in outbox.deliveries(event_id=event.id, limit=10_000)}
    dispatchers = tuple(one for one in outbox.dispatchers() if not one.is_silent)
    moment = time.time() if now is None else now
    facts = _Facts(event, outbox.breakers(), outbox.disabled(), dispatchers, retention, moment)
    return [_explain(name, sinks.get(name), deliveries.get(name), facts) for name in sorted({*sinks, *deliveries})]


def _explain(name: str, config: SinkConfig | None, delivery: StoredDelivery | None, facts: _Facts) -> Explained:
    if delivery is None:
        assert config is not None
        return Explained(name, None, tuple(_not_there(config, facts)))
    sentences = [
        *_matched(config, delivery.sink, facts),
        *(_attempt(attempt, facts) for attempt in delivery.attempts),
        *_state(config, delivery, facts),
    ]
    return Explained(name, delivery.state, tuple(sentences))


# No delivery ------------------------------------------------------------------------------------------------------------


def _not_there(config: SinkConfig, facts: _Facts) -> Iterator[str]:
    now = wanting(config, facts.event)
    if not now.wanted:
        yield f"It has no delivery, and would get none now: {now.because}."
        return
    yield f"It has no delivery, and would get one now: {now.because}."
    yield "So it was added, or what it wants was changed, after the event was stored; " + _or_pruned(facts)
    yield f"'supertokens-events replay {facts.event.id} --to {config.name}' sends it."


def _or_pruned(facts: _Facts) -> str:
    age = facts.retention.deliveries
    if age is not None and facts.now - facts.event.stored_at > age:
        return f"or it was delivered and pruned: that goes after {age_in_words(age)}."
    return "or 'where' did not hold before a plugin changed, or a retention was shorter then."


def _matched(config: SinkConfig | None, sink: str, facts: _Facts) -> Iterator[str]:
    if config is None and is_handler(sink):
        yield "It was wanted when it was stored, by a handler of the app."
        return
    if config is None:
        yield "It was wanted when it was stored; the sink is not configured any more."
        return
    now = wanting(config, facts.event)
    if now.wanted:
        yield f"It is wanted: {now.because}."
    else:
        yield f"It was wanted when it was stored, or a person sent it; now it would not be: {now.because}."


# A delivery -------------------------------------------------------------------------------------------------------------


def _attempt(attempt: Attempt, facts: _Facts) -> str:
    when = time_in_words(attempt.started_at, now=facts.now)
    if attempt.outcome == "replayed":
        source = f", from what {attempt.detail['from']} had" if "from" in attempt.detail else ""
        return f"Replayed {when} {attempt.reason}{source}: its schedule began anew."
    took = f"after {attempt.duration * 1000:,.0f} ms"
    status = f" (status {attempt.detail['status']})" if "status" in attempt.detail else ""
    if attempt.outcome == "delivered":
        return f"Attempt {attempt.number}, {when}: delivered {took}{status}."
    if attempt.outcome == "rejected":
        return f"Attempt {attempt.number}, {when}: rejected for good {took}{status}: {attempt.reason}."
    return f"Attempt {attempt.number}, {when}: failed {took}{status}: {attempt.reason}."


def _state(config: SinkConfig | None, delivery: StoredDelivery, facts: _Facts) -> Iterator[str]:
    match delivery.state:
        case DeliveryState.DONE:
            yield "Done: the sink has it."
            if not delivery.attempts:
                yield "When it was tried is not known any more: attempts are pruned."
        case DeliveryState.DEAD:
            yield from _dead(config, delivery, facts)
        case DeliveryState.SKIPPED:
            yield f"Skipped: {delivery.reason or 'it was not meant to go out'}."
            yield f"{_replay(config, delivery, ' --state skipped')} sends it."
        case DeliveryState.PENDING:
            yield from _waiting(config, delivery, facts)


def _replay(config: SinkConfig | None, delivery: StoredDelivery, more: str = "") -> str:
    """The command; what a sink had that is gone can only go to another one."""
    if config is None and not is_handler(delivery.sink):
        return f"'supertokens-events replay {delivery.event_id} --to NAME'"
    return f"'supertokens-events replay {delivery.event_id} --sink {delivery.sink}{more}'"


def _dead(config: SinkConfig | None, delivery: StoredDelivery, facts: _Facts) -> Iterator[str]:
    if delivery.reason == ERASED:
        yield "Dead: the event was erased before it went out. There is nothing left to send."
    elif facts.event.body is None:
        yield f"Dead: {delivery.reason}, and so is the event. There is nothing left to send."
    elif (delivery.reason or "").startswith(HELD):
        yield f"Dead: {delivery.reason}. A filter that fails lets nothing out: it may be an event that should not leave."
        yield f"When you have made sure that it may: {_replay(config, delivery, ' --held')} sends it."
    else:
        yield f"Dead: {delivery.reason}."
        yield f"When what was wrong is mended: {_replay(config, delivery)} sends it again."


def _waiting(config: SinkConfig | None, delivery: StoredDelivery, facts: _Facts) -> Iterator[str]:
    """What stands in the way, the last first: what would still be there when the others are gone."""
    held = delivery.held_until is not None and delivery.held_until > facts.now
    breaker = facts.breakers.get(delivery.sink)
    if config is None and not is_handler(delivery.sink):
        yield "Pending, and nobody delivers it: the sink is not configured any more."
    elif config is not None and not config.enabled:
        yield f"Pending, and nobody delivers it: the sink is turned off in the configuration (sinks.{config.name}.enabled)."
    elif config is not None and config.sink_type is None:
        yield f"Pending: the plugin of its type {config.type_name!r} failed to load; see 'supertokens-events plugins'."
    elif (disabled := facts.disabled.get(delivery.sink)) is not None:
        since = time_in_words(disabled.since, now=facts.now)
        yield f"Pending: its place wants no more events since {since}: {disabled.reason}."
        yield f"'supertokens-events enable {delivery.sink}' lets it go out."
    elif held:
        until = time_in_words(delivery.held_until, now=facts.now)
        yield f"Pending: a dispatcher has it at this moment; should that one die, its lease ends {until}."
    elif delivery.behind is not None:
        yield f'Pending: it waits for {delivery.behind}, an earlier event of the same user (ordering = "user").'
    elif breaker is not None:
        yield from _away(breaker, facts)
    else:
        yield from _due(config, delivery, facts)


def _away(breaker: Breaker, facts: _Facts) -> Iterator[str]:
    since = time_in_words(breaker.failing_since, now=facts.now)
    yield f"Pending: its place is away since {since}: {breaker.reason}. What waits uses up no attempts."
    probe = time_in_words(breaker.probe_at, now=facts.now)
    yield f"{counted(breaker.probes, 'probe')} failed; the next one is due {probe}, and when it succeeds, this goes out."


def _due(config: SinkConfig | None, delivery: StoredDelivery, facts: _Facts) -> Iterator[str]:
    when = time_in_words(delivery.due_at, now=facts.now)
    if config is None:
        yield f"Pending: attempt {delivery.used + 1} is due {when}, in the app that has the handler."
        return
    if delivery.due_at > facts.now:
        yield f"Pending: attempt {delivery.used + 1} of {config.retry.attempts} is due {when}."
    elif not facts.dispatchers:
        yield f"Pending, due {when}, and no dispatcher is running: start the app's, or 'supertokens-events dispatch'."
        return
    else:
        yield f"Pending, due {when}: a dispatcher takes it when those before it are under way."
    if config.rate is not None:
        yield f"The sink gets at most {rate_in_words(config.rate)}."
