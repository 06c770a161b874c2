"""Does the SuperTokens core answer, does it take the key, and how does its clock go?"""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import httpx

from supertokens_events.config import CoreSettings
from supertokens_events.core_api.client import CDI_VERSIONS
from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, note, ok, problem, warning
from supertokens_events.operate.words import duration_in_words
from supertokens_events.urls import without_secrets

__all__ = ["core"]

_PATIENCE = 5.0  # seconds
_SKEW = 3.0  # seconds; the Date of an answer has whole ones
_NTP = "Have both machines set by NTP."


def core(case: Case) -> Iterator[Finding]:
    """Each host of ``[core]``, or of what the app gave to ``init``."""
    settings, source = _place(case)
    if not settings.hosts:
        if case.app is None:
            yield note(
                "core.not_known",
                "No core is asked: there is no [core] in the configuration, and no app was given.",
                why="Whether the core answers, and how its clock goes, is not known.",
                do="Give --app, or set core.connection_uri.",
            )
        return
    if case.offline:
        yield note("core.not_asked", "The core is not asked: --offline.")
        return
    with httpx.Client(timeout=_PATIENCE, headers=_key(settings), follow_redirects=False) as client:
        for host in settings.hosts:
            yield from _ask(case, client, host, source)


def _place(case: Case) -> tuple[CoreSettings, str]:
    if case.settings is not None and case.settings.core.hosts:
        return case.settings.core, "[core]"
    place = None
    if case.app is not None:
        from supertokens_events.capture.inspection import core_of_app

        place = core_of_app()
    if place is None:
        return CoreSettings(), ""
    return CoreSettings.model_validate({"connection_uri": place.connection_uri, "api_key": place.api_key}), "init()"


def _key(settings: CoreSettings) -> dict[str, str]:
    return {} if settings.api_key is None else {"api-key": settings.api_key.get_secret_value()}


def _ask(case: Case, client: httpx.Client, host: str, source: str) -> Iterator[Finding]:
    name = without_secrets(host)
    before = case.clock()
    try:
        answer = client.get(f"{host}/apiversion")
        versions = answer.json()["versions"] if answer.status_code == 200 else None
    except httpx.HTTPError as error:
        yield _away(name, source, f"cannot be reached ({type(error).__name__})")
        return
    except (ValueError, KeyError, TypeError):
        versions = None
    if not isinstance(versions, list):
        yield _away(name, source, f"answered {answer.status_code} to GET /apiversion, and not as a core does")
        return
    yield from _clock(name, answer, before, case.clock())
    spoken = next((version for version in CDI_VERSIONS if version in versions), None)
    if spoken is None:
        yield warning(
            "core.version",
            f"The core at {name} speaks none of the versions that backfill and reconcile know: {', '.join(CDI_VERSIONS)}.",
            why="Neither can read it. Capture goes through the SDK, and is not concerned.",
            do="Use a newer core, or a newer supertokens-events.",
            subject=name,
        )
        return
    yield from _takes_the_key(client, host, name, spoken)


def _away(name: str, source: str, why: str) -> Finding:
    return problem(
        "core.reachable",
        f"The core at {name}, as {source} names it, {why}.",
        why="Without it nobody signs in, and neither backfill nor reconcile can read anything.",
        do="See whether it runs, and whether this machine reaches it.",
        subject=name,
    )


def _takes_the_key(client: httpx.Client, host: str, name: str, version: str) -> Iterator[Finding]:
    try:
        status = client.get(f"{host}/users/count", headers={"cdi-version": version}).status_code
    except httpx.HTTPError as error:
        yield _away(name, "asked a second time", f"cannot be reached ({type(error).__name__})")
        return
    if status == 401:
        yield problem(
            "core.key",
            f"The core at {name} refuses the API key.",
            why="Nothing can be read from it, and an app with this key signs nobody in.",
            do="Correct core.api_key, or the key that the app gives to init().",
            subject=name,
        )
    elif status == 200:
        yield ok("core.reachable", f"The core at {name} answers (CDI {version}).", subject=name)
    else:
        yield _away(name, "the configuration", f"answered {status} to GET /users/count")


def _clock(name: str, answer: httpx.Response, before: float, after: float) -> Iterator[Finding]:
    try:
        theirs = parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        yield note("core.clock", f"The core at {name} does not say what time it is.", subject=name)
        return
    skew = max(before - 1.0 - theirs, theirs - after, 0.0)  # whole seconds, cut off
    if skew <= _SKEW:
        yield ok("core.clock", f"The clock of the core at {name} goes as the one of this machine.", subject=name)
        return
    yield warning(
        "core.clock",
        f"The clock of the core at {name} is {duration_in_words(skew)} {'ahead of' if theirs > after else 'behind'} this one's.",
        why="Sessions begin and end by its clock, events have the time of this one: what belongs together does not fit.",
        do=_NTP,
        subject=name,
    )
