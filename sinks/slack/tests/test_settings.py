"""A Slack sink's table in TOML: what it may say, what is refused and how, and that no secret is shown."""

import tomllib
from pathlib import Path

import pytest
from slack_sinks import delivery

from supertokens_events.config import ConfigurationError, load_settings
from supertokens_events.plugins import load_plugins
from supertokens_events_slack import SlackSettings, SlackSink

URL = "https://hooks.slack.com/services/T0123/B0123/sEcReTpArT"
TOKEN = "xoxb-0123-sEcReTpArT"
HEAD = '[sinks.oncall]\ntype = "slack"\nevents = ["*"]\n'


def loaded(table):
    """The sink of this table."""
    return load_settings(tomllib.loads(HEAD + table), load_plugins(), folder=Path()).sinks["oncall"]


def problem(table):
    """The only thing that is wrong with a table, without the name of the file."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(table)
    (sentence,) = caught.value.problems
    return sentence.partition(": ")[2]


WEBHOOK = f'webhook_url = "{URL}"\n'
APP = f'token = "{TOKEN}"\nchannel = "#auth"\n'


@pytest.mark.parametrize("table", [WEBHOOK, APP])
def test_a_little_is_enough(table):
    """A webhook's URL, or a token and a channel, make a sink that posts once a second and whose calls are one at a time."""
    sink = loaded(table).build()

    assert (sink.rate, sink.concurrency, sink.batch.size) == (1.0, 1, 500)


@pytest.mark.parametrize(
    ("table", "sentence"),
    {
        "neither": ("", "token: is required, or else webhook_url: one of them says where messages are posted"),
        "both": (
            WEBHOOK + f'token = "{TOKEN}"\nchannel = "a"',
            "token: goes without webhook_url: one of them says where messages are posted",
        ),
        "token alone": (f'token = "{TOKEN}"', "channel: is required beside token"),
        "channel of a webhook": (
            WEBHOOK + 'channel = "#auth"',
            "channel: goes with token only: an incoming webhook has one channel, and no threads",
        ),
        "threads of a webhook": (
            WEBHOOK + 'threads = "user"',
            "threads: goes with token only: an incoming webhook has one channel, and no threads",
        ),
        "rules of a webhook": (
            WEBHOOK + 'rules = [{ events = ["*"], channel = "a" }]',
            "rules: goes with token only: an incoming webhook has one channel, and no threads",
        ),
        "http": (
            'webhook_url = "http://hooks.slack.com/services/x"',
            "webhook_url: expected 'https://'; allow_http = true permits 'http://'",
        ),
        "no path": (
            'webhook_url = "https://hooks.slack.com/"',
            "webhook_url: expected the whole URL of a webhook, such as 'https://hooks.slack.com/services/…'",
        ),
        "no URL": (
            'webhook_url = "T0123/B0123"',
            "webhook_url: expected a URL such as 'https://hooks.slack.com/services/…'",
        ),
        "user in URL": (
            'webhook_url = "https://me:pw@hooks.slack.com/services/x"',
            "webhook_url: a user name or password in the URL is not sent",
        ),
        "no token": ('token = "sEcReT"\nchannel = "a"', "token: expected a bot's token, such as 'xoxb-…'"),
        "line break": ('token = "xoxb-a\\r\\nx: y"\nchannel = "a"', "token: expected a bot's token, such as 'xoxb-…'"),
        "channel": (
            f'token = "{TOKEN}"\nchannel = "the on-call one"',
            "channel: expected a channel such as 'C0123456789' or '#oncall'",
        ),
        "channel of a rule": (
            APP + 'rules = [{ events = ["*"], channel = "@ada" }]',
            "rules.0.channel: expected a channel such as 'C0123456789' or '#oncall'",
        ),
        "threads": (APP + 'threads = "tenant"', "threads: input should be 'user' or 'correlation'"),
        "unknown key": (WEBHOOK + 'chanel = "a"', "chanel: unknown key, did you mean 'channel'?"),
        "dashboard": (
            WEBHOOK + 'dashboard_url = "admin.example.com"',
            "dashboard_url: expected a URL such as 'https://admin.example.com/users/{user_id}'",
        ),
        "dashboard's host": (
            WEBHOOK + 'dashboard_url = "https://{tenant_id}.example.com/"',
            "dashboard_url: expected a URL such as 'https://admin.example.com/users/{user_id}'",
        ),
        "dashboard's field": (
            WEBHOOK + 'dashboard_url = "https://admin.example.com/{userid}"',
            "dashboard_url: there is no field 'userid', did you mean 'user_id'?",
        ),
        "timeout": (WEBHOOK + 'timeout = "5m"', "timeout: input should be less than or equal to 30"),
    }.values(),
)
def test_a_mistake_is_named(table, sentence):
    """What is wrong is said with its key, in a sentence, and without the secret."""
    said = problem(table)

    assert said.startswith(f"sinks.oncall.{sentence}")
    assert "sEcReT" not in said


def test_a_pattern_of_a_rule_is_checked():
    """A rule's patterns are those of `events`, and a wrong one is named."""
    assert problem(APP + 'rules = [{ events = ["User.*"], channel = "a" }]').startswith(
        "sinks.oncall.rules.0.events: 'User.*' is not an event pattern"
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    {
        "unknown field": ("{data.emial}", "there is no field 'data.emial', did you mean 'data.email'?"),
        "field of another type": ("{data.session_handle}", "there is no field 'data.session_handle'"),
        "below a plain field": ("{data.email.domain}", "there is no field 'data.email.domain'"),
        "unknown in the envelope": ("{tenant}", "there is no field 'tenant', did you mean 'tenant_id'?"),
        "all of the data": ("{data}", "there is no field 'data'"),
        "one brace": ("Hello {", "a brace has no counterpart"),
        "another brace": ("Hello }", "a brace has no counterpart"),
        "no name": ("{}", "'' is not a field"),
        "attribute": ("{__class__}", "there is no field '__class__'"),
        "attribute of a value": ("{data.email.__class__}", "there is no field 'data.email.__class__'"),
        "index": ("{data[email]}", "'data[email]' is not a field"),
        "conversion": ("{user_id!r}", "in {user_id…}: a field is a path and nothing else"),
        "specification": ("{user_id:>100000}", "in {user_id…}: a field is a path and nothing else"),
        "nested": ("{user_id:{tenant_id}}", "in {user_id…}: a field is a path and nothing else"),
        "empty": ("  ", "is empty"),
        "too long": ("x" * 1201, "is too long: with its values it must fit into 1200 characters"),
        "too many values": ("{user_id}" * 13, "is too long: with its values it must fit into 1200 characters"),
    }.values(),
)
def test_a_text_is_checked_at_the_start(text, sentence):
    """A template that names no field of its type, or is none, is refused with its type and what is wrong."""
    said = problem(WEBHOOK + f'templates = {{ "user.created" = "{text}" }}')

    assert said.startswith(f"sinks.oncall.templates: 'user.created': {sentence}")


def test_all_templates_that_are_wrong_are_said():
    """One start tells of each of them."""
    said = problem(
        WEBHOOK + 'templates = { "user.created" = "{x}", "user.signed_in" = "{", "user.deleted" = "In", nope = "a" }'
    )

    assert "'user.created': there is no field 'x'" in said
    assert "; 'user.signed_in': a brace has no counterpart" in said
    assert "; 'nope' is not an event type" in said
    assert "'user.deleted'" not in said


def test_a_dotted_key_is_a_type():
    """`user.created = "…"` in the table of texts means the type, though TOML reads it as a table."""
    settings = loaded(
        WEBHOOK + '[sinks.oncall.templates]\nuser.created = "New: {data.email}"\n"user.signed_in" = "In"'
    ).settings

    assert settings.templates == {"user.created": "New: {data.email}", "user.signed_in": "In"}


def test_a_type_of_an_app_is_a_doubt():
    """A text for a type that is not built in is accepted, its data unchecked, and `check` asks whether it is a misspelling."""
    sink = loaded(WEBHOOK + 'templates = { "user.craeted" = "{data.anything.at_All} {who}" }').build()

    (doubt,) = sink.warnings()
    assert doubt == (
        "templates: 'user.craeted' is no built-in event type, did you mean 'user.created'?; its fields are not checked"
    )


def test_a_nested_field_of_a_model_is_known():
    """A path may lead into what a field holds, and a wrong one there is found as well."""
    assert loaded(WEBHOOK + 'templates = { "account.linked" = "{data.linked.email}" }')
    assert "there is no field 'data.linked.emial', did you mean 'data.linked.email'?" in problem(
        WEBHOOK + 'templates = { "account.linked" = "{data.linked.emial}" }'
    )


def test_a_path_leads_into_no_list():
    """A field below a list is refused: which one of them would it be?"""
    assert "there is no field 'data.login_methods.email'" in problem(
        WEBHOOK + 'templates = { "user.deleted" = "{data.login_methods.email}" }'
    )


def test_no_secret_is_shown():
    """Neither a URL nor a token is part of what settings, sinks and their parts look like."""
    for table in (WEBHOOK + 'proxy = "http://me:sEcReTpArT@proxy.example.com"', APP):
        sink = loaded(table).build()
        looks = [repr(sink), repr(sink.settings), str(sink.settings), repr(vars(sink)), repr(loaded(table))]

        assert "sEcReTpArT" not in "".join(looks)
        assert sink.settings.model_dump_json().count("sEcReTpArT") == 0


def test_a_secret_from_the_environment_is_not_repeated(monkeypatch):
    """A URL that a variable holds and that is wrong is not part of the sentence."""
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "hooks.slack.com/services/T0123/B0123/sEcReTpArT")

    assert problem('webhook_url = { env = "SLACK_WEBHOOK_URL" }') == (
        "sinks.oncall.webhook_url: expected a URL such as 'https://hooks.slack.com/services/…'"
    )


def test_settings_are_read_once():
    """Two sinks of equal settings are equal to a reload: nothing is opened anew when another table changed."""
    first = loaded(APP + "templates = { user.created = 'Hello' }")
    first.build()

    assert first.builds_like(loaded(APP + "templates = { user.created = 'Hello' }"))
    assert not loaded(APP).builds_like(loaded(APP + 'threads = "user"'))


def test_a_sink_of_another_name_of_slack():
    """An API at another address, as GovSlack has, is a setting."""
    settings = SlackSettings(token=TOKEN, channel="#a", api_url="https://slack-gov.com/api")

    assert SlackSink("gov", settings).deadline > 0
    assert delivery().event_type == "user.created"
