"""What is wrong with a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from supertokens_events.config.stamps import Stamp

__all__ = ["ConfigurationError"]


class ConfigurationError(Exception):
    """What is wrong with the configuration: one sentence per problem, each with its file and key.

    ``files`` are those that were read: once one of them changes, it is worth another try.
    """

    def __init__(self, *problems: str, files: Mapping[Path, Stamp] = MappingProxyType({})) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
        self.files = files
