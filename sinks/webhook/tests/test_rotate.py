"""`supertokens-events webhook rotate`: the lines it prints work, and the old key is not among them."""

import re
import tomllib

import pytest
from click.testing import CliRunner
from webhook_receivers import OLD_SECRET, SECRET

from supertokens_events.cli import cli
from supertokens_events_webhook import WebhookSettings

URL = "https://crm.example.com/"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Write the secret of a sink as the file has it, and run the command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SUPERTOKENS_EVENTS_CONFIG", raising=False)
    monkeypatch.setenv("CRM_SECRET", SECRET)

    def run(secret, *arguments):
        (tmp_path / "key").write_text(SECRET)
        (tmp_path / "supertokens-events.toml").write_text(
            f'[sinks.crm]\ntype = "webhook"\nevents = ["*"]\nurl = "{URL}"\nsecret = {secret}\n'
        )
        return CliRunner().invoke(cli, ["webhook", "rotate", *(arguments or ["crm"])], catch_exceptions=False)

    return run


def table(said):
    """The TOML among the lines, parsed."""
    return tomllib.loads(re.search(r"^secret = \[.*?^\]$", said, re.MULTILINE | re.DOTALL)[0])["secret"]


def test_a_key_in_the_file(run):
    """The new key comes first, the old one is left to whoever copies it, with its end."""
    result = run(f'"{SECRET}"')

    new, old = table(result.stdout)
    assert result.exit_code == 0
    assert SECRET not in result.output
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", new)
    assert old["key"] == "…"
    whole = [new, old | {"key": SECRET}]
    assert len(WebhookSettings.model_validate({"url": URL, "secret": whole}).secret) == 2


def test_a_key_in_the_environment(run):
    """The new key goes into a variable beside the old one's, and stands nowhere else."""
    result = run('{ env = "CRM_SECRET" }')

    new, old = table(result.stdout)
    assert (new, old["key"]) == ({"env": "CRM_SECRET_2"}, {"env": "CRM_SECRET"})
    assert re.search(r"^CRM_SECRET_2=whsec_\S{44}$", result.stdout, re.MULTILINE)
    assert SECRET not in result.output


def test_again(run, monkeypatch):
    """Of the keys that are there already one keeps its earlier end, and one that has ended goes."""
    monkeypatch.setenv("CRM_SECRET_2", OLD_SECRET)
    result = run(
        '[{ env = "CRM_SECRET_2" }, { key = { env = "CRM_SECRET" }, until = 2020-01-01T00:00:00Z }]',
        "crm",
        "--keep",
        "1d",
    )

    new, old = table(result.stdout)
    assert (new, old["key"]) == ({"env": "CRM_SECRET_3"}, {"env": "CRM_SECRET_2"})


def test_a_key_in_a_file(run):
    """A reference to a file stays one."""
    _, old = table(run('{ file = "key" }').stdout)

    assert old["key"] == {"file": "key"}


def test_asymmetric(run):
    """The receiver gets the public half."""
    said = run(f'"{SECRET}"', "crm", "--asymmetric").stdout

    assert re.fullmatch(r"whsk_\S{88}", table(said)[0])
    assert re.search(r"Give the receiver this public key: whpk_\S{44}, before \d{4}-", said)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(["cmr"], "there is no such sink, did you mean 'crm'?"), (["crm", "--keep", "soon"], "expected a duration")],
)
def test_mistakes(run, arguments, problem):
    """A misspelt name or span: exit code 2 and a sentence."""
    result = run(f'"{SECRET}"', *arguments)

    assert result.exit_code == 2
    assert problem in result.stderr
