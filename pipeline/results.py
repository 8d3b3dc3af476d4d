"""The output of the last step: a tree of files, its zip, and the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.progress import StepRecord, StepState


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Name, size and SHA-256 of the zip, the warnings, and the records of the steps before the results were written."""

    archive_name: str
    archive_bytes: int
    archive_sha256: str
    warnings: tuple[str, ...]
    steps: tuple[StepRecord, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Manifest:
        """From the dictionary of `to_dict`, also after JSON. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        steps = (StepRecord(**step | {"state": StepState(step["state"])}) for step in values["steps"])
        return cls(**{**values, "warnings": tuple(values["warnings"]), "steps": tuple(steps)})


@dataclass(frozen=True, kw_only=True)
class Results:
    """files_dir: the tree of the zip; archive_path: the zip."""

    files_dir: Path
    archive_path: Path
    manifest: Manifest
