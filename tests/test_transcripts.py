"""What the pages for operators show is what the commands print."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from apps import sdk
from supertokens_events.cli import cli
from transcripts import Mismatch, Transcript, pages

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def play(httpserver, tmp_path, monkeypatch):
    """Play a page in an empty folder, on a terminal of 100 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.setenv("CRM_WEBHOOK_SECRET", "whsec_" + "c2VjcmV0" * 4)
    answers = [204]

    def respond(_request):
        from werkzeug import Response

        return Response(status=answers[-1])

    httpserver.expect_request("/").respond_with_handler(respond)

    def run(arguments):
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        lines = [line for line in result.stderr.splitlines() if not line.startswith("{")]  # logs are for another page
        return "\n".join([*result.stdout.splitlines(), *lines])

    def play(page):
        file = tmp_path / "supertokens-events.toml"
        return Transcript(page, run=run, answer=answers.append, url=httpserver.url_for("/"), file=file).play()

    monkeypatch.setattr(sys, "path", sys.path[:])
    yield play
    if (app := sys.modules.pop("myapp", None)) is not None:  # that a command imported
        app.events.stop()
        sdk.reset()


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(DOCS))) for page in pages(DOCS)])
def test_the_page_is_true(play, page):
    """Every command on the page, typed in its order, prints what the page says."""
    assert play(page) > 0


def test_a_page_that_is_not_true(play, tmp_path):
    """A page that says something else than what is printed is found out, and so is an id in the wrong place."""
    page = tmp_path / "page.md"
    head = (
        '```toml\n# supertokens-events.toml\n[sinks.audit]\ntype = "file"\nevents = ["*"]\npath = "audit.jsonl"\n```\n'
    )
    shown = "$ supertokens-events send user.created\nevt_01JD7Q3K5X9V0W1Y2Z3A4B5C6D user.created\n  audit: due now\n"
    again = "$ supertokens-events send user.created\nevt_01JD7Q3K5X9V0W1Y2Z3A4B5C6D user.created\n  audit: …\n"

    page.write_text(f"{head}```console\n{shown}```\n")
    assert play(page) == 1
    for wrong in (shown.replace("audit", "crm"), shown + again):
        page.write_text(f"{head}```console\n{wrong}```\n")
        with pytest.raises(Mismatch):
            play(page)
