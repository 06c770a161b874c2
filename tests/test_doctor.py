"""The doctor and a real SDK, a real core over HTTP, a real PostgreSQL: what it sees of an app, and that it changes nothing."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import socket
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from supertokens_python.recipe import emailpassword
from supertokens_python.recipe.emailpassword.api.implementation import APIImplementation
from supertokens_python.recipe.emailpassword.interfaces import APIInterface, RecipeInterface, WrongCredentialsError
from supertokens_python.recipe.emailpassword.recipe_implementation import RecipeImplementation

from apps import sdk as apps_sdk
from apps.companions import delegating, plugin, rebinding
from apps.sdk import HAS_PLUGINS, WAYS, Mailbox, recipes, started
from apps.stored import stored_events
from apps.without_sdk import Bare
from outbox.postgres_server import PostgresServer
from supertokens_events import Events
from supertokens_events.capture.chains import chains
from supertokens_events.capture.coverage import interface_of, sdk_functions
from supertokens_events.capture.stand_ins import made_up
from supertokens_events.cli import cli
from supertokens_events.config import CoreSettings
from supertokens_events.doctor import CHECKS, Case, Finding, examine, opened
from supertokens_events.doctor import core as core_module
from supertokens_events.doctor import overrides as overrides_module
from supertokens_events.doctor import state as state_module
from supertokens_events.doctor.core import core as core_questions
from supertokens_events.doctor.outbox import outbox as outbox_questions
from supertokens_events.doctor.overrides import overrides
from supertokens_events.doctor.sdk import sdk

DOCS = Path(__file__).parent.parent / "docs"

with_plugins = pytest.mark.skipif(not HAS_PLUGINS, reason="this SDK has no plugins")


@pytest.fixture
def events(make_events) -> Events:
    return make_events()


def case_of(events: Events, **fields: Any) -> Case:
    return Case(events.plugins, events.configured, app=events, environment={}, **fields)


def found(findings: Any) -> list[tuple[str, str]]:
    return [(one.id, str(one.severity)) for one in findings]


def by_id(findings: Any) -> dict[str, Finding]:
    return {one.id: one for one in findings}


# Overrides

SENT: list[str] = []
"""What an override has sent, were it really called."""


async def calling(original: Any, **arguments: Any) -> Any:
    result = await original(**arguments)
    SENT.append("a mail, after the original")
    return result


async def replacing(_original: Any, **_: Any) -> Any:
    return WrongCredentialsError()


async def raising(_original: Any, **_: Any) -> Any:
    raise RuntimeError("the password is m4rker")


async def conditional(original: Any, **arguments: Any) -> Any:
    return WrongCredentialsError() if arguments["session"] is None else await original(**arguments)


async def asking_first(original: Any, **arguments: Any) -> Any:
    socket.create_connection(("127.0.0.1", 9))
    return await original(**arguments)


async def trying_first(original: Any, **arguments: Any) -> Any:
    try:
        os.close(os.open("noted", os.O_CREAT | os.O_WRONLY))
    except OSError:
        SENT.append("nothing")
    return await original(**arguments)


async def swallowing(original: Any, **arguments: Any) -> Any:
    try:
        return await original(**arguments)
    except BaseException:
        return WrongCredentialsError()


async def hanging(_original: Any, **_: Any) -> Any:
    threading.Event().wait()


async def exiting(_original: Any, **_: Any) -> Any:
    sys.exit("m4rker")


def overriding(how: Any, name: str = "sign_in") -> dict[str, Any]:
    """The recipe list's part that puts ``how`` around a recipe function."""

    def functions(implementation: Any) -> Any:
        original = getattr(implementation, name)

        async def override(**arguments: Any) -> Any:
            return await how(original, **arguments)

        setattr(implementation, name, override)
        return implementation

    return {"ep_override": emailpassword.InputOverrideConfig(functions=functions)}


VERDICTS = [
    (calling, "overrides.original", "ok", "which calls the original"),
    (trying_first, "overrides.original", "ok", "which calls the original"),
    (swallowing, "overrides.original", "ok", "which calls the original"),
    (replacing, "overrides.replaced", "warning", "did not call the original with any made-up arguments"),
    (conditional, "overrides.sometimes", "note", "with some made-up arguments, not with others"),
    (raising, "overrides.unclear", "note", "raised RuntimeError at test_doctor.py"),
    (asking_first, "overrides.unclear", "note", "it wants a file, a connection or a process first"),
    (hanging, "overrides.unclear", "note", "did not come to an end within"),
    (exiting, "overrides.unclear", "note", "or ended its process"),
]


@pytest.mark.parametrize("attach", WAYS)
@pytest.mark.parametrize(("how", "id_", "severity", "said"), VERDICTS)
def test_an_override_is_run(how, id_, severity, said, attach, core, events, monkeypatch, tmp_path):
    """Whether it calls the original is told by a call; nothing after that happens, nothing reaches the core or is emitted."""
    monkeypatch.setattr(overrides_module, "_WITHIN", 1.0)
    monkeypatch.chdir(tmp_path)
    SENT.clear()
    core.reset()
    with started(core.url, recipes(Mailbox(), **overriding(how)), events, attach=attach):
        asked = core.requests
        (finding,) = overrides(case_of(events, run_overrides=True))

        assert (finding.id, finding.severity, finding.subject) == (id_, severity, "emailpassword.sign_in")
        assert said in finding.what
        assert "m4rker" not in str(finding)
        assert core.requests == asked
    assert SENT == []
    assert not Path("noted").exists()
    assert stored_events(events) == []


def test_an_override_that_calls_another_function(core, events):
    """One that calls another function of the recipe instead is told with that one's name."""

    def functions(implementation: Any) -> Any:
        async def sign_up(**arguments: Any) -> Any:
            names = ("email", "password", "tenant_id", "user_context")
            return await implementation.create_new_recipe_user(**{name: arguments[name] for name in names})

        implementation.sign_up = sign_up
        return implementation

    override = {"ep_override": emailpassword.InputOverrideConfig(functions=functions)}
    with started(core.url, recipes(Mailbox(), **override), events):
        (finding,) = overrides(case_of(events, run_overrides=True))

    assert (finding.id, finding.severity) == ("overrides.replaced", "warning")
    assert "it calls create_new_recipe_user instead" in finding.what


def test_an_api_override_is_run(core, events):
    """A frontend API function is called by position, as the SDK does, with a form that is made up."""

    def apis(implementation: Any) -> Any:
        original = implementation.sign_in_post

        async def sign_in_post(
            form_fields: Any, tenant_id: str, session: Any, should: Any, options: Any, context: Any
        ) -> Any:
            email = next(field.value for field in form_fields if field.id == "email")
            if (
                not email.endswith("@example.com")
                or tenant_id != "public"
                or context
                or options.request.get_header("x")
            ):
                return await original(form_fields, tenant_id, session, should, options, context)
            return None

        implementation.sign_in_post = sign_in_post
        return implementation

    override = {"ep_override": emailpassword.InputOverrideConfig(apis=apis)}
    with started(core.url, recipes(Mailbox(), **override), events):
        (finding,) = overrides(case_of(events, run_overrides=True))

    assert (finding.id, finding.subject) == ("overrides.original", "emailpassword.sign_in_post")


def test_an_override_that_puts_its_own_object_there(core, events):
    """A delegate is run like any other override."""

    class Delegate:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        async def sign_in(self, **_: Any) -> Any:
            return WrongCredentialsError()

    override = {"ep_override": emailpassword.InputOverrideConfig(functions=Delegate)}
    with started(core.url, recipes(Mailbox(), **override), events):
        findings = list(overrides(case_of(events, run_overrides=True)))

    assert [(one.id, one.subject) for one in findings] == [("overrides.replaced", "emailpassword.sign_in")]


def test_what_is_tried_is_told_to_nobody(core, events):
    """Capture has no part in the chain that is tried: no event is emitted, and nothing is counted as failed."""

    def apis(implementation: Any) -> Any:
        implementation.sign_in_post = rejecting
        return implementation

    async def rejecting(*_: Any) -> Any:
        return WrongCredentialsError()

    override = {"ep_override": emailpassword.InputOverrideConfig(apis=apis)}
    with started(core.url, recipes(Mailbox(), **override), events):
        for chain in chains():
            assert asyncio.run(chain.try_out(full=True)).way == "returned"

    assert stored_events(events) == []
    assert events.ledger.peek() == {}


def test_a_call_ends_at_the_original(core, events):
    """What an override does after the original has answered is not run."""
    SENT.clear()
    with started(core.url, recipes(Mailbox(), **overriding(calling)), events):
        (chain,) = chains()
        assert asyncio.run(chain.try_out(full=True)).way == "reached"

    assert SENT == []


def test_every_function_can_be_tried(core, events):
    """For each function of each recipe that capture watches there are arguments, of as many as its signature asks for."""
    for function in sdk_functions():
        if function.kind == "method":
            continue
        method = getattr(interface_of(function.recipe, function.kind), function.name)
        for full in (False, True):
            inspect.signature(method).bind(None, **made_up(method, full=full))


def test_overrides_that_can_be_put_together_once_only(core, events):
    """An override function that raises the second time is told, and the others go on."""
    calls: list[Any] = []

    def functions(implementation: Any) -> Any:
        calls.append(implementation)
        if len(calls) > 1:
            raise RuntimeError("m4rker: registered twice")
        return implementation

    override = {"ep_override": emailpassword.InputOverrideConfig(functions=functions)}
    with started(core.url, recipes(Mailbox(), **override), events):
        (finding,) = overrides(case_of(events, run_overrides=True))

    assert (finding.id, finding.severity, finding.subject) == ("overrides.unclear", "note", "emailpassword")
    assert "m4rker" not in str(finding)


@pytest.mark.parametrize("attach", WAYS)
def test_nothing_is_run_unasked(attach, core, events):
    """Without --run-overrides no code of the app's is called, not even what puts overrides together; they are only named."""
    called: list[str] = []

    def functions(implementation: Any) -> Any:
        called.append("functions")

        async def sign_in(**_: Any) -> Any:
            called.append("sign_in")

        implementation.sign_in = sign_in
        return implementation

    override = {"ep_override": emailpassword.InputOverrideConfig(functions=functions)}
    with started(core.url, recipes(Mailbox(), **override), events, attach=attach):
        findings = [*sdk(case_of(events)), *overrides(case_of(events))]

    assert called == ["functions"]
    finding = by_id(findings)["overrides.not_run"]
    assert re.search(
        r"1 function .* is overridden: emailpassword\.sign_in: .*sign_in \(.*test_doctor\.py:\d+\)", finding.what
    )


@pytest.mark.parametrize("run", [True, False])
def test_no_overrides(run, core, events):
    """An app without any is told so."""
    with started(core.url, recipes(Mailbox()), events):
        assert found(overrides(case_of(events, run_overrides=run))) == [("overrides.none", "ok")]


# The SDK in the app


@pytest.mark.parametrize("attach", WAYS)
def test_an_app_as_it_should_be(attach, core, events):
    """Attached either way, with nothing else beneath: nothing to complain of."""
    with started(core.url, recipes(Mailbox()), events, attach=attach):
        findings = list(sdk(case_of(events)))

    assert {one.severity for one in findings if one.id.startswith("app.")} == {"ok"}
    assert "app.attached" in by_id(findings)


def changing_nothing(implementation: Any) -> Any:
    return implementation


@with_plugins
@pytest.mark.parametrize(
    ("below", "above", "severity"),
    [
        ([], [rebinding], "ok"),
        ([changing_nothing], [], "warning"),
        ([rebinding], [], "problem"),
        ([delegating], [], "problem"),
    ],
)
def test_the_order_of_plugins(below, above, severity, core, events):
    """Ours first is fine; after another it is a warning, and a problem where that one has overrides beneath ours."""
    others = {"below": [plugin(one) for one in below], "above": [plugin(one) for one in above]}
    with started(core.url, recipes(Mailbox()), events, **others):
        findings = by_id(sdk(case_of(events)))

    assert findings["app.plugin_order"].severity == severity
    if below:
        assert "another-plugin" in findings["app.plugin_order"].what
    if below == [rebinding]:
        assert "companions.py" in findings["app.plugin_order"].what


def test_capture_that_is_not_attached(core, events):
    """An app whose SDK runs without us is a problem, and one that has not called init() is another."""
    assert by_id(sdk(case_of(events)))["app.not_started"].severity == "problem"

    with started(core.url, recipes(Mailbox())):
        assert by_id(sdk(case_of(events)))["app.attached"].severity == "problem"


def test_a_recipe_that_capture_did_not_reach(core, events):
    """A function that is not watched, for whatever reason, is named."""
    from supertokens_python.recipe.emailpassword.recipe import EmailPasswordRecipe

    with started(core.url, recipes(Mailbox()), events):
        implementation = EmailPasswordRecipe.get_instance().recipe_implementation
        vars(implementation)["_supertokens_events"]["sign_in"] = None
        finding = by_id(sdk(case_of(events)))["app.not_watched"]

    assert (finding.severity, finding.subject) == ("problem", "emailpassword")
    assert finding.what.endswith("are not watched: sign_in.")


def test_a_function_is_renamed(core, events, monkeypatch):
    """An SDK that has lost a function is a gap by name, with the event types that are missing, and knows a new one."""
    for cls in (RecipeImplementation, RecipeInterface):
        monkeypatch.setattr(cls, "create_reset_password_token_anew", cls.create_reset_password_token, raising=False)
        monkeypatch.delattr(cls, "create_reset_password_token")
    for cls in (APIImplementation, APIInterface):
        monkeypatch.setattr(cls, "sign_out_everywhere_post", cls.sign_in_post, raising=False)

    findings = by_id(sdk(Case(events.plugins, events.configured)))

    gap, missed = findings["sdk.gap"], findings["sdk.missed"]
    assert (gap.severity, gap.subject) == ("warning", "emailpassword.create_reset_password_token")
    assert "password.reset.requested" in gap.what or "password" in gap.what
    assert "emailpassword.sign_out_everywhere_post" in missed.what
    assert "app.not_given" in findings


def test_an_sdk_that_is_too_old_or_not_there(tmp_path):
    """A host without the SDK is told what that means; one that is too old is a problem with the release that is needed."""
    (tmp_path / "supertokens-events.toml").write_text('[outbox]\nurl = "sqlite:events.db"\n')
    (tmp_path / "site").mkdir()
    bare = Bare(tmp_path / "site")

    def asked(python: Bare) -> dict[str, dict[str, str]]:
        done = python.python("-m", "supertokens_events", "doctor", "--json", cwd=tmp_path)
        assert done.returncode in (0, 1), done.stderr
        return {one["id"]: one for one in map(json.loads, done.stdout.splitlines())}

    assert asked(bare)["sdk.not_installed"]["severity"] == "note"
    info = tmp_path / "site/supertokens_python-0.24.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: supertokens-python\nVersion: 0.24.1\n")
    old = asked(bare)["sdk.usable"]
    assert old["severity"] == "problem"
    assert "0.24.1 is installed" in old["what"]


# The core and its clock


def core_case(events: Events, url: str, *, api_key: str | None = None, **fields: Any) -> Case:
    settings = CoreSettings.model_validate({"connection_uri": url, "api_key": api_key})
    return Case(events.plugins, replace(events.configured, core=settings), environment={}, **fields)


def test_a_core_that_answers(core, events):
    """It is reachable, takes the key, and its clock goes as ours."""
    assert found(core_questions(core_case(events, core.url))) == [("core.clock", "ok"), ("core.reachable", "ok")]


@pytest.mark.parametrize(("skew", "said"), [(100.0, "behind"), (-100.0, "ahead of")])
def test_a_clock_that_goes_wrong(core, events, skew, said):
    """A clock that differs by more than an answer takes is a warning with how much, and in which direction."""
    findings = by_id(core_questions(core_case(events, core.url, clock=lambda: time.time() + skew)))

    assert findings["core.clock"].severity == "warning"
    assert re.search(rf"is 1 min \d+ s {said}", findings["core.clock"].what)


def test_the_core_of_the_app(core, events):
    """Without [core] the one that the app gave to init() is asked."""
    with started(core.url, recipes(Mailbox()), events):
        assert found(core_questions(case_of(events))) == [("core.clock", "ok"), ("core.reachable", "ok")]
        assert found(core_questions(case_of(events, offline=True))) == [("core.not_asked", "note")]


def test_a_core_that_refuses_the_key(httpserver, events):
    """A wrong key is a problem of its own, and not shown."""
    httpserver.expect_request("/apiversion").respond_with_json({"versions": ["5.4"]})
    httpserver.expect_request("/users/count").respond_with_data("Invalid API key", status=401)

    findings = list(core_questions(core_case(events, httpserver.url_for(""), api_key="m4rker-of-a-key")))

    assert found(findings)[-1] == ("core.key", "problem")
    assert "m4rker" not in str(findings)


@pytest.mark.parametrize("answer", [{"versions": ["2.9"]}, {"hello": 1}, [1], "hello"])
def test_something_that_is_no_core(httpserver, events, answer):
    """Whatever else answers there is a finding."""
    httpserver.expect_request("/apiversion").respond_with_json(answer)

    last = list(core_questions(core_case(events, httpserver.url_for(""))))[-1]

    assert last.id in ("core.reachable", "core.version")
    assert last.severity in ("problem", "warning")


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    """A place that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


def test_a_core_that_hangs(silent, events, monkeypatch):
    """A core that never answers is a problem after a few seconds."""
    monkeypatch.setattr(core_module, "_PATIENCE", 0.2)

    assert found(core_questions(core_case(events, f"http://{silent[0]}:{silent[1]}"))) == [
        ("core.reachable", "problem")
    ]


def test_a_sink_that_hangs(silent, make_events):
    """A webhook whose place never answers is a finding, and holds up nothing else."""
    host, port = silent
    crm = {"type": "webhook", "events": ["*"], "url": f"https://{host}:{port}", "secret": f"whsec_{'QUJD' * 8}"}
    events = make_events(sinks={"crm": {**crm, "allow_networks": ["127.0.0.0/8"]}})

    with opened(Case(events.plugins, events.configured, environment={}, patience=2.3)) as case:
        findings = by_id(examine(case, CHECKS))

    assert findings["sinks.place"].severity == "problem"
    assert "no answer within" in findings["sinks.place"].what
    assert "outbox.writable" in findings


# PostgreSQL


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.remove()


def test_postgres(server, make_events):
    """A server that runs is fine; one whose clock differs is a warning; one that has stopped is a problem, in time."""
    url = server.url("postgres")
    events = make_events(outbox={"url": url})
    case = Case(events.plugins, events.configured, environment={}, patience=10)
    with opened(case) as whole:
        well = found(outbox_questions(whole))
        skewed = by_id(outbox_questions(replace(whole, clock=lambda: time.time() - 50)))
    server.stop()
    began = time.monotonic()
    try:
        with opened(case) as whole:
            findings = by_id(examine(whole, CHECKS))
    finally:
        server.start()

    assert well == [("outbox.writable", "ok"), ("outbox.clock", "ok"), ("outbox.size", "ok")]
    assert (skewed["outbox.clock"].severity, "ahead of" in skewed["outbox.clock"].what) == ("warning", True)
    assert findings["outbox.writable"].severity == "problem"
    assert "postgresql://postgres@" in findings["outbox.writable"].what
    assert time.monotonic() - began < 20


# The command

APP = """
    from supertokens_python import InputAppInfo, SupertokensConfig, init
    from supertokens_python.recipe import emailpassword, session
    from supertokens_events import Events

    print("printed by the app")
    settings = {}
    nothing = None

    def functions(implementation):
        async def sign_in(**arguments):
            return None

        implementation.sign_in = sign_in
        return implementation

    events = Events.from_toml()
    init(
        app_info=InputAppInfo(app_name="App", api_domain="http://localhost", website_domain="http://localhost"),
        supertokens_config=SupertokensConfig("CORE", api_key="m4rker-of-the-apps-core"),
        framework="fastapi",
        recipe_list=[
            emailpassword.init(override=emailpassword.InputOverrideConfig(functions=functions)),
            session.init(anti_csrf="NONE"),
        ],
    )
    events.instrument()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, core) -> Iterator[Path]:
    """A working folder with a configuration full of secrets and an app; the SDK is reset afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("M4RKER_TOKEN", "m4rker-of-a-token-m4rker")
    monkeypatch.setenv("OUTBOX", "sqlite:events.db?password=m4rker")
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "supertokens-events.toml").write_text(
        textwrap.dedent(
            """
            [outbox]
            url = "sqlite:events.db"
            [server]
            api_keys = ["m4rker-m4rker-m4rker-m4rker"]
            encryption_key = "bTRya2VyLW00cmtlci1tNHJrZXItbTRya2VyLW00cms="
            [core]
            connection_uri = "http://user:m4rker@127.0.0.1:9/appid-m"
            api_key = "m4rker-of-the-core"
            [sinks.crm]
            type = "webhook"
            events = ["*"]
            url = "https://127.0.0.1:9/hooks?token=m4rker"
            secret = "whsec_bTRya2VybTRya2VybTRya2VybTRya2Vy"
            headers = { authorization = { env = "M4RKER_TOKEN" } }
            [sinks.audit]
            type = "file"
            events = ["*"]
            path = "audit.jsonl"
            """
        )
    )
    (tmp_path / "doctored_app.py").write_text(textwrap.dedent(APP).replace("CORE", core.url))
    yield tmp_path
    if "doctored_app" in sys.modules:
        events = getattr(sys.modules.pop("doctored_app"), "events", None)
        if events is not None:
            events.stop()
            apps_sdk.reset()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments], catch_exceptions=False)


def test_the_command_prints_no_secret(folder):
    """As text and as JSON: no key, token, password or query, right or wrong, of the configuration or of the app."""
    app = ("--app", "doctored_app:events")
    printed = [run(*options) for options in ((), ("--json",), (*app, "--run-overrides"), (*app, "--json"))]
    for key in ("secret", "api_keys", "api_key", "url"):
        text = (folder / "supertokens-events.toml").read_text()
        (folder / "supertokens-events.toml").write_text(
            re.sub(rf"^{key} = .*", f'{key} = "m4rker"', text, flags=re.MULTILINE)
        )
        printed.append(run())

    said = "\n".join(result.output for result in printed).replace("M4RKER_TOKEN", "")
    assert [result.exit_code for result in printed] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert "secrets.weak" in printed[1].stdout
    assert "bTRya2" not in said
    assert "m4rker" not in said


def test_the_command_as_json(folder):
    """One object for each finding, with a stable id, and nothing else on stdout, whatever the app prints."""
    result = run("--app", "doctored_app:events", "--run-overrides", "--offline", "--json")

    findings = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(set(one) == {"id", "severity", "what", "why", "do", "subject"} for one in findings)
    assert all(one["why"] and one["do"] for one in findings if one["severity"] in ("warning", "problem"))
    assert {"app.attached", "overrides.replaced", "sinks.not_asked"} <= {one["id"] for one in findings}
    assert "printed by the app" in result.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:events", "No module named 'no_such_module'"),
        ("doctored_app:evnts", "importing it raised AttributeError"),
        ("doctored_app:settings", "it is of the class dict"),
        ("raises:events", "importing it raised RuntimeError at raises.py:1"),
        ("exits:events", "importing it raised SystemExit"),
        ("hangs:events", "importing it takes longer than 0.5 s"),
    ],
)
def test_an_app_that_cannot_be_used(folder, name, said):
    """It is a finding without a traceback, and the other questions are asked all the same."""
    (folder / "raises.py").write_text("raise RuntimeError('m4rker')")
    (folder / "exits.py").write_text("raise SystemExit(3)")
    (folder / "hangs.py").write_text("import threading; threading.Event().wait()")

    patience = ("--patience", "0.5s") if name.startswith("hangs") else ()
    result = run("--app", name, "--json", "--offline", *patience)

    findings = {one["id"]: one for one in map(json.loads, result.stdout.splitlines())}
    assert result.exit_code == 1
    assert said in findings["app.found"]["what"]
    assert "m4rker" not in result.output
    assert {"app.not_given", "configuration.right"} & set(findings)
    sys.modules.pop("hangs", None)


@pytest.mark.parametrize(
    "arguments",
    [("--app", "myapp"), ("--app", ":events"), ("--run-overrides",), ("--patience", "soon"), ("--no-such",)],
)
def test_wrong_usage(folder, arguments):
    """Wrong usage is a sentence and exit code 2."""
    result = run(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error" in result.stderr


def test_a_healthy_project_exits_zero(tmp_path, monkeypatch):
    """Notes alone are no fault: exit code 0, and the last line counts."""
    monkeypatch.chdir(tmp_path)
    Path("supertokens-events.toml").write_text('[sinks.audit]\ntype = "file"\nevents = ["*"]\npath = "audit.jsonl"\n')

    result = run()

    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"\d+ notes, \d+ fine", result.stdout.splitlines()[-1])


def test_every_finding_is_in_the_guide():
    """The page lists each id that the code can give, and no others."""
    source = DOCS.parent / "core/src/supertokens_events/doctor"
    text = "\n".join(path.read_text(encoding="utf-8") for path in source.glob("*.py"))
    ids = set(re.findall(r'(?:note|ok|problem|warning|kind_of)\(\s*"([a-z]+\.[a-z_]+)"', text))
    rows = re.findall(r"^\| (`[^|]*`) \|", (DOCS / "guide/doctor.md").read_text(encoding="utf-8"), re.MULTILINE)

    listed = re.findall(r"`([a-z]+\.[a-z_]+)`", " ".join(rows))
    assert sorted(listed) == sorted(ids | {f"ledger.{reason}" for reason in state_module.LEDGER})
