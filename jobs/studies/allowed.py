"""Which files a study may read: those in folders that the operator allows, and those that were uploaded for it.

Links are followed before a path is judged, and a path outside is refused before it is looked at: the answer is the same
whether it exists or not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jobs.settings import Settings
from jobs.studies.record import StudyRecord
from pipeline.errors import OptionsError
from studies.columns import LABELS, PATH
from studies.findings import NOT_ALLOWED, Finding
from studies.manifest import Manifest, Row


def allowed_folder(settings: Settings, name: str) -> Path:
    """The folder with this name, or below it: `oai`, `oai/baseline`. Raises OptionsError."""
    folders = settings.study_folders
    first, _, rest = name.strip("/").partition("/")
    found = folders.get(first)
    if found is not None and "\0" not in rest:
        path = (found / rest).resolve()
        if path.is_relative_to(found) and path.is_dir():
            return path
    listed = ", ".join(folders) or "none"
    raise OptionsError(
        f"There is no folder of this name for studies; the operator allows {listed}.",
        hint="Give one of these, with a folder below it if need be (oai/baseline), or upload the scans.",
        option="folder",
    )


def roots_of(settings: Settings, record: StudyRecord, scans: Path) -> list[Path]:
    """The folders whose files a study may read, resolved. scans: its folder for uploaded ones."""
    return [*settings.study_folders.values()] if record.folder else [scans.resolve()]


def confined(manifest: Manifest, roots: Sequence[Path]) -> Manifest:
    """Rows with a path outside the roots get a finding instead of it."""
    return replace(manifest, rows=tuple(_confined(row, roots) for row in manifest.rows))


def _confined(row: Row, roots: Sequence[Path]) -> Row:
    outside = [
        column.name
        for column, path in ((PATH, row.scan), (LABELS, row.labels))
        if path is not None and not is_allowed(path, roots)
    ]
    if not outside:
        return row
    remedy = "Name a file in the folder of the study; links out of it are not followed."
    findings = [
        Finding.of(row.number, NOT_ALLOWED, "The path is outside the folders that may be read.", remedy, column)
        for column in outside
    ]
    return replace(row, scan=None, labels=None, findings=(*row.findings, *findings))


def is_allowed(path: Path, roots: Sequence[Path]) -> bool:
    """Whether a file, or a folder with all that is in it, is inside one of the folders. roots: resolved."""
    try:
        real = path.resolve()
        if not any(real.is_relative_to(root) and real != root for root in roots):
            return False
        return not real.is_dir() or all(
            any(link.resolve().is_relative_to(root) for root in roots) for link in _links(real)
        )
    except (OSError, ValueError, RuntimeError):  # a loop of links, or no path at all
        return False


def _links(folder: Path) -> list[Path]:
    found = []
    for place, folders, files in os.walk(folder):
        found += [path for name in (*folders, *files) if (path := Path(place, name)).is_symlink()]
    return found
