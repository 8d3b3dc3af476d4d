"""The file parts of an upload form, and where each is stored."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from jobs.state.storage import INPUT_DIR
from pipeline.file_kinds import extension_of
from pipeline.workspace import Workspace


class FilePart(StrEnum):
    """Name of the form field."""

    SCAN = "file"
    LABELS = "labels"

    def path(self, workspace: Workspace, filename: str) -> Path:
        """Where it is stored under a generated name; only the extension is the user's."""
        return workspace.input_dir / self._name(filename)

    def stored_path(self, filename: str) -> str:
        """The form in which a record names it: relative to the job's folder."""
        return f"{INPUT_DIR}/{self._name(filename)}"

    def _name(self, filename: str) -> str:
        stem = "upload" if self is FilePart.SCAN else "labels"
        return f"{stem}{extension_of(filename)}"
