"""The operation that sends again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from supertokens_events.operate.replay import Asked as Wish
from supertokens_events.operate.replay import Replay, ReplayRefused, select
from supertokens_events.outbox import DeliveryState, Replayed
from supertokens_events.server.asking import Asked
from supertokens_events.server.operations import Api, Call, Operation
from supertokens_events.server.problems import Refused
from supertokens_events.server.times import seconds_of

__all__ = ["OPERATIONS"]

_MOST_EVENTS = 1000


class ReplayWish(Asked):
    """What to send again: the deliveries of `events`, or those to `sink` in `state` whose events match `types` and were stored
    from `since` until before `until`. What is pending goes out anyway.
    """

    events: Annotated[list[str], Field(max_length=_MOST_EVENTS, description="Ids of events.")] = []
    sink: str | None = None
    state: Literal["dead", "done", "skipped"] = "dead"
    types: Annotated[list[str], Field(max_length=100, description="Event types, or patterns such as `user.*`.")] = []
    since: datetime | None = None
    until: datetime | None = None
    to: Annotated[str | None, Field(description="To this sink instead, whatever it subscribes to.")] = None
    held: Annotated[bool, Field(description="Also what a filter that failed has held back.")] = False
    again: Annotated[bool, Field(description="Also what `to` has, or what was replayed within the last minute.")] = (
        False
    )
    everything: Annotated[bool, Field(description="With `state` `done`: everything that the sink has ever got.")] = (
        False
    )
    dry_run: Annotated[bool, Field(description="Only count. Nothing changes.")] = False
    by: Annotated[str, Field(description="Who decided it, for the record.")] = "the management API"


class LeftAlone(BaseModel):
    """How many deliveries were asked for and are not due again, by why: what they are, or that their event was erased, that a
    filter that failed holds them back, or that they were replayed a moment ago.
    """

    pending: int
    done: int
    dead: int
    skipped: int
    erased: int
    held: int
    replayed: int


class ReplayFacts(BaseModel):
    """What came of it. `due` is how many deliveries are due again, or with `dry_run` would be; `unknown` are ids of events that
    are not there. `resumed`: the same was asked for before and not finished; it was gone on with.
    """

    due: int
    left_alone: LeftAlone
    unknown: list[str]
    dry_run: bool
    resumed: bool


def _replay(api: Api, call: Call) -> ReplayFacts:
    wish: ReplayWish = call.body
    unknown = [event_id for event_id in wish.events if api.outbox.event(event_id) is None]
    try:
        selection = select(api.outbox, api.settings.sinks, _asked(wish))
        replay = Replay(api.outbox, selection, by=wish.by, words=_words(wish))
    except ReplayRefused as refused:
        raise Refused(422, f"request: body: {refused}") from None
    found = replay.count() if wish.dry_run else _all_of(replay)
    left = {name: getattr(found, name) for name in LeftAlone.model_fields}
    resumed = replay.run is not None and replay.run.resumed
    return ReplayFacts(
        due=found.due, left_alone=LeftAlone(**left), unknown=unknown, dry_run=wish.dry_run, resumed=resumed
    )


def _asked(wish: ReplayWish) -> Wish:
    return Wish(
        event_ids=wish.events,
        sink=wish.sink,
        state=DeliveryState(wish.state),
        types=wish.types,
        since=seconds_of(wish.since),
        until=seconds_of(wish.until),
        to=wish.to,
        held=wish.held,
        again=wish.again,
        everything=wish.everything,
    )


def _words(wish: ReplayWish) -> str:
    """Whoever asks for the same goes on with what was interrupted; by whom is no part of that."""
    return "api " + wish.model_dump_json(exclude={"dry_run", "by"}, exclude_defaults=True)


def _all_of(replay: Replay) -> Replayed:
    """One step is one transaction: a dispatcher claims in between."""
    found = Replayed()
    for step in replay.steps():
        found = step
    return found


OPERATIONS = (
    Operation(
        *(
            "POST",
            "/v1/replay",
            "replay",
            "Send again: the same events with the same ids, to a sink that failed or missed them",
        ),
        *(_replay, ReplayFacts),
        body=ReplayWish,
    ),
)
