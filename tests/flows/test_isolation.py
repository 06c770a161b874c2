"""Sign-in comes first, in every flow: whatever events do or suffer, the app answers as it does without them.

Not played here: other frameworks than FastAPI, for the time it takes (``test_nothing_changes.py`` has one story in each of
them), and the flows of a backend, which have no HTTP answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

import test_flows
from apps.browser import Plain, plain
from apps.canary import LONG
from apps.stored import counted
from apps.trouble import Trouble, capture_raises, filter_raises, hooks_raise, unwritable_folder
from apps.world import World as BrowserWorld
from apps.world import end_sync_thread, sync_thread
from core_double import CoreDouble
from flows.harness import API, PATIENT, Flow, playing
from supertokens_events import Events

IMPATIENT = 0.01  # seconds that an answer waits for an outbox that fails

Begin = Callable[[Path], AbstractContextManager[Trouble]]

TABLES = ["accounts", "dashboard", "mfa", "oauth", "saml", "sessions", "tenants", "webauthn"]
"""The modules with flows of the frontend API; the others have only a backend's."""


@contextmanager
def no_trouble(folder: Path) -> Iterator[Trouble]:
    yield Trouble({}, "")


TROUBLES: dict[Begin, str | None] = {
    no_trouble: None,
    unwritable_folder: "late",
    hooks_raise: "enrich_failed",
    filter_raises: "filter_failed",
    capture_raises: "capture_failed",
}
"""What goes wrong beside a flow, and what the ledger counts of it wherever the flow has an event. Each by itself: one
failure could keep another from happening.
"""


def frontend_flows() -> Iterator[Any]:
    """Every row of the tables that a frontend can play, with the marks that it has there."""
    for table in TABLES:
        try:
            test = import_module(f"flows.test_{table}").test_flow
        except (ImportError, pytest.skip.Exception) as why:  # an older SDK
            yield pytest.param(None, id=table, marks=pytest.mark.skip(reason=str(why)))
            continue
        (parametrize,) = (mark for mark in test.pytestmark if mark.name == "parametrize")
        for row in parametrize.args[1]:
            flow, entry = row.values
            if entry == API[0]:
                yield pytest.param(flow, id=f"{table}: {flow.name}", marks=row.marks)


@pytest.mark.parametrize("flow", list(frontend_flows()))
def test_answers_are_the_same(flow, core, tmp_path):
    """Every answer is the one without events: with events, with a failing outbox, with a hook, a filter or capture that
    raises.
    """
    without, _ = answers(flow, core, tmp_path / "without", no_trouble, attach="nothing")
    assert without
    for begin, reason in TROUBLES.items():
        with_events, found = answers(flow, core, tmp_path / begin.__name__, begin)
        assert with_events == without, begin
        assert reason is None or reason in found or not flow.event_types, begin


def answers(flow: Flow, core: CoreDouble, folder: Path, begin: Begin, **how: Any) -> tuple[list[Plain], set[str]]:
    """Those of the whole flow, what was given included; and the reasons in the ledger."""
    folder.mkdir()
    with ExitStack() as stack:
        trouble = stack.enter_context(begin(folder))
        tables = {"capture": {"events": list(flow.captured)}, **trouble.tables}
        outbox = {**tables.pop("outbox", {}), "append_timeout": IMPATIENT if trouble.tables else PATIENT}
        with playing(core, folder, flow.recipes, API[0], plugins=trouble.plugins, outbox=outbox, **tables, **how) as w:
            for step in [*flow.given, flow.when]:
                step(w)
            stack.close()
    return without_made_up(w.responses, w.all_secrets()), reasons(w.events)


def reasons(events: Events) -> set[str]:
    return {reason for reason, _subject in counted(events)}


class Unwatched(BrowserWorld):
    """Nobody looks at the events: the outbox may be one that fails."""

    def mark(self) -> None:
        """Nothing to remember."""


@pytest.mark.parametrize("flow", test_flows.FRONTEND, ids=lambda flow: flow.name)
def test_answers_of_passwords_and_sessions_are_the_same(flow, run_app, make_events, sync, tmp_path):
    """So it is with the flows of e-mail, password and session, whose app runs on a real server."""

    def answers(begin: Begin, *, attached: bool = True) -> tuple[list[Plain], set[str]]:
        folder = tmp_path / f"{begin.__name__} {attached}"
        folder.mkdir()
        with ExitStack() as stack:
            trouble = stack.enter_context(begin(folder))
            url = trouble.tables.get("outbox", {}).get("url", f"sqlite:///{folder}/events.db")
            outbox = {"url": url, "append_timeout": IMPATIENT if trouble.tables else PATIENT}
            events = make_events(trouble.plugins, outbox=outbox)
            with run_app("fastapi", events if attached else None, more=flow.needs) as app:
                w = Unwatched(app, events, "asyncio", sync)
                with w.browser:
                    for step in [*flow.given, flow.when]:
                        step(w)
            stack.close()
            events.stop()
        return without_made_up(w.browser.answers, w.secrets()), reasons(events)

    without, _ = answers(no_trouble, attached=False)
    for begin, reason in TROUBLES.items():
        with_events, found = answers(begin)
        assert with_events == without, begin
        assert reason is None or reason in found or not flow.says, begin


@pytest.fixture
def sync() -> Iterator[ThreadPoolExecutor]:
    thread = sync_thread()
    yield thread
    end_sync_thread(thread)


MADE_UP = (
    (re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*"), "<jwt>"),
    (re.compile(r"(?:(?=[\w%.+/-]*\d)[\w%.+/-]{20,}|[\w-]{40,})={0,2}"), "<made up>"),  # one key in 1500 has no digit
    (re.compile(r"\b1\d{9}\b"), "<seconds>"),
    (re.compile(r'(?<="retryAfterMs":)\d+'), "<milliseconds>"),
)


def without_made_up(answers: Sequence[httpx.Response], secrets: set[str]) -> list[Plain]:
    """Ids, tokens and times by their shape only, and no length where the shape has none."""
    long = sorted((secret for secret in secrets if len(secret) >= LONG), key=len, reverse=True)
    return [_without_made_up(answer, long) for answer in answers]


def _without_made_up(answer: httpx.Response, secrets: Sequence[str]) -> Plain:
    status, headers, body = plain(answer)
    return Plain(
        status,
        [(name, shape(value, secrets)) for name, value in headers if name != "content-length"],
        shape(body, secrets),
    )


def shape(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "<secret>").replace(quote_plus(secret), "<secret>")
    for pattern, name in MADE_UP:
        text = pattern.sub(name, text)
    return text
