"""Its settings: mistakes are told by file and key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from supertokens_events.config import ConfigurationError
from supertokens_events.testing.contract.base import SINK, Base

__all__ = ["SettingsOfIt"]

_NONSENSE = {"nonsense": ["of", "the", "contract"]}


class SettingsOfIt(Base):
    """A person finds the mistake in the file."""

    def test_the_settings_have_a_schema(self) -> None:
        """The API and the dashboard show a form: ``Settings`` can be said as a JSON Schema."""
        schema = self.sink_type.Settings.model_json_schema()

        assert json.loads(json.dumps(schema))["type"] == "object"

    def test_an_unknown_key_is_named(self, sink_settings: Mapping[str, Any], tmp_path: Path) -> None:
        """A misspelt key is a mistake, not a wish that nobody hears."""
        (problem,) = self.problems({**sink_settings, "no_such_key": 1}, tmp_path) or ["nothing is said"]

        assert problem.startswith(f"configuration: sinks.{SINK}.no_such_key: unknown key"), problem

    def test_a_missing_key_is_named(self, sink_settings: Mapping[str, Any], tmp_path: Path) -> None:
        """Whatever key is left out: it has a default, or the error names a key."""
        for key in sink_settings:
            rest = {name: value for name, value in sink_settings.items() if name != key}
            self.check_named(self.problems(rest, tmp_path), f"without {key!r}")

    def test_a_wrong_value_is_named(self, sink_settings: Mapping[str, Any], tmp_path: Path) -> None:
        """Whatever stands where it should not: it is taken, or the error names a key. Some value is wrong for each sink."""
        told = {key: self.problems({**sink_settings, key: _NONSENSE}, tmp_path) for key in sink_settings}

        for key, problems in told.items():
            self.check_named(problems, f"with nonsense as {key!r}")
        assert not told or any(told.values()), f"{self.sink_type.__name__}.Settings takes nonsense for every key"

    def problems(self, own: Mapping[str, Any], folder: Path) -> list[str]:
        """What is wrong with these settings, as a person is told."""
        try:
            self.load(own, folder)
        except ConfigurationError as error:
            return str(error).splitlines()
        except Exception as error:
            pytest.fail(f"checking the settings raised {error!r}", pytrace=False)
        return []

    def check_named(self, problems: list[str], when: str) -> None:
        """Each problem is about a key of the settings."""
        keys = {field.alias or name for name, field in self.sink_type.Settings.model_fields.items()}
        for problem in problems:
            match = re.match(rf"configuration: sinks\.{SINK}\.(\w+)", problem)
            assert match, f"{when} the error names no key: {problem}"
            assert match[1] in keys, f"{when} the error names no key of the settings: {problem}"
