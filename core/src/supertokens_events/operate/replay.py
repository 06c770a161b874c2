"""Replay: a person's decision to make deliveries due again. Asked for, counted, and made in steps that can be interrupted."""

from __future__ import annotations

import getpass
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from supertokens_events.config import SinkConfig
from supertokens_events.operate.types import stored_types
from supertokens_events.outbox import DeliveryState, Outbox, Replayed, Run, Selection
from supertokens_events.sink import is_handler
from supertokens_events.suggest import nearest

__all__ = ["Asked", "Replay", "ReplayRefused", "operator", "refusal", "select"]

_AT_ONCE = 500  # deliveries in one transaction
_PACE = 0.25  # seconds' worth of deliveries in one step, where there is a rate
_SIGN_OF_LIFE = 10.0  # seconds
_LONGEST_NAME = 200  # characters


class ReplayRefused(ValueError):
    """A replay that would do nothing, or not what was meant: a sentence that says what to do instead."""


class Asked(NamedTuple):
    """A replay as a person asks for it: of ``event_ids``, to ``sink`` or wherever they went, or of the deliveries to ``sink``
    in ``state`` whose events match ``types`` (patterns) and were stored from ``since`` until before ``until``.

    ``to``: to this sink instead. ``held``, ``again``: see :class:`~supertokens_events.outbox.Selection`. ``everything`` has to
    be said to send again all that a sink has.
    """

    event_ids: Sequence[str] = ()
    sink: str | None = None
    state: DeliveryState = DeliveryState.DEAD
    types: Sequence[str] = ()
    since: float | None = None
    until: float | None = None
    to: str | None = None
    held: bool = False
    again: bool = False
    everything: bool = False


def operator() -> str:
    """Who runs this process: a login name, or else its number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for its user
        return f"uid {os.getuid()}"


# What may be asked for --------------------------------------------------------------------------------------------------


def select(outbox: Outbox, sinks: Mapping[str, SinkConfig], asked: Asked) -> Selection:
    """The selection that ``asked`` means, by what is configured and stored now. Raises :class:`ReplayRefused`."""
    asked = asked._replace(to=None if asked.to == asked.sink else asked.to)
    _check_range(asked)
    for name in sorted(_targets(outbox, asked)):
        if sentence := refusal(outbox, sinks, name):
            raise ReplayRefused(sentence)
    target = sinks.get(asked.to or "")
    return Selection(
        sink=asked.sink,
        event_ids=tuple(dict.fromkeys(asked.event_ids)),
        state=asked.state,
        types=_types(outbox, asked.types),
        since=asked.since,
        until=asked.until,
        to=asked.to,
        ordered=target is not None and target.ordered,
        held=asked.held,
        again=asked.again,
    )


def refusal(outbox: Outbox, sinks: Mapping[str, SinkConfig], name: str) -> str | None:
    """Why nothing can be sent to the sink ``name`` now, and what to do about it; ``None`` when it can."""
    config = sinks.get(name)
    if config is None and is_handler(name):
        return None  # its app delivers
    if config is None:
        known = nearest(name, sinks) or f"; configured: {', '.join(sinks) or 'none'}"
        return f"there is no sink {name!r}{known}; what a sink had that is gone can be sent to another one (--to)"
    if not config.enabled:
        return f"the sink {name!r} is turned off in the configuration: turn it on first (sinks.{name}.enabled)"
    if config.sink_type is None:
        return f"the sink {name!r} cannot deliver: the plugin of its type {config.type_name!r} failed to load"
    if (disabled := outbox.disabled().get(name)) is not None:
        return (
            f"the sink {name!r} is disabled, its place wants no more events: {disabled.reason}; "
            f"'supertokens-events enable {name}' lets them go out"
        )
    return None


def _check_range(asked: Asked) -> None:
    bounds = (asked.since, asked.until)
    ranged = bool(asked.types) or bounds != (None, None)
    if asked.state is DeliveryState.PENDING:
        raise ReplayRefused("what is pending goes out anyway: replay what is dead, done or skipped")
    if not asked.event_ids and asked.sink is None:
        raise ReplayRefused("say what to replay: ids of events, or the sink whose deliveries it is about")
    if asked.event_ids and ranged:
        raise ReplayRefused("ids of events and a range of types or times exclude each other")
    if asked.event_ids and asked.sink is not None and asked.to is not None:
        raise ReplayRefused(
            "events that are named go to another sink whatever they were sent to before: leave one sink out"
        )
    if asked.since is not None and asked.until is not None and asked.since >= asked.until:
        raise ReplayRefused("the range of times is empty: it ends before it begins")
    if (
        asked.sink is not None
        and asked.state is DeliveryState.DONE
        and not (asked.event_ids or ranged or asked.everything)
    ):
        raise ReplayRefused(
            f"that is everything that {asked.sink!r} has ever got: give a range of times or types, "
            "or say that all is meant (--all)"
        )


def _targets(outbox: Outbox, asked: Asked) -> set[str]:
    """The sinks that would get something."""
    if name := asked.to or asked.sink:
        return {name}
    found = (delivery for id_ in asked.event_ids for delivery in outbox.deliveries(event_id=id_))
    return {delivery.sink for delivery in found if delivery.state is asked.state}


def _types(outbox: Outbox, patterns: Sequence[str]) -> tuple[str, ...] | None:
    try:
        return stored_types(outbox, patterns)
    except ValueError as error:
        raise ReplayRefused(str(error)) from None


# Doing it ---------------------------------------------------------------------------------------------------------------


class Replay:
    """A replay of ``selection`` by the person ``by``.

    ``words`` is how it was asked for (by default the selection itself): the same words go on with a replay that was interrupted,
    unless ``anew``. ``rate`` is how many deliveries become due each second; ``None``: all at once, and the sink's own rate and
    concurrency hold. Raises :class:`ReplayRefused` when ``by`` is no name, or ``rate`` is none.
    """

    def __init__(
        self,
        outbox: Outbox,
        selection: Selection,
        *,
        by: str,
        words: str | None = None,
        rate: float | None = None,
        anew: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        if not by.strip() or len(by) > _LONGEST_NAME or not by.isprintable():
            raise ReplayRefused(f"say who replays: a name of at most {_LONGEST_NAME} characters")
        if rate is not None and not 0 < rate < math.inf:
            raise ReplayRefused("a rate is a number of deliveries a second, more than 0")
        self.selection = selection
        self.run: Run | None = None
        self._outbox = outbox
        self._by = by
        self._words = words or selection.to_json()
        self._rate = rate
        self._anew = anew
        self._clock = clock
        self._sleep = sleep

    def count(self) -> Replayed:
        """What it would come to by now. Nothing changes."""
        return self._outbox.replayable(self.selection)

    def steps(self) -> Iterator[Replayed]:
        """Do it; what has come of it so far, after each step. Whoever stops in between, or is killed, can go on later: see
        ``words``.
        """
        run = self.run = self._outbox.begin_replay(self.selection, asked=self._words, by=self._by, anew=self._anew)
        began, total, after = self._clock(), Replayed(), 0
        while True:
            step = self._outbox.replay(run, by=self._by, after=after, limit=self._step_size())
            total = total.plus(step)
            yield total
            if step.last is None:
                break
            after = step.last
            if self._rate is not None:
                self._wait_until(began + total.due / self._rate)
        self._outbox.end_replay(run)

    def _step_size(self) -> int:
        return _AT_ONCE if self._rate is None else max(1, min(_AT_ONCE, round(self._rate * _PACE)))

    def _wait_until(self, moment: float) -> None:
        """With a sign of life now and then: what shows none for a while counts as interrupted."""
        assert self.run is not None
        while (rest := moment - self._clock()) > 0:
            self._sleep(min(rest, _SIGN_OF_LIFE))
            if rest > _SIGN_OF_LIFE:
                self._outbox.replay(self.run, by=self._by, limit=0)
