"""What the guide's page says of OCSF is what the sink does."""

import re
from collections.abc import Iterator
from pathlib import Path

from supertokens_events_file import FileSettings
from supertokens_events_file.formats.ocsf.classes import TYPES
from supertokens_events_file.settings import RotateSettings

PAGE = Path(__file__).parents[3] / "docs/guide/file.md"


def rows(page: str) -> Iterator[tuple[str, str, list[str]]]:
    """The table of types: class, activity, types."""
    for event_class, activity, types in re.findall(
        r"^\| (\d{4} [\w ]+) \| (\d+ [\w ]+) \| (.+) \|$", page, re.MULTILINE
    ):
        yield event_class, activity, re.findall(r"`([\w.]+)`", types)


def test_the_table_of_types_is_true():
    """Every type that has an activity of OCSF's own is in the guide, under that activity, and no other."""
    said = {(event_class, activity): types for event_class, activity, types in rows(PAGE.read_text())}

    assert said == {
        (f"{event_class.uid} {event_class.name}", f"{number} {name}"): TYPES[event_class][number].split()
        for event_class in TYPES
        for number, name in event_class.activities
    }


def test_every_setting_is_told():
    """The guide and the package's README name every setting, and those of ``rotate``."""
    names = [*FileSettings.model_fields, *RotateSettings.model_fields]
    readme = Path(__file__).parents[1] / "README.md"

    for page in (PAGE, readme):
        assert [name for name in names if f"`{name}`" not in page.read_text()] == []
