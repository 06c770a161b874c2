"""`supertokens-events check` on webhooks: what stops it, and what it warns of."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from webhook_receivers import OLD_SECRET, SECRET

from supertokens_events.cli import cli


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Write a sink's table, and run a command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SUPERTOKENS_EVENTS_CONFIG", raising=False)

    def run(table, *command):
        lines = ['[outbox]\nurl = "sqlite:events.db"', '[sinks.crm]\ntype = "webhook"\nevents = ["user.*"]', table]
        (tmp_path / "supertokens-events.toml").write_text("\n".join(lines))
        return CliRunner().invoke(cli, command or ["check"], catch_exceptions=False)

    return run


def test_a_secret_of_the_wrong_length(run):
    """A configuration with a short secret is refused: exit code 2, the key, the length, and nothing of the secret."""
    result = run('url = "https://crm.example.com/"\nsecret = "whsec_aHVudGVyMg=="')

    assert result.exit_code == 2
    assert "sinks.crm.secret: expected 'whsec_' and the base64 of 24 to 64 bytes, got 7 bytes" in result.stderr
    assert "aHVudGVyMg" not in result.output


def test_a_secret_of_the_wrong_length_from_the_environment(run, monkeypatch):
    """The same for one that a variable holds, also in a table."""
    monkeypatch.setenv("OLD_SECRET", "whsec_aHVudGVyMg==")
    result = run(
        f'url = "https://crm.example.com/"\nsecret = ["{SECRET}", '
        '{ key = { env = "OLD_SECRET" }, until = 2099-01-01T00:00:00Z }]'
    )

    assert result.exit_code == 2
    assert "sinks.crm.secret.1.key: expected 'whsec_'" in result.stderr
    assert "aHVudGVyMg" not in result.output


def test_a_key_that_ended(run):
    """A key that signs no more is a warning."""
    ended = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    result = run(
        f'url = "https://crm.example.com/"\nsecret = ["{SECRET}", {{ key = "{OLD_SECRET}", until = {ended} }}]'
    )

    assert result.exit_code == 0
    assert f"warning: sinks.crm.secret: key 2 has ended at {ended}" in result.stderr
    assert "bbbbbb" not in result.output + result.stderr


def test_headers_from_the_environment(run, monkeypatch):
    """A header's value may stand in a variable, and is not shown."""
    monkeypatch.setenv("CRM_TOKEN", "hunter22")
    result = run(
        f'url = "https://crm.example.com/"\nsecret = "{SECRET}"\nheaders = {{ authorization = {{ env = "CRM_TOKEN" }} }}'
    )

    assert result.exit_code == 0
    assert "from the environment variable CRM_TOKEN" in result.stdout
    assert os.environ["CRM_TOKEN"] not in result.output
