"""The settings of a file: what they take, and what an error says."""

import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from supertokens_events.config import ConfigurationError, load_settings
from supertokens_events.plugins import load_plugins
from supertokens_events_file import FileSettings, FileSink

TABLE = '[outbox]\nurl = "sqlite:events.db"\n[sinks.audit]\ntype = "file"\nevents = ["*"]\n'


def read(tmp_path, *lines):
    """The sink's settings as a configuration has them."""
    return load_settings(tomllib.loads("\n".join([TABLE, *lines])), load_plugins(), folder=tmp_path)


def test_the_defaults():
    """Only a path is needed."""
    settings = FileSettings(path=Path("events.jsonl"))

    assert settings.model_dump() == {
        "path": Path("events.jsonl"),
        "format": "jsonl",
        "rotate": None,
        "fsync": "interval",
        "fsync_interval": 1.0,
    }


def test_rotate_is_written_as_people_do():
    """Sizes and durations are those of the rest of the configuration."""
    table = {"size": "100 MiB", "every": "day", "keep": 14, "max_age": "30d", "compress": "gzip"}
    rotate = FileSettings.model_validate({"path": "x", "rotate": table}).rotate

    assert (rotate.size, rotate.every, rotate.keep, rotate.max_age) == (100 * 2**20, "day", 14, 30 * 86400)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "path: "),
        ('path = ""', "path: names no file"),
        ('path = "."', "path: names no file"),
        ('path = "x"\npaht = "y"', "paht"),
        ('path = "x"\nformat = "csv"', "format: "),
        ('path = "x"\nfsync = true', "fsync: "),
        ('path = "x"\nfsync = "often"', "fsync: "),
        ('path = "x"\nfsync_interval = "0s"', "fsync_interval: "),
        ('path = "x"\nrotate = {}', "rotate: needs a size"),
        ('path = "x"\nrotate = { keep = 3 }', "rotate: needs a size"),
        ('path = "x"\nrotate = { size = "big" }', "rotate.size: expected a size"),
        ('path = "x"\nrotate = { every = "week" }', "rotate.every: "),
        ('path = "x"\nrotate = { every = "day", keep = 0 }', "rotate.keep: "),
        ('path = "x"\nrotate = { every = "day", max_age = "0s" }', "rotate.max_age: "),
        ('path = "x"\nrotate = { every = "day", compress = "zip" }', "rotate.compress: "),
        ('path = "x"\nrotate = { every = "day", kepp = 3 }', "rotate.kepp"),
        ('path = "x"\nrotate = "daily"', "rotate: "),
    ],
)
def test_an_error_names_the_key(tmp_path, line, says):
    """What is wrong is told by file, sink and key."""
    with pytest.raises(ConfigurationError) as raised:
        read(tmp_path, line)

    assert f"sinks.audit.{says}" in str(raised.value)


def test_a_path_is_beside_the_configuration(tmp_path):
    """A relative path starts where the configuration is."""
    settings = read(tmp_path, 'path = "events.jsonl"')

    assert settings.sinks["audit"].settings.path == tmp_path / "events.jsonl"


def test_an_age_without_a_period_is_doubtful():
    """Who wants old events gone and sets no period is told that a quiet file is never put aside."""
    doubtful, fine = (
        FileSink("audit", FileSettings.model_validate({"path": "x", "rotate": rotate | {"max_age": "30d"}}))
        for rotate in ({"size": "1MiB"}, {"every": "day"})
    )

    assert [warning.split(" ")[0] for warning in doubtful.warnings()] == ["rotate.max_age"]
    assert list(fine.warnings()) == []


def sinks(tmp_path, *tables):
    """Sinks ``a``, ``b``, … as they are configured."""
    return [
        FileSink(name, FileSettings.model_validate(table, context={"folder": tmp_path}))
        for name, table in zip("abcd", tables, strict=False)
    ]


@pytest.mark.parametrize(
    ("table", "differs"),
    [
        ({"format": "ocsf"}, "format"),
        ({"rotate": {"size": "1MiB"}}, "rotate"),
        ({"format": "ocsf", "rotate": {"size": "1MiB"}}, "format and another rotate"),
    ],
)
def test_two_ways_to_write_one_file_are_doubtful(tmp_path, table, differs):
    """Who gives two sinks one file, and another format or rotation, is told which ones they are, also by way of a link."""
    (tmp_path / "link").symlink_to(tmp_path)
    one, other = sinks(tmp_path, {"path": "x"}, {"path": "link/x"} | table)

    (said,) = other.clashes([one])

    assert said.startswith(
        f"path: the sink 'a' writes {tmp_path}/link/x too, with another {differs}: give each its own"
    )


def test_sinks_that_go_together(tmp_path):
    """One file for two sinks is fine where both write it in one way, and so are two files in two ways."""
    one, same, other = sinks(tmp_path, {"path": "x"}, {"path": "x", "fsync": "always"}, {"path": "y", "format": "ocsf"})

    assert (same.clashes([one]), other.clashes([one, same])) == ([], [])


def test_a_mistake_is_refused_without_a_configuration_too():
    """The model itself refuses."""
    with pytest.raises(ValidationError, match="paht"):
        FileSettings.model_validate({"path": "events.jsonl", "paht": "x"})
