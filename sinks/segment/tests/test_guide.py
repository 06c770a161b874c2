"""The guide's page on Segment says what the code does."""

import re
from pathlib import Path
from typing import get_args

from segment_kit import messages

from supertokens_events_segment import SegmentSettings
from supertokens_events_segment.batches import MAX_BYTES, MAX_MESSAGES
from supertokens_events_segment.fields import DEFAULT_TRAITS, PERSONAL, Trait
from supertokens_events_segment.mapping import MappedType
from supertokens_events_segment.messages import MAX_MESSAGE
from supertokens_events_segment.rules import RULES, track_name
from supertokens_events_segment.sending import MAX_REQUESTS
from supertokens_events_segment.traits import _SAID

PAGE = (Path(__file__).parents[3] / "docs/guide/segment.md").read_text(encoding="utf-8")


def table(head):
    """The rows of the table that begins so, each as its cells."""
    lines = PAGE[PAGE.index(f"| {head} |") :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]


def test_the_mapping_is_in_the_guide():
    """Each type with a rule of its own, its calls and its names; no other."""
    rows = [(name.strip("`"), calls, names) for name, calls, names in table("event type")]

    assert [(name, calls) for name, calls, _ in rows] == [(name, ", ".join(rule.calls)) for name, rule in RULES.items()]
    for name, _, names in rows:
        rule = RULES[name]
        assert names == rule.name or (rule.own_name in names and names.endswith(f"else {rule.name}"))


def test_names_in_the_guide_are_made_so():
    """The examples of names that are made of types."""
    examples = re.findall(r"`([a-z_.]+)`\s+(?:is\s+)?\"([A-Z][\w ]+)\"", PAGE)

    assert len(examples) == 2
    assert [track_name(event_type) for event_type, _ in examples] == [name for _, name in examples]


def test_a_deleted_user_is_named_as_the_guide_says():
    """A user's end is not Segment's "Account Deleted"."""
    assert [message["event"] for message in messages("user.deleted")] == ["User Deleted"]


def test_the_traits_are_in_the_guide():
    """Each trait, the fields that it lets through, and whether an identify call says it."""
    rows = {name.strip("`"): (fields, said.strip("`")) for name, fields, said in table("in `traits`")}

    assert set(rows) == set(get_args(Trait))
    for trait, (fields, said) in rows.items():
        assert [f"`{field}`" in fields for field in PERSONAL.get(trait, ())] == [True] * len(PERSONAL.get(trait, ()))
        assert said == (trait if trait in _SAID else "")


def test_every_setting_is_in_the_guide():
    """With its default, in the sink's table and in a mapping's."""
    settings = {name: default for name, default, _ in table("key | default")}

    assert {name.strip("`") for name in settings} == set(SegmentSettings.model_fields)
    assert settings["`traits`"] == f"`{list(DEFAULT_TRAITS)}`".replace("'", '"')
    assert {name.strip("`") for name, _ in table("key |")} == set(MappedType.model_fields)


def test_the_limits_are_in_the_guide():
    """As figures, so that whoever changes one changes the page."""
    section = PAGE[PAGE.index("## Limits") :]

    for figure in (
        f"{MAX_MESSAGES} messages",
        f"{MAX_BYTES:,} bytes",
        f"{MAX_MESSAGE:,} bytes",
        f"{MAX_REQUESTS} requests",
    ):
        assert figure in section
