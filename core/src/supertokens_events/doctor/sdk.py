"""Which SDK is here, what of it is captured, and how capture stands in the app."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, note, ok, problem, warning
from supertokens_events.operate.words import counted
from supertokens_events.suggest import few

if TYPE_CHECKING:
    from supertokens_events.capture.inspection import Attached

__all__ = ["sdk"]

_SHOWN = 5


def sdk(case: Case) -> Iterator[Finding]:
    """The SDK that is installed, then the app's."""
    try:
        import_module("supertokens_events.capture")
    except ImportError as error:
        yield _not_here(case, error)
        return
    yield from _installed()
    if case.app is None:
        yield note(
            "app.not_given",
            "No app was looked at.",
            why="Whether capture is attached, the order of plugins, and overrides are seen in an app only.",
            do="Give the Events of the app: --app myapp.main:events. The module is imported, as a server would.",
        )
        return
    from supertokens_events.capture.inspection import attached

    found = attached()
    if found is None:
        yield problem(
            "app.not_started",
            "Importing the app does not call supertokens_python.init().",
            why="Without it nothing is captured; and where it is called later, that cannot be seen from here.",
            do="Name a module that calls init() when it is imported.",
        )
        return
    yield from _attached(found)
    yield from _order(found)


def _not_here(case: Case, error: ImportError) -> Finding:
    if _installed_version() is None and case.app is None:
        return note(
            "sdk.not_installed", "supertokens-python is not installed here: this machine can deliver, not capture."
        )
    return problem("sdk.usable", f"{error}.", why="Nothing is captured.", do="Install a release that is new enough.")


def _installed_version() -> str | None:
    try:
        return version("supertokens-python")
    except PackageNotFoundError:
        return None


def _installed() -> Iterator[Finding]:
    from supertokens_events.capture.coverage import coverage, missing

    treatments = coverage()
    with_events = sum(bool(treatment.events) for treatment in treatments)
    yield ok(
        "sdk.usable",
        f"supertokens-python {_installed_version() or 'of no known version'} is installed; events come from "
        f"{counted(with_events, 'function')} of its {len(treatments)}.",
    )
    gaps = missing()
    recipes = {treatment.function.recipe for treatment in treatments}
    for recipe in sorted({function.recipe for function in gaps} - recipes):
        types = sorted({name for function, names in gaps.items() if function.recipe == recipe for name in names})
        yield note(
            "sdk.no_recipe",
            f"This SDK has no recipe {recipe}, from which would come {_listed(types)}.",
            why="It came with a later release.",
            subject=recipe,
        )
    for function, types in gaps.items():
        if function.recipe in recipes:
            yield warning(
                "sdk.gap",
                f"This SDK has no function {function}: {_listed(types) or 'what it prepares'} is not told, or not from there.",
                why="It came with a later release, or has been renamed since.",
                do="Use a release of supertokens-python that has it, or a newer supertokens-events.",
                subject=str(function),
            )
    if missed := [str(treatment.function) for treatment in treatments if treatment.missed]:
        yield warning(
            "sdk.missed",
            f"This SDK has functions that capture does not know: {_listed(missed)}.",
            why="What happens in them becomes no event.",
            do="See whether there is a newer supertokens-events.",
        )


def _listed(names: Sequence[str]) -> str:
    shown, others = few(list(names))
    return ", ".join(shown) + (f" and {others} more" if others else "")


# In the app -------------------------------------------------------------------------------------------------------------


def _attached(found: Attached) -> Iterator[Finding]:
    watched = [one for one in found.functions if one.captured]
    if not found.requests and not watched:
        yield problem(
            "app.attached",
            "Capture is not attached to the app's SDK.",
            why="Nothing that happens becomes an event.",
            do="Hand events.plugin() to init(), first of its plugins; with SDK 0.27 to 0.30 call events.instrument() after it.",
        )
        return
    how = "as a plugin" if found.is_plugin else "by events.instrument()"
    yield ok(
        "app.attached",
        f"Capture is attached {how}: {counted(len(watched), 'function')} of the app's recipes are watched.",
    )
    for recipe in found.hidden:
        yield warning(
            "app.hidden",
            f"Capture of {recipe} is attached to another object than the SDK's own, or cannot be seen behind one.",
            why="What the SDK calls on itself passes by an object that stands in its place, and by capture on it.",
            do="Replace functions on the object that the override is given, instead of putting another in its place.",
            subject=recipe,
        )
    by_recipe: dict[str, list[str]] = defaultdict(list)
    for one in found.functions:
        if not one.captured and one.function.recipe not in found.hidden:
            by_recipe[one.function.recipe].append(one.function.name)
    for recipe, names in by_recipe.items():
        yield problem(
            "app.not_watched",
            f"Functions of the app's recipe {recipe} are not watched: {_listed(names)}.",
            why="What happens in them becomes no event.",
            do="See the app's log at its start: capture says there what it could not wrap.",
            subject=recipe,
        )


def _order(found: Attached) -> Iterator[Finding]:
    if not found.is_plugin:
        return
    beneath = [f"{one.function}: {one.beneath}" for one in found.functions if one.beneath is not None]
    first = ", ".join(found.nearer)
    if not found.nearer:
        yield ok("app.plugin_order", "events.plugin() is the first plugin: nothing stands between capture and the SDK.")
    elif beneath or found.hidden:
        yield problem(
            "app.plugin_order",
            f"events.plugin() is not the first plugin: {first} before it, with overrides beneath capture: {_listed(beneath)}.",
            why="Capture takes their answers for the SDK's: it tells of what they make up, and misses what they do instead.",
            do="List events.plugin() first.",
        )
    else:
        yield warning(
            "app.plugin_order",
            f"events.plugin() is not the first plugin: {first} before it. None of what capture watches is overridden there.",
            why="That may change with a release of that plugin, and nobody would see it.",
            do="List events.plugin() first.",
        )
