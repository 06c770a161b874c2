"""The command group: a mistake becomes a sentence and an exit code, and plugins add their commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any

import click

from supertokens_events import hookspecs
from supertokens_events.hookspecs import PROJECT, turned_off

if TYPE_CHECKING:
    from supertokens_events.plugins import Plugins

__all__ = ["CommandLine", "Mistake", "Problem", "plugins_of"]

_HOOK = "register_commands"
_PLUGINS = f"{PROJECT}.plugins"
_COMMANDS = f"{PROJECT}.commands"


class Problem(click.ClickException):
    """It ran and found something wrong: sentences for a person, on stderr."""

    exit_code = 1

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=file is None)


class Mistake(Problem):
    """Wrong usage or configuration: the user's to mend."""

    exit_code = 2


class CommandLine(click.Group):
    """The built-in commands in the order they were added, then those of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.commands, *_commands_of_plugins(self, ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or _commands_of_plugins(self, ctx).get(cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(130) from None
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            raise _explained(error) from None


def plugins_of(context: click.Context) -> Plugins:
    """What is installed, loaded once for each run of the program."""
    from supertokens_events.plugins import load_plugins

    if _PLUGINS not in context.meta:
        context.meta[_PLUGINS] = load_plugins()
    plugins: Plugins = context.meta[_PLUGINS]
    return plugins


def _explained(error: Exception) -> Exception:
    """What is the user's to mend, as sentences; a bug of ours or a plugin's as it is, with its traceback."""
    from supertokens_events.config import ConfigurationError
    from supertokens_events.core_api import CoreError
    from supertokens_events.outbox import OutboxError
    from supertokens_events.plugins import PluginError

    match error:
        case ConfigurationError():
            return Mistake(*error.problems)
        case OutboxError() | PluginError() | CoreError():
            return Problem(str(error))
        case ExceptionGroup():  # sinks are delivered to side by side, and may all meet the same
            found = [_explained(part) for part in error.exceptions]
            sentences = dict.fromkeys(problem.message for problem in found if isinstance(problem, Problem))
            return Problem(*sentences) if all(isinstance(problem, Problem) for problem in found) else error
        case _:
            return error


# Commands of plugins ---------------------------------------------------------------------------------------------------


def _commands_of_plugins(group: click.Group, context: click.Context) -> Mapping[str, click.Command]:
    if _COMMANDS not in context.meta:
        context.meta[_COMMANDS] = _collect(group)
    commands: Mapping[str, click.Command] = context.meta[_COMMANDS]
    return commands


def _collect(group: click.Group) -> Mapping[str, click.Command]:
    """The commands of the plugins that may have any. Importing all plugins with what they bring would take a second."""
    added = click.Group()
    for entry_point in sorted(entry_points(group=PROJECT), key=lambda entry_point: entry_point.name, reverse=True):
        if turned_off().isdisjoint({"*", entry_point.name}) and any(_mentions_hook(entry_point)):
            _add_commands(added, entry_point)
            for name in [name for name in added.commands if name in group.commands]:
                del added.commands[name]
                click.echo(
                    f"The plugin {entry_point.name!r} adds a command {name!r}; the built-in one stays.", err=True
                )
    return added.commands


def _add_commands(added: click.Group, entry_point: EntryPoint) -> None:
    """Call this one plugin's hook; what goes wrong is told, and the others go on."""
    import pluggy

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        plugin = entry_point.load()
        if (wrong := hookspecs.wrong_api(plugin)) is not None:
            click.echo(f"The plugin {entry_point.name!r} {wrong}; its commands are left out.", err=True)
            return
        manager.register(plugin, entry_point.name)
        manager.hook.register_commands(cli=added)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin that exits must not take the others with it
        problem = f"{type(error).__name__}: {error}"
        click.echo(f"The commands of the plugin {entry_point.name!r} could not be added: {problem}", err=True)


def _mentions_hook(entry_point: EntryPoint) -> Iterator[bool]:
    if entry_point.attr or "." in entry_point.module:
        yield True  # only importing tells what such an object has
        return
    try:
        spec = find_spec(entry_point.module)
        source = spec.loader.get_source(entry_point.module) if spec and spec.loader else ""  # type: ignore[attr-defined]
    except Exception:  # whatever is wrong with it, loading it says so
        source = None
    yield source is None or _HOOK in source or "import *" in source
