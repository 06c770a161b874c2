"""What nobody may see, nobody sees."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from supertokens_events.config import ConfigurationError
from supertokens_events.log import describe_exception
from supertokens_events.sink import Sink
from supertokens_events.testing.contract.base import Base
from supertokens_events.testing.disguises import disguises
from supertokens_events.testing.place import Place

__all__ = ["Secrets"]


class Secrets(Base):
    """Settings may hold secrets; what a person or a log sees does not."""

    def test_the_secrets_are_in_the_settings(self, sink_settings: Mapping[str, Any]) -> None:
        """``secrets`` names texts that the settings hold: else nothing would be looked for."""
        self.asks_for("secrets")

        strange = [number for number, secret in enumerate(self.secrets) if not _holds(sink_settings, secret)]

        assert strange == [], "`sink_settings` holds no such text"

    def test_secrets_are_not_shown(self, sink: Sink[Any]) -> None:
        """Neither the ``repr`` nor the ``str`` of the sink or its settings holds a secret, nor does a warning."""
        self.asks_for("secrets")
        shown = {
            "repr(sink)": repr(sink),
            "str(sink)": str(sink),
            "repr(settings)": repr(sink.settings),
            "str(settings)": str(sink.settings),
            "warnings()": "\n".join(sink.warnings()),
        }

        self.check_hidden(shown)

    def test_secrets_are_not_in_errors(self, sink_settings: Mapping[str, Any], tmp_path: Path) -> None:
        """A mistake in the settings is told without the secret that stands beside it, or in it."""
        self.asks_for("secrets")
        told: dict[str, str] = {}
        for case, own in _mistakes(sink_settings, self.secrets):
            try:
                self.load(own, tmp_path)
            except ConfigurationError as error:
                told[case] = str(error)
            except Exception as error:
                told[case] = repr(error)

        self.check_hidden(told)

    def test_secrets_are_not_told(
        self,
        sink: Sink[Any],
        place: Place,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        """Whatever the place does, no secret is in an outcome, an exception, a log line of any library, or printed."""
        self.asks_for("secrets")
        told: dict[str, str] = {}
        with caplog.at_level(logging.DEBUG):
            for case in self.cases(place):
                told[case] = self.run(_tell, sink, self.delivery(), self.patience)
            told["check()"] = "\n".join(self.run(sink.check))
        told["the log"] = "\n".join(
            f"{record.getMessage()} {vars(record)} {record.exc_text}" for record in caplog.records
        )
        told["what was printed"] = "".join(capfd.readouterr())

        self.check_hidden(told)

    def cases(self, place: Place) -> Iterator[str]:
        """Has the place do all that it can, one after the other."""
        yield "taken"
        if getattr(self, "can_refuse", False):
            place.refuse()
            yield "refused"
        if getattr(self, "can_be_busy", False):
            place.be_busy(1.0)
            yield "busy"
        if getattr(self, "is_remote", False):
            for garbage in place.garbage:
                place.answer(garbage)
                yield garbage
        if getattr(self, "can_be_away", False):
            place.go_away()
            yield "away"

    def check_hidden(self, told: Mapping[str, str]) -> None:
        """No secret is in any of these texts, nor is one that was quoted, escaped or encoded. The failure says where which one
        stands, and shows neither.
        """
        leaks = [
            " ".join(filter(None, [f"secrets[{number}] is in {where}", how]))
            for number, secret in enumerate(self.secrets)
            for where, text in told.items()
            if (how := _disguise(secret, text)) is not None
        ]
        if leaks:
            pytest.fail("\n".join(leaks), pytrace=False)


async def _tell(sink: Sink[Any], delivery: Any, patience: float) -> str:
    """All that a call, with open and close, says to anybody."""
    try:
        with anyio.fail_after(patience):
            await sink.open()
            try:
                return repr(await sink.deliver([delivery]))
            finally:
                with anyio.CancelScope(shield=True):
                    await sink.close()
    except Exception as error:
        return f"{error!r} {error} {describe_exception(error)}"


def _disguise(secret: str, text: str) -> str | None:
    """How the secret is in the text; ``None`` when it is not."""
    return next((how for form, how in disguises(secret).items() if form in text), None)


def _holds(value: Any, secret: str) -> bool:
    match value:
        case str():
            return secret in value
        case Mapping():
            return any(_holds(one, secret) for one in value.values())
        case list() | tuple():
            return any(_holds(one, secret) for one in value)
        case _:
            return False


def _mistakes(own: Mapping[str, Any], secrets: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Settings with a mistake, and what kind it is."""
    yield "an unknown key", {**own, "no_such_key": 1}
    for key, value in own.items():
        yield f"without {key}", {name: one for name, one in own.items() if name != key}
        if any(_holds(value, secret) for secret in secrets):
            yield f"{key} in a list", {**own, key: [[value]]}
            if isinstance(value, str):
                yield f"{key} with a control character", {**own, key: f"{value} \0"}
