"""Where a sink delivers to, in a test: a double that is told how to answer, and asked what came."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

__all__ = ["Place"]


class Place(ABC):
    """The place of a :class:`~supertokens_events.testing.SinkContract`. It takes what comes until it is told otherwise.

    :meth:`take` and :meth:`received` are what every place has. The others are needed where the contract says that the place
    can do it: :meth:`refuse` for ``can_refuse``, and so on. They are called from the test's own thread, and hold until the
    next call of one of them.
    """

    garbage: ClassVar[Sequence[str]] = ()
    """What nonsense it can answer, each by a name for people. For ``is_remote``."""

    @abstractmethod
    def take(self) -> None:
        """Take everything from now on, as at the beginning."""

    @abstractmethod
    def received(self) -> Sequence[str]:
        """What it has taken so far, in order: one text for each message, line or request. What it refused is not there."""

    def refuse(self, *texts: str) -> None:
        """Say "never" to what holds one of these texts, to everything when none is given, and take the rest."""
        raise NotImplementedError(self._lacks("refuse"))

    def be_busy(self, after: float) -> None:
        """Ask everybody for patience: ``after`` seconds, where its protocol can say so."""
        raise NotImplementedError(self._lacks("be_busy"))

    def go_away(self) -> None:
        """Be out of reach, with the connections that there are."""
        raise NotImplementedError(self._lacks("go_away"))

    def hang(self) -> None:
        """Let everybody in and answer nobody, on connections that are open already, too."""
        raise NotImplementedError(self._lacks("hang"))

    def answer(self, garbage: str) -> None:
        """Answer everybody this one of :attr:`garbage`. What it takes all the same, as with a success whose body is broken, is in
        :meth:`received`.
        """
        raise NotImplementedError(self._lacks("answer"))

    def connections(self) -> int | None:
        """How many connections to it are open; ``None`` when it cannot tell."""
        return None

    def _lacks(self, method: str) -> str:
        return f"{type(self).__name__} has no {method}(): write it, or say in the contract that the place cannot do it"
