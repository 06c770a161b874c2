"""What the contract says of itself, and how the sink is known."""

from __future__ import annotations

from typing import Any

from supertokens_events.plugins import load_plugins
from supertokens_events.sink import BatchPolicy, Sink
from supertokens_events.sink_types import SINK_TYPE_NAME
from supertokens_events.testing.contract.base import DECLARED, Base

__all__ = ["AboutItself"]


class AboutItself(Base):
    """Nothing is left out without a word."""

    def test_it_says_what_its_place_can_do(self) -> None:
        """Every capability is declared, whichever way: what is not tested is not tested on purpose."""
        silent = [f"{name}: {meaning}" for name, meaning in DECLARED.items() if not hasattr(self, name)]

        assert not silent, f"{type(self).__name__} does not say\n" + "\n".join(silent)

    def test_it_deviates_with_a_reason(self) -> None:
        """No test of the contract is overridden or removed in silence."""
        contract = _contract_of(type(self))
        silent = sorted(
            name
            for name in dir(contract)
            if name.startswith("test_")
            and getattr(type(self), name) is not getattr(contract, name)
            and not _reason(getattr(type(self), name))
        )

        assert not silent, f"{type(self).__name__} overrides {', '.join(silent)}: say why, with @deviates('…')"

    def test_the_type_has_a_name(self) -> None:
        """``type`` is what stands in TOML: lower-case letters, digits, ``_`` and ``-``, a letter first."""
        name = getattr(self.sink_type, "type", None)

        assert isinstance(name, str), (
            f'{self.sink_type.__name__}.type is {name!r}; it is what `type = "…"` says in TOML'
        )
        assert SINK_TYPE_NAME.fullmatch(name), (
            f"{name!r} cannot be a sink type: lower-case letters, digits, '_' and '-'"
        )

    def test_it_is_found(self) -> None:
        """The entry point, or a plugin that the app gives, brings this class as this type."""
        plugins = load_plugins(self.plugins, disable="")

        failed = "; ".join(f"{plugin}: {plugin.error}" for plugin in plugins.failed)
        found = plugins.sink_types.get(self.sink_type.type)
        assert found is self.sink_type, (
            f"the sink type {self.sink_type.type!r} is {found}. Its package needs an entry point in the group "
            f"'supertokens_events' and to be installed, or `plugins` names what brings it. {failed}"
        )

    def test_its_attributes_are_sound(self, sink: Sink[Any]) -> None:
        """``batch``, ``concurrency``, ``rate`` and ``deadline`` are what the dispatcher can go by."""
        assert sink.batch is None or isinstance(sink.batch, BatchPolicy)
        assert sink.batch is None or (sink.batch.size >= 1 and (sink.batch.max_bytes or 1) >= 1)
        assert isinstance(sink.concurrency, int)
        assert sink.concurrency >= 1
        assert sink.rate is None or sink.rate > 0
        assert 0 < sink.deadline < float("inf")


def _contract_of(cls: type) -> type:
    """The contract as it came with the package, whatever ``cls`` and its other bases made of it."""
    return next(base for base in cls.__mro__ if base.__module__ == __package__)


def _reason(test: object) -> str:
    """Why a test deviates: of :func:`deviates`, or of a mark that says so."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name in {"skip", "xfail"}]
    given = [mark.kwargs.get("reason") or (mark.args[0] if mark.name == "skip" and mark.args else "") for mark in marks]
    return str(getattr(test, "deviates", "") or next(filter(None, given), ""))
