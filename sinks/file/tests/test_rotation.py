"""Files put aside by size and by time, kept by count and by age, compressed, and what others do to them meanwhile."""

import fcntl
import gzip
import os
import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filing import contents, deliver, delivery, names, written

from supertokens_events.sink import Delivered, Retry
from supertokens_events_file import FileSettings, FileSink, lines, tidying
from supertokens_events_file.log import Log
from supertokens_events_file.rotation import closed_files, put_aside
from supertokens_events_file.settings import RotateSettings
from supertokens_events_file.tidying import tidy
from supertokens_events_file.turn import Turn

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 0, 15, 0, 123456, tzinfo=UTC)
STAMP = "20261124T001500.123456Z"
GOES_ON = threading.Event()


def closed(path, *, days=0, ending="", content=b'{"n":0}\n'):
    """A file that was put aside so many days ago."""
    stamp = (NOW - timedelta(days=days)).strftime("%Y%m%dT%H%M%S.%fZ")
    made = path.with_name(f"{path.stem}.{stamp}{path.suffix}{ending}")
    made.write_bytes(gzip.compress(content) if ending == ".gz" else content)
    return made


def last_written(path, moment):
    """As if the last event had been written then."""
    os.utime(path, (moment.timestamp(), moment.timestamp()))


# When


async def test_a_file_has_no_more_than_its_size(path):
    """A file is put aside before the next events would make it larger than ``size``."""
    for number in range(10):
        await deliver(path, delivery(number), rotate={"size": "24B"})  # three lines

    assert [one.path.read_bytes().count(b"\n") for one in closed_files(path)] == [3, 3, 3]
    assert written(path) == b"".join(b'{"n":%d}\n' % number for number in range(10))


async def test_the_events_of_one_call_stay_together(path):
    """Events that come together go to one file, even if they alone are larger than ``size``; no empty file is put aside."""
    for _ in range(2):
        await deliver(path, *map(delivery, range(5)), rotate={"size": "24B"})

    assert [one.path.stat().st_size for one in closed_files(path)] == [40]
    assert path.stat().st_size == 40


@pytest.mark.parametrize(("every", "period"), [("day", timedelta(days=1)), ("hour", timedelta(hours=1))])
async def test_a_period_is_a_file(path, every, period):
    """The first event of another day, or hour, of UTC begins a new file."""
    await deliver(path, delivery(1), rotate={"every": every})
    await deliver(path, delivery(2), rotate={"every": every})
    last_written(path, datetime.now(UTC) - period)
    await deliver(path, delivery(3), rotate={"every": every})

    assert [one.path.read_bytes() for one in closed_files(path)] == [b'{"n":1}\n{"n":2}\n']
    assert path.read_bytes() == b'{"n":3}\n'


async def test_a_clock_that_goes_back_puts_nothing_aside(path):
    """A file whose last event lies in the future is written on."""
    await deliver(path, delivery(1), rotate={"every": "hour"})
    last_written(path, datetime.now(UTC) + timedelta(days=3))
    await deliver(path, delivery(2), rotate={"every": "hour"})

    assert names(path) == ["events.jsonl"]


def test_a_period_that_has_just_begun_is_one_file(path):
    """The kernel writes times that are some milliseconds old: the first events of a day do not count as the day before's."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    log = Log(path, RotateSettings(every="day"), now=lambda: tomorrow)

    put_aside = [log.append(b"{}\n", Turn(1)) for _ in range(3)]

    assert put_aside == [False] * 3


async def test_without_rotate_a_file_grows(path):
    """Who says nothing about rotation has one file."""
    await deliver(path)
    last_written(path, datetime.now(UTC) - timedelta(days=400))
    await deliver(path)

    assert names(path) == ["events.jsonl"]


async def test_a_torn_line_is_ended_before_its_file_is_put_aside(path):
    """No file that was put aside ends in the middle of a line."""
    path.write_bytes(b'{"n":')
    last_written(path, datetime.now(UTC) - timedelta(days=2))

    await deliver(path, rotate={"every": "day"})

    (one,) = closed_files(path)
    assert one.path.read_bytes() == b'{"n": <torn>\n'


# Names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("events.jsonl", f"events.{STAMP}.jsonl"),
        ("events", f"events.{STAMP}"),
        (".events", f".events.{STAMP}"),
        ("a.b.log", f"a.b.{STAMP}.log"),
        ("x[1](*).log", f"x[1](*).{STAMP}.log"),
        ("events.gz", f"events.{STAMP}.gz"),
    ],
)
def test_a_name_says_when(path, name, expected):
    """A file that was put aside has the time in its name, before the suffix, and is found again."""
    path = path.with_name(name)
    path.touch()

    put_aside(path, NOW)

    assert [(one.at, one.path.name, one.ending) for one in closed_files(path)] == [(NOW, expected, "")]


def test_names_sort_whatever_the_clock_says(path):
    """Files put aside one after the other sort so, also within a microsecond and when the clock goes back."""
    for number, now in enumerate([NOW, NOW, NOW - timedelta(days=1), NOW + timedelta(seconds=1)]):
        path.write_text(str(number))
        put_aside(path, now)

    assert [(path.parent / name).read_text() for name in names(path)] == ["0", "1", "2", "3"]


async def test_no_name_sorts_after_the_last(path):
    """Beside a file of the last moment there is, none can be put aside: the event waits, and the reason says what to do."""
    path.write_bytes(b'{"n":1}\n')
    path.with_name("events.99991231T235959.999999Z.jsonl").touch()

    (outcome,) = await deliver(path, delivery(2), rotate={"size": "8B"})

    assert outcome.away
    assert outcome.reason == (
        f"{path}: it is to be put aside, and cannot be: beside it is one of 99991231T235959.999999Z, and no name sorts after "
        "that: rename it"
    )


NOT_OURS = [
    f"events.{STAMP}.jsonl.bak",
    f"events.{STAMP}.jsonl.gz.old",
    f"events.{STAMP}.json",
    f"events.{STAMP}",
    f"other.{STAMP}.jsonl",
    f"events.x.{STAMP}.jsonl",
    "events.20261124.jsonl",
    "events.20261324T001500.123456Z.jsonl",
    "events.20261124T001500.12345Z.jsonl",
    "events-20261124.jsonl.gz",
    "events.jsonl.1",
    "events.jsonl.gz",
    "Xevents.jsonl",
]


@pytest.mark.parametrize("name", NOT_OURS)
def test_files_of_others_are_left_alone(path, name):
    """Whatever is not exactly named as we name is neither removed nor compressed, though it be old and many."""
    other = path.with_name(name)
    other.write_bytes(b"precious")
    closed(path, days=9)

    tidy(path, RotateSettings(size=1, keep=1, max_age=1, compress="gzip"), NOW, GOES_ON)

    assert names(path) == [name]
    assert other.read_bytes() == b"precious"


async def test_the_target_of_a_link_is_put_aside(path, tmp_path):
    """Where the path is a link, what it points to is put aside, beside itself, and the link stays."""
    target = tmp_path / "volume" / "audit.jsonl"
    target.parent.mkdir()
    path.symlink_to(target)

    for number in (1, 2):
        await deliver(path, delivery(number), rotate={"size": "8B", "compress": "gzip"})

    assert path.is_symlink()
    assert path.read_bytes() == b'{"n":2}\n'
    assert [contents(one.path) for one in closed_files(target)] == [b'{"n":1}\n']


# What is kept


def test_the_newest_are_kept(path):
    """``keep`` counts files; one that is there plain and compressed counts once."""
    kept = [closed(path, days=2, ending=".gz"), closed(path, days=2), closed(path, days=1, ending=".gz")]
    for days in (3, 4, 5):
        closed(path, days=days, ending=".gz")

    tidy(path, RotateSettings(size=1, keep=2), NOW, GOES_ON)

    assert names(path) == sorted(one.name for one in kept)


def test_the_old_are_removed(path):
    """``max_age`` counts from when a file was put aside, whatever its modification time."""
    kept, _old = closed(path, days=30), closed(path, days=31)
    last_written(kept, NOW - timedelta(days=300))

    tidy(path, RotateSettings(size=1, max_age="30d"), NOW, GOES_ON)

    assert names(path) == [kept.name]


def test_without_limits_everything_is_kept(path):
    """Without ``keep`` and ``max_age`` nothing is removed."""
    for days in range(400):
        closed(path, days=days)

    tidy(path, RotateSettings(every="day"), NOW, GOES_ON)

    assert len(names(path)) == 400


async def test_old_files_go_without_an_event(path):
    """A sink that starts removes what is too old, also when nothing is written."""
    closed(path, days=400)
    sink = FileSink("audit", FileSettings(path=path, rotate=RotateSettings(every="day", max_age="1h")))

    await sink.open()
    await sink.close()

    assert names(path) == []


async def test_old_files_go_in_the_course_of_time(path, monkeypatch):
    """A sink that runs for long looks for what is too old each hour, also when no file is put aside."""
    sink = FileSink("audit", FileSettings(path=path, rotate=RotateSettings(every="day", max_age="1h")))
    sink._tidied = time.monotonic()
    closed(path, days=400)
    await sink.deliver([delivery()])
    before = len(names(path))
    sink._tidied -= 3601
    await sink.deliver([delivery()])
    await sink.close()

    assert (before, names(path)) == (2, ["events.jsonl"])


def test_a_file_that_cannot_be_removed_holds_up_no_other(path):
    """What is wrong with one file is told when the others have been seen to."""
    stuck = closed(path, days=9)
    stuck.unlink()
    stuck.mkdir()
    closed(path, days=8)
    plain = closed(path, days=1)

    with pytest.raises(OSError, match="director"):
        tidy(path, RotateSettings(size=1, max_age="2d", compress="gzip"), NOW, GOES_ON)

    assert names(path) == [stuck.name, f"{plain.name}.gz"]


# Compressed


async def test_what_is_put_aside_is_compressed(path):
    """With ``compress`` only gzip files lie beside the file, readable by their owner alone, with nothing lost."""
    for number in range(20):
        await deliver(path, delivery(number), rotate={"size": "50B", "compress": "gzip"})

    aside = [one.path for one in closed_files(path)]
    assert len(aside) == 3
    assert {(one.suffix, stat.S_IMODE(one.stat().st_mode)) for one in aside} == {(".gz", 0o600)}
    assert written(path) == b"".join(b'{"n":%d}\n' % number for number in range(20))


def test_what_was_put_aside_before_is_compressed_too(path):
    """Who turns ``compress`` on gets the older files compressed as well."""
    plain = closed(path, days=1)

    tidy(path, RotateSettings(size=1, compress="gzip"), NOW, GOES_ON)

    assert names(path) == [f"{plain.name}.gz"]
    assert gzip.decompress(plain.with_name(f"{plain.name}.gz").read_bytes()) == b'{"n":0}\n'


@pytest.mark.parametrize("compress", [None, "gzip"])
@pytest.mark.parametrize("left", [{".gz.part"}, {".gz"}, {".gz", ".gz.part"}])
def test_what_a_crash_left_is_tidied(path, left, compress):
    """Wherever compressing was cut off, the next tidying leaves the whole file once, and no rest."""
    plain = closed(path)
    for ending in left:
        closed(path, ending=ending, content=b'{"n":0}\n' if ending == ".gz" else b"half a gz")

    tidy(path, RotateSettings(size=1, compress=compress), NOW, GOES_ON)

    assert written(path) == b'{"n":0}\n'
    assert not any(name.endswith(".part") for name in names(path))
    if compress:
        assert names(path) == [f"{plain.name}.gz"]


def test_a_rest_without_its_file_is_removed(path):
    """The beginning of a compressed file whose plain one is gone is removed."""
    closed(path, ending=".gz.part", content=b"half a gz")

    tidy(path, RotateSettings(size=1), NOW, GOES_ON)

    assert names(path) == []


def test_a_file_that_another_process_compresses_is_left_to_it(path):
    """What another process is compressing is not touched, and not waited for."""
    plain = closed(path)
    part = closed(path, ending=".gz.part", content=b"so far")
    with part.open("rb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)

        tidy(path, RotateSettings(size=1, compress="gzip"), NOW, GOES_ON)

    assert names(path) == [plain.name, part.name]
    assert part.read_bytes() == b"so far"


@pytest.mark.parametrize("failing", ["fsync", "ftruncate"])
async def test_no_room_to_compress_loses_nothing(path, monkeypatch, caplog, failing):
    """Where there is no room for the compressed file, the plain one stays, events go on, and a line in the log says why."""

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    await deliver(path, delivery(1))
    monkeypatch.setattr(tidying.os, failing, full)
    outcomes = await deliver(path, delivery(2), rotate={"size": "8B", "compress": "gzip"}, fsync="never")

    assert outcomes == [Delivered()]
    assert written(path) == b'{"n":1}\n{"n":2}\n'
    assert [one.ending for one in closed_files(path)] == [""]
    assert f"{path}: No space left on device" in caplog.text


def test_a_sink_that_ends_does_not_wait_for_a_large_file(path):
    """A sink that is closed leaves the file that it compresses as it was, for the next time."""
    plain = closed(path)
    stopped = threading.Event()
    stopped.set()

    tidying._compress(plain, stopped)

    assert names(path) == [plain.name]


async def test_a_sink_that_is_opened_again_tidies_again(path):
    """After a close and an open what is put aside is compressed as before."""
    sink = FileSink("audit", FileSettings(path=path, rotate=RotateSettings(size="8B", compress="gzip")))

    for number in range(4):
        await sink.open()
        await sink.deliver([delivery(number)])
        await sink.close()

    assert [one.ending for one in closed_files(path)] == [".gz"] * 3


# Others


async def test_logrotate_may_rename(path):
    """A file that somebody renames is written no more; no signal is needed, and nothing is lost."""
    sink = FileSink("audit", FileSettings(path=path, fsync="never"))
    for number in range(3):
        await sink.deliver([delivery(number)])
        path.rename(path.with_name(f"events.jsonl.{number}"))
        assert not is_open(path.with_name(f"events.jsonl.{number}"))

    assert [path.with_name(f"events.jsonl.{number}").read_bytes() for number in range(3)] == [
        b'{"n":%d}\n' % number for number in range(3)
    ]


async def test_a_file_that_is_renamed_before_it_is_ours(path, monkeypatch):
    """Who renames the file while we wait for our turn gets no line into it: it goes to the new one."""
    path.write_bytes(b'{"n":0}\n')
    moved = path.with_name("moved")
    flock = fcntl.flock

    def renamed_meanwhile(file, operation):
        if operation & fcntl.LOCK_EX and path.stat().st_size and not moved.exists():
            path.rename(moved)
        flock(file, operation)

    monkeypatch.setattr(lines.fcntl, "flock", renamed_meanwhile)
    await deliver(path, delivery(1))

    assert (moved.read_bytes(), path.read_bytes()) == (b'{"n":0}\n', b'{"n":1}\n')


async def test_logrotate_may_truncate(path):
    """After ``copytruncate`` lines begin at the start of the file, without a hole."""
    sink = FileSink("audit", FileSettings(path=path, fsync="never"))
    await sink.deliver([delivery(1)])
    os.truncate(path, 0)
    await sink.deliver([delivery(2)])

    assert path.read_bytes() == b'{"n":2}\n'


def is_open(path):
    """Whether this process has a descriptor of the file."""
    return any(one.exists() and one.samefile(path) for one in Path("/proc/self/fd").iterdir())


async def test_a_file_that_cannot_be_put_aside_is_a_retry(open_folder, as_nobody):
    """Where a file may be written and not renamed, the event waits, and the attempt and a check both say why."""
    path = open_folder / "events.jsonl"
    path.write_bytes(b'{"n":1}\n')
    path.chmod(0o666)
    sink = FileSink("audit", FileSettings(path=path, rotate=RotateSettings(size="8B"), fsync="never"))

    with as_nobody():
        outcomes, problems = await sink.deliver([delivery(2)]), await sink.check()

    assert outcomes == [Retry(f"{path}: it is to be put aside, and cannot be: Permission denied", away=True)]
    assert problems == [f"this user may not list and change {open_folder}, where files are put aside"]
    assert path.read_bytes() == b'{"n":1}\n'
