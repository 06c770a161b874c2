"""Is the configuration right, and is what it names installed?"""

from __future__ import annotations

from collections.abc import Iterator

from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, note, ok, problem, warning
from supertokens_events.hookspecs import NO_HOOK
from supertokens_events.operate.findings import unavailable, warnings

__all__ = ["configuration", "installed"]


def configuration(case: Case) -> Iterator[Finding]:
    """Every problem, and what is allowed and hardly meant."""
    for sentence in case.problems:
        yield problem(
            "configuration.wrong",
            sentence,
            why="No process that reads this configuration starts, or follows the change.",
            do="Correct it; 'supertokens-events check' shows what is read.",
        )
    settings = case.settings
    if settings is None:
        return
    doubts = list(warnings(settings, case.plugins.catalog))
    for sentence in doubts:
        yield warning(
            "configuration.doubt",
            f"{settings.file}: {sentence}",
            why="It is allowed, and hardly meant.",
            do="Correct it, or leave it if it is meant.",
        )
    for config in settings.sinks.values():
        if config.sink_type is None:
            yield problem(
                "configuration.no_sink_type",
                f"{settings.file}: sinks.{config.name}.type: {unavailable(config)}",
                why="Nothing is delivered to it from here.",
                do="Mend the plugin, or install the one that brings this type.",
                subject=config.name,
            )
        elif config.settings is None:
            yield problem(
                "configuration.stored_sink",
                f"The stored sink {config.name!r} cannot be used here.",
                why="Its deliveries wait.",
                do="See its settings through the API; every process that delivers needs the same [server] encryption_key.",
                subject=config.name,
            )
    if not settings.sinks and not case.problems:
        yield note("configuration.no_sinks", "There is no sink: events are stored and go nowhere.")
    if not case.problems and not doubts:
        yield ok("configuration.right", f"{settings.file} is right.")


def installed(case: Case) -> Iterator[Finding]:
    """Plugins that failed to load, or are turned off."""
    for plugin in case.plugins.failed:
        yield problem(
            "plugins.failed",
            f"The plugin {plugin} failed to load: {plugin.error}",
            why="What it brings is not there: a sink type whose deliveries wait, or a filter that does not filter.",
            do="Mend or uninstall it; 'supertokens-events plugins' lists all of them.",
            subject=plugin.name,
        )
    for plugin in case.plugins.found:
        if plugin.disabled:
            yield note(
                "plugins.off",
                f"The plugin {plugin} is turned off by SUPERTOKENS_EVENTS_DISABLE.",
                why="What it brings is not there.",
                subject=plugin.name,
            )
        elif not plugin.error and not plugin.hooks:
            yield warning(
                "plugins.no_hook",
                f"The plugin {plugin} {NO_HOOK}",
                why="It is never called: a filter, say, would let everything through.",
                do="Put @hookimpl above each of its hooks, or name the module that has them in its entry point.",
                subject=plugin.name,
            )
    if not case.plugins.failed:
        yield ok("plugins.loaded", "Every plugin that is installed and turned on is loaded.")
