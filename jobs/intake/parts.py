"""The file parts of an upload form, and where each is stored."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pipeline.file_kinds import extension_of
from pipeline.workspace import Workspace


class FilePart(StrEnum):
    """Name of the form field."""

    SCAN = "file"
    LABELS = "labels"

    def path(self, workspace: Workspace, filename: str) -> Path:
        """Where it is stored under a generated name; only the extension is the user's."""
        stem = "upload" if self is FilePart.SCAN else "labels"
        return workspace.input_dir / f"{stem}{extension_of(filename)}"
