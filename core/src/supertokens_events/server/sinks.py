"""Operations on sinks."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, JsonValue

from supertokens_events.config.model import CommonSinkKeys
from supertokens_events.retry import Duration
from supertokens_events.server.answers import (
    SinkDeleted,
    SinkEnabled,
    SinkFacts,
    SinkList,
    SinkMade,
    SinkTypeFacts,
    SinkTypeList,
    TestSent,
)
from supertokens_events.server.asking import Asked
from supertokens_events.server.operations import Api, Call, Operation
from supertokens_events.server.problems import Refused

__all__ = ["OPERATIONS"]

_WEEK = 7 * 86400.0  # seconds

Table = Annotated[
    dict[str, JsonValue], Field(description="Keys of the sink's table, as in TOML, without type and enabled.")
]
Revision = Annotated[int | None, Field(description="Only when this is still its revision; else the answer is 409.")]


class NewSink(Asked):
    """A sink to make."""

    name: str = Field(max_length=100)
    type: str
    settings: Table
    enabled: bool = True


class SinkChange(Asked):
    """What is to be different. In `settings` null takes a key away, and what is not named stays as it is."""

    settings: Table = {}
    enabled: bool | None = None
    revision: Revision = None


class Deletion(Asked):
    """Which state of a sink is meant."""

    revision: Revision = None


class Rotation(Asked):
    """How long the present secrets are good beside the new one: seconds, or a text such as `7d`."""

    keep: Annotated[Duration, Field(ge=0, le=366 * 86400)] = _WEEK


class Trial(Asked):
    """Which event to send: the example of this type, by default of one that the sink wants."""

    type: str | None = None


def _all(api: Api, _call: Call) -> SinkList:
    return SinkList(sinks=[SinkFacts.of(view) for view in api.sinks.all()])


def _create(api: Api, call: Call) -> SinkMade:
    new: NewSink = call.body
    return SinkMade.made(api.sinks.create(new.name, new.type, new.settings, enabled=new.enabled))


def _read(api: Api, call: Call) -> SinkFacts:
    return SinkFacts.of(api.sinks.read(call.path["name"]))


def _change(api: Api, call: Call) -> SinkFacts:
    change: SinkChange = call.body
    name, settings = call.path["name"], change.settings
    return SinkFacts.of(api.sinks.update(name, settings, enabled=change.enabled, revision=change.revision))


def _delete(api: Api, call: Call) -> SinkDeleted:
    name, query = call.path["name"], call.query
    return SinkDeleted(name=name, skipped=api.sinks.delete(name, revision=query.revision))


def _enable(api: Api, call: Call) -> SinkEnabled:
    return SinkEnabled.enabled_again(*api.sinks.enable(call.path["name"]))


def _disable(api: Api, call: Call) -> SinkFacts:
    return SinkFacts.of(api.sinks.disable(call.path["name"]))


def _rotate(api: Api, call: Call) -> SinkMade:
    return SinkMade.made(api.sinks.rotate(call.path["name"], call.body.keep))


def _test(api: Api, call: Call) -> TestSent:
    try:
        event = api.sinks.test(call.path["name"], call.body.type)
    except ValueError as error:
        raise Refused(422, f"request: body.type: {error}") from None
    return TestSent(event_id=event.id, type=event.type, sequence=event.sequence)


def _types(api: Api, _call: Call) -> SinkTypeList:
    found = sorted(api.plugins.sink_types.items())
    facts = [SinkTypeFacts(type=name, settings=_schema(sink_type.Settings)) for name, sink_type in found]
    return SinkTypeList(common=_schema(CommonSinkKeys), sink_types=facts)


def _schema(model: Any) -> dict[str, JsonValue]:
    from pydantic.errors import PydanticUserError

    try:
        schema: dict[str, JsonValue] = model.model_json_schema()
    except PydanticUserError:  # a type of a plugin's own that says nothing of JSON
        schema = {"type": "object"}
    return schema


OPERATIONS = (
    Operation("GET", "/v1/sinks", "listSinks", "Every sink, stored or of the configuration", _all, SinkList),
    Operation("POST", "/v1/sinks", "createSink", "Make a sink", _create, SinkMade, 201, body=NewSink, errors=(409,)),
    Operation("GET", "/v1/sinks/{name}", "readSink", "One sink", _read, SinkFacts, errors=(404,)),
    Operation(
        *("PATCH", "/v1/sinks/{name}", "changeSink", "Change a sink", _change, SinkFacts),
        body=SinkChange,
        errors=(404, 409),
    ),
    Operation(
        *(
            "DELETE",
            "/v1/sinks/{name}",
            "deleteSink",
            "Delete a sink; what waits for it is skipped",
            _delete,
            SinkDeleted,
        ),
        query=Deletion,
        errors=(404, 409),
    ),
    Operation(
        *("POST", "/v1/sinks/{name}/enable", "enableSink", "Turn a sink on, also after its place has disabled it"),
        *(_enable, SinkEnabled),
        body=Asked,
        errors=(404, 409),
    ),
    Operation(
        *("POST", "/v1/sinks/{name}/disable", "disableSink", "Turn a sink off", _disable, SinkFacts),
        body=Asked,
        errors=(404, 409),
    ),
    Operation(
        *(
            "POST",
            "/v1/sinks/{name}/rotate",
            "rotateSecret",
            "Make a new secret; the present one stays good for a while",
        ),
        *(_rotate, SinkMade),
        body=Rotation,
        errors=(404, 409),
    ),
    Operation(
        *("POST", "/v1/sinks/{name}/test", "testSink", "Send a test event to this sink alone", _test, TestSent, 202),
        body=Trial,
        errors=(404, 409),
    ),
    Operation(
        "GET", "/v1/sink-types", "listSinkTypes", "What sinks can be made, and their settings", _types, SinkTypeList
    ),
)
