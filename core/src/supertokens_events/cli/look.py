"""``status``, ``events`` and ``deliveries``: what is in the outbox."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from supertokens_events.cli.asking import limit_option, since_option, type_option, until_option
from supertokens_events.cli.group import Problem
from supertokens_events.cli.output import (
    counted,
    duration_in_words,
    iso_time,
    json_option,
    print_json,
    print_table,
    printable,
    rate_in_words,
    size_in_words,
    time_in_words,
)
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.config import SinkConfig
    from supertokens_events.hook_times import HookTime
    from supertokens_events.outbox import (
        Attempt,
        Breaker,
        Dispatching,
        LedgerCount,
        SinkStatus,
        StoredDelivery,
        StoredEvent,
    )

__all__ = ["deliveries", "delivery_facts", "events", "status"]

_HOUR, _DAY = 3600.0, 86400.0  # seconds
_LAST_SEQUENCE = 2**63 - 1  # that an outbox can count to


def _cursor(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """The ``cursor`` of a delivery: its event's sequence, and its own number."""
    match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", value or "")
    if value is not None and match is None:
        raise click.BadParameter(f"expected the 'cursor' of a delivery, such as '1042-7', got {value!r}")
    return (int(match[1]), int(match[2] or _LAST_SEQUENCE)) if match else None


class _Size(NamedTuple):
    """How large the outbox is, and how it grows."""

    events: int
    bytes: int
    last_hour: int
    last_day: int


# status ----------------------------------------------------------------------------------------------------------------


@click.command()
@json_option
@pass_project
def status(project: Project, *, as_json: bool) -> None:
    """How each sink stands, and what was not delivered.

    The deliveries of each sink by state, the size of the outbox, and the ledger: what did not become a delivery, and why. Then
    how long the hooks of plugins took in the last 24 hours.
    """
    with project.outbox() as outbox:
        found, ledger, hooks = outbox.status(), outbox.ledger(), outbox.hook_times()
        size = _Size(*outbox.counts(), outbox.stored_within(_HOUR), outbox.stored_within(_DAY))
        dispatchers = outbox.dispatchers()
    sinks = list(_with_configuration(found, project.settings_with_stored.sinks))
    if as_json:
        for one, state in sinks:
            config = project.settings_with_stored.sinks.get(one.sink)
            print_json({"kind": "sink", "configuration": state, "rate": config and config.rate, **_sink_facts(one)})
        print_json({"kind": "outbox", **size._asdict()})
        for one_dispatcher in dispatchers:
            facts = one_dispatcher.pulse._asdict() | _in_iso(one_dispatcher._asdict(), "began_at", "seen_at")
            print_json({"kind": "dispatcher", **{name: value for name, value in facts.items() if name != "pulse"}})
        for count in ledger:
            print_json({"kind": "ledger", **_in_iso(asdict(count), "first_at", "last_at")})
        for hook in hooks:
            print_json({"kind": "hook", **_in_iso(asdict(hook), "last_at")})
    else:
        _print_status(sinks, project.settings_with_stored.sinks)
        _print_outbox(size, dispatchers, ledger)
        _print_hooks(hooks)


def _sink_facts(one: SinkStatus) -> dict[str, Any]:
    facts = _in_iso(one._asdict(), "oldest", "last_success", "last_failure")
    disabled = one.disabled and _in_iso(one.disabled._asdict(), "since")
    return {**facts, "breaker": _breaker_facts(one.breaker), "disabled": disabled}


def _breaker_facts(breaker: Breaker | None) -> dict[str, Any] | None:
    """An open breaker: since when, how many probes have failed, what the last one brought back, when the next is due."""
    if breaker is None:
        return None
    facts = _in_iso(breaker._asdict(), "open_since", "failing_since", "probe_at")
    return {**facts, "detail": dict(breaker.detail)}


def _with_configuration(
    found: list[SinkStatus], configured: Mapping[str, SinkConfig]
) -> Iterator[tuple[SinkStatus, str]]:
    """Every sink that is configured or has deliveries, and what the configuration says about it."""
    from supertokens_events.outbox import SinkStatus
    from supertokens_events.sink import is_handler

    statuses = {one.sink: one for one in found}
    for name in sorted({*statuses, *configured}):
        config = configured.get(name)
        if config is None:
            state = "a handler of the app" if is_handler(name) else "not configured any more"
        elif config.sink_type is None:
            state = "plugin failed to load"
        else:
            state = "on" if config.enabled else "turned off"
        yield statuses.get(name, SinkStatus(name)), state


def _print_status(
    sinks: list[tuple[SinkStatus, str]],
    configured: Mapping[str, SinkConfig],
) -> None:
    if sinks:
        print_table(
            ["sink", "pending", "due", "done", "dead", "oldest", "last success"],
            [_sink_row(*sink) for sink in sinks],
            keep=0,
        )
    else:
        click.echo("There is no sink: events are stored and go nowhere.")
    for sentence in (sentence for one, _ in sinks for sentence in _remarks(one, configured.get(one.sink))):
        click.echo(printable(f"\n{sentence}"))


def _print_outbox(size: _Size, dispatchers: list[Dispatching], ledger: list[LedgerCount]) -> None:
    growth = f"{size.last_hour:,} in the last hour, {size.last_day:,} in the last day"
    click.echo(f"\noutbox: {counted(size.events, 'event')}, {size_in_words(size.bytes)}; {growth}")
    for one in dispatchers:
        click.echo(printable(f"dispatcher: {_dispatcher(one)}"))
    if not dispatchers:
        click.echo("dispatcher: none runs; what is due waits")
    if ledger:
        click.echo()
        print_table(["ledger", "about", "event type", "count", "last"], map(_ledger_row, ledger))


def _dispatcher(one: Dispatching) -> str:
    pulse = one.pulse
    leads = f"delivers to {', '.join(pulse.leads)}" if pulse.leads else "stands by"
    last = time_in_words(one.seen_at, now=one.seen_at + one.silent)
    silent = f"; silent since {last}: it has died, or hangs" if one.is_silent else f"; last seen {last}"
    return f"{pulse.host}, process {pulse.pid}, version {pulse.version}: {leads}{silent}"


def _remarks(one: SinkStatus, config: SinkConfig | None) -> Iterator[str]:
    breaker = one.breaker
    if one.disabled is not None:
        yield (
            f"{one.sink} is disabled since {time_in_words(one.disabled.since)}: {one.disabled.reason}\n"
            f"its deliveries wait; 'supertokens-events enable {one.sink}' lets them go out"
        )
    elif breaker is not None:
        yield (
            f"{one.sink} is away since {time_in_words(breaker.failing_since)}: {breaker.reason}\n"
            f"{counted(breaker.probes, 'probe')} failed; its deliveries wait; the next probe is due "
            f"{time_in_words(breaker.probe_at)}"
        )
    elif one.last_failure is not None:
        yield f"{one.sink} failed last {time_in_words(one.last_failure)}: {one.last_reason}"
    if one.blocked:
        waiting = counted(one.blocked, "delivery waits", "deliveries wait")
        yield f"{one.sink}: {waiting} for an earlier one of the same user"
    if config is not None and config.rate is not None and one.due:
        yield f"{one.sink} gets at most {rate_in_words(config.rate)}"


def _sink_row(one: SinkStatus, state: str) -> tuple[str, ...]:
    name = one.sink if state == "on" else f"{one.sink}\n({state})"
    numbers = [f"{number:,}" for number in (one.pending, one.due, one.done, one.dead)]
    return name, *numbers, time_in_words(one.oldest), time_in_words(one.last_success)


def _ledger_row(count: LedgerCount) -> tuple[str, ...]:
    return count.reason, count.subject or "-", count.event_type or "-", f"{count.count:,}", time_in_words(count.last_at)


def _print_hooks(hooks: list[HookTime]) -> None:
    if hooks:
        click.echo()
        print_table(
            ["plugin", "hook, last 24 h", "calls", "failed", "median", "longest", "total"],
            [(one.plugin, one.hook, f"{one.calls:,}", f"{one.failures:,}", *_durations(one)) for one in hooks],
        )


def _durations(one: HookTime) -> Iterator[str]:
    return map(duration_in_words, (one.median, one.longest, one.total))


# events ----------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("event_id", metavar="[ID]", required=False)
@type_option
@click.option("--user-id", metavar="ID", help="Only events about this user.")
@click.option("--tenant-id", metavar="ID", help="Only events of this tenant.")
@click.option("--correlation-id", metavar="ID", help="Only events of this request.")
@since_option
@until_option
@click.option(
    "--after", metavar="SEQUENCE", type=click.IntRange(0, _LAST_SEQUENCE), help="The first ones after this sequence."
)
@click.option("--follow", is_flag=True, help="Go on with what is stored from now on, until Ctrl-C.")
@limit_option
@json_option
@pass_project
def events(
    project: Project,
    /,
    *,
    event_id: str | None,
    types: Sequence[str],
    after: int | None,
    follow: bool,
    limit: int,
    as_json: bool,
    **asked: Any,
) -> None:
    """The stored events, or one of them.

    The latest ones, oldest first; with ID the one event as it was stored.
    """
    from supertokens_events.operate.following import following
    from supertokens_events.operate.types import stored_types
    from supertokens_events.outbox import Wanted

    with project.outbox() as outbox:
        if event_id is not None:
            _print_event(outbox.event(event_id), event_id, as_json=as_json)
            return

        def read(after: int | None) -> Sequence[StoredEvent]:
            wanted = Wanted(types=stored_types(outbox, types), **asked)  # there may be new types
            return outbox.events(after=after, limit=limit, wanted=wanted)

        if follow:
            for number, page in enumerate(following(read, after, cursor=lambda event: event.sequence, start=0)):
                _print_events(page, as_json=as_json, header=not number)
            return
        found = read(after)
    _print_events(found, as_json=as_json)
    if after is not None and len(found) == limit and not as_json:
        click.echo(f"\nthe next ones: --after {found[-1].sequence}")


def _print_event(event: StoredEvent | None, event_id: str, *, as_json: bool) -> None:
    if event is None:
        raise Problem(f"there is no event {event_id!r} in the outbox")
    if as_json:
        print_json(_document(event))
    else:
        click.echo(printable(json.dumps(_document(event), indent=2, ensure_ascii=False)))


def _print_events(found: Sequence[StoredEvent], *, as_json: bool, header: bool = True) -> None:
    if as_json:
        for event in found:
            print_json(_document(event))
    else:
        print_table(["event", "type and user", "stored"], map(_event_row, found), header=header)


def _document(event: StoredEvent) -> dict[str, Any]:
    """The event as it was stored; what is left of it when it was erased."""
    if event.body is not None:
        document: dict[str, Any] = json.loads(event.body)
        return document
    kept = {name: value for name, value in asdict(event).items() if name not in ("body", "stored_at")}
    return {**kept, "erased": True}


def _event_row(event: StoredEvent) -> tuple[str, str, str]:
    return f"{event.id}\n#{event.sequence}", f"{event.type}\n{event.user_id or '-'}", time_in_words(event.stored_at)


# deliveries ------------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--sink", metavar="NAME", help="Only deliveries to this sink.")
@click.option("--state", type=click.Choice(["pending", "done", "dead", "skipped"]))
@type_option
@click.option("--user-id", metavar="ID", help="Only events about this user.")
@click.option("--tenant-id", metavar="ID", help="Only events of this tenant.")
@click.option("--correlation-id", metavar="ID", help="Only events of this request.")
@since_option
@until_option
@click.option("--event", "event_id", metavar="ID", help="Only the deliveries of this event.")
@click.option("--after", metavar="CURSOR", callback=_cursor, help="The first ones after this one, such as '1042-7'.")
@click.option("--follow", is_flag=True, help="Go on with the deliveries of later events, until Ctrl-C.")
@limit_option
@json_option
@pass_project
def deliveries(
    project: Project,
    /,
    *,
    state: str | None,
    types: Sequence[str],
    after: tuple[int, int] | None,
    follow: bool,
    limit: int,
    as_json: bool,
    **asked: Any,
) -> None:
    """The deliveries, with every attempt.

    The latest ones that match, in the order of their events. Those that wait for a place that is away say so: a probe that
    fails is no attempt of theirs.
    """
    from supertokens_events.operate.following import following
    from supertokens_events.operate.types import stored_types
    from supertokens_events.outbox import DeliveryState, Wanted

    with project.outbox() as outbox:

        def read(after: tuple[int, int] | None) -> Sequence[StoredDelivery]:
            of_types = stored_types(outbox, types)
            wanted = Wanted(types=of_types, state=DeliveryState(state) if state else None, **asked)
            return outbox.deliveries(after=after, limit=limit, wanted=wanted)

        if follow:
            for number, page in enumerate(following(read, after, cursor=lambda one: one.cursor, start=(0, 0))):
                _print_deliveries(page, outbox.breakers(), as_json=as_json, header=not number)
            return
        found, breakers = read(after), outbox.breakers()
    _print_deliveries(found, breakers, as_json=as_json)
    if after is not None and len(found) == limit and not as_json:
        click.echo(f"\nthe next ones: --after {_cursor_text(found[-1])}")


def _print_deliveries(
    found: Sequence[StoredDelivery], breakers: Mapping[str, Breaker], *, as_json: bool, header: bool = True
) -> None:
    waiting = [(one, breakers.get(one.sink) if one.state == "pending" else None) for one in found]
    if as_json:
        for delivery, breaker in waiting:
            print_json(delivery_facts(delivery, breaker))
    else:
        print_table(["event", "sink", "state and attempts"], [_delivery_row(*one) for one in waiting], header=header)


def _cursor_text(one: StoredDelivery) -> str:
    return "-".join(map(str, one.cursor))


def delivery_facts(delivery: StoredDelivery, breaker: Breaker | None = None) -> dict[str, Any]:
    """A delivery as ``--json`` shows it."""
    attempts = [_in_iso(attempt._asdict(), "started_at") for attempt in delivery.attempts]
    facts = _in_iso(delivery._asdict(), "due_at", "stored_at", "held_until")
    return {**facts, "attempts": attempts, "breaker": _breaker_facts(breaker), "cursor": _cursor_text(delivery)}


def _delivery_row(delivery: StoredDelivery, breaker: Breaker | None) -> tuple[str, str, str]:
    reason = [delivery.reason] if delivery.reason and not delivery.attempts else []
    lines = [_state_line(delivery, breaker), *reason, *map(_attempt_line, delivery.attempts)]
    return f"{delivery.event_id}\n{delivery.event_type}", delivery.sink, "\n".join(lines)


def _state_line(delivery: StoredDelivery, breaker: Breaker | None) -> str:
    if delivery.state != "pending":
        return str(delivery.state)
    if breaker is None:
        return f"pending, due {time_in_words(delivery.due_at)}"
    return f"pending, the place is away: {breaker.reason}\nnext probe {time_in_words(breaker.probe_at)}"


def _attempt_line(attempt: Attempt) -> str:
    if attempt.outcome == "replayed":
        return f"{attempt.number}. {time_in_words(attempt.started_at)}: replayed {attempt.reason}"
    what = (
        f"{attempt.number}. {time_in_words(attempt.started_at)}: {attempt.outcome}, {attempt.duration * 1000:,.0f} ms"
    )
    return f"{what}: {attempt.reason}" if attempt.reason else what


def _in_iso(facts: dict[str, Any], *times: str) -> dict[str, Any]:
    return {name: iso_time(value) if name in times else value for name, value in facts.items()}
