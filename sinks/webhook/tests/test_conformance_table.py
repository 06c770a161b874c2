"""The table of docs/guide/webhook.md and the tests that it names."""

import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parents[2] / "docs/guide/webhook.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+) \| (\w\S*) \|(.*)\|([^|]*)\|$", PAGE, re.MULTILINE)


def test_every_row_is_there():
    """34 rows, in order, each with a grade."""
    assert [int(number) for number, *_ in ROWS] == list(range(1, 35))
    assert {grade for _, grade, *_ in ROWS} == {"M", "R", "M(v)", "R(v)"}


def test_every_test_exists():
    """A test that the table names is a function of that name; every test named after a row is in its row."""
    written = {
        name
        for file in HERE.glob("test_standard_webhooks_*.py")
        for name in re.findall(r"^(?:async )?def (test_row_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = {int(number): re.findall(r"`(test_row_\w+)`", tests) for number, _, _, tests in ROWS}

    assert {name for names in named.values() for name in names} == written
    assert all(name.startswith(f"test_row_{number:02}_") for number, names in named.items() for name in names)
