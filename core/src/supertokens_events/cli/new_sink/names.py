"""The names of a new sink: one that a person gives, and all that follow from it."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib.util import find_spec

from supertokens_events.cli.group import Mistake
from supertokens_events.config.reader import OWN_SINK_TYPES
from supertokens_events.plugins import Plugins

__all__ = ["Names", "names_for"]

_PREFIX = "supertokens_events_"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


@dataclass(frozen=True)
class Names:
    """``sink_type`` is the one that all others are made of."""

    sink_type: str

    @property
    def distribution(self) -> str:
        """What pip installs, and the folder."""
        return f"{_PREFIX}{self.sink_type}".replace("_", "-")

    @property
    def module(self) -> str:
        """What Python imports."""
        return f"{_PREFIX}{self.sink_type}"

    @property
    def in_a_class(self) -> str:
        """What its classes begin with."""
        return "".join(word.capitalize() for word in self.sink_type.split("_"))


def names_for(given: str, plugins: Plugins) -> Names:
    """The names that follow from ``given``, such as ``pager``, ``Acme-Pager`` or ``supertokens-events-pager``.

    Raises :class:`Mistake` for a name that cannot be one, or is taken.
    """
    name = re.sub(r"[-_. ]+", "_", given.strip().lower()).strip("_").removeprefix(_PREFIX)
    if not _NAME.fullmatch(name):
        raise Mistake(
            f"{given!r} cannot be a sink type: expected a letter and up to 31 letters, digits, '-' or '_', such as 'pager'"
        )
    if keyword.iskeyword(name):
        raise Mistake(f"{given!r} cannot be a sink type: it is a word of Python's own")
    if name == "sink":
        raise Mistake(f"{given!r} cannot be a sink type: they all are; name the place that events go to")
    if name in OWN_SINK_TYPES:
        raise Mistake(f"the sink type {name!r} is one of ours: pip install supertokens-events-{name}")
    names = Names(name)
    for plugin in plugins.found:
        if name == plugin.name or name in plugin.sink_types:
            raise Mistake(f"the name {name!r} is taken by the installed plugin {plugin}: choose another")
    if (there := find_spec(names.module)) is not None and there.origin is not None:
        raise Mistake(
            f"the name {name!r} is taken: its module would be {names.module}, and there is one, which it would replace: "
            f"{there.origin}; choose another"
        )
    return names
