"""The settings of a file: its table in TOML, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, ValidationInfo, field_validator, model_validator

from supertokens_events.config.values import Size
from supertokens_events.retry import Duration
from supertokens_events.sink import SinkSettings
from supertokens_events_file.formats import Format

__all__ = ["FileSettings", "Fsync", "Period", "RotateSettings"]

Fsync = Literal["always", "interval", "never"]
Period = Literal["day", "hour"]
Wait = Annotated[Duration, Field(gt=0)]


class RotateSettings(SinkSettings):
    """When the file is put aside and a new one begun: before it has more than ``size`` bytes, and with each ``every`` (of UTC).

    Of those put aside, the newest ``keep`` stay, and none older than ``max_age`` seconds; ``compress`` makes them smaller.
    """

    size: Size | None = None
    every: Period | None = None
    keep: PositiveInt | None = None
    max_age: Wait | None = None
    compress: Literal["gzip"] | None = None

    @model_validator(mode="after")
    def _has_a_reason(self) -> Self:
        if self.size is None and self.every is None:
            raise ValueError('needs a size, such as "100MiB", or every = "day", or both')
        return self


class FileSettings(SinkSettings):
    """``path`` is the file; it is made, its directory is not. ``fsync`` says when its lines are forced to the disk: before an
    event counts as delivered, at the latest ``fsync_interval`` seconds afterwards, or whenever the system does so.
    """

    path: Path
    format: Format = "jsonl"
    rotate: RotateSettings | None = None
    fsync: Fsync = "interval"
    fsync_interval: Wait = 1.0

    @field_validator("path")
    @classmethod
    def _beside_the_configuration(cls, path: Path, info: ValidationInfo) -> Path:
        if not path.name:
            raise ValueError('names no file; such as "/var/log/app/auth-events.jsonl"')
        return Path((info.context or {}).get("folder", "")) / path
