"""Studies in a backup: their folders, and the store of their analyses.

The files that state what a study is are copied under its lock, then its uploaded scans and tables, then the store: an
analysis that a journal names is complete before the journal names it. What a worker writes meanwhile is not part of the
backup, and is done again after it is restored.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.backup.containers import BackupWriter
from jobs.errors import StudyNotFound
from jobs.state.backend import Backend
from jobs.studies.folder import STORE, STUDIES, StudyFolder, study_folders
from jobs.studies.plan import moved
from pipeline.workspace import KEPT_FOLDER
from studies.longitudinal import CHANGES, SLOPES
from studies.store import FAILURE, RECORD

_LAST: Final = (RECORD, FAILURE)
"""Of an analysis: once one of them exists, its files do not change."""


def copy_studies(backend: Backend, writer: BackupWriter) -> int:
    """Copy all studies and analyses; returns the number of studies. Raises OSError."""
    data_dir = backend.settings.data_dir
    number = 0
    for folder in sorted(study_folders(data_dir), key=lambda item: item.id):
        with contextlib.suppress(StudyNotFound):  # deleted meanwhile
            _copy_study(writer, folder)
            number += 1
    for path in sorted((data_dir / STORE).glob("[!.]*")):
        _copy_analysis(writer, path)
    return number


def restore_studies(backend: Backend, unpacked: Path) -> int:
    """Move them into the data directory, which may be at another path; returns the number of studies."""
    data_dir = backend.settings.data_dir
    for path in sorted((unpacked / STORE).glob("[!.]*")):
        target = data_dir / STORE / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            path.rename(target)
    number = 0
    for path in sorted((unpacked / STUDIES).glob("[!.]*")):
        folder = StudyFolder(data_dir, path.name)
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        (path / folder.scans.name).mkdir(exist_ok=True)  # empty folders are not in a backup
        moved(path, folder.scans)
        path.rename(folder.path)
        number += 1
    return number


def _copy_study(writer: BackupWriter, folder: StudyFolder) -> None:
    name = f"{STUDIES}/{folder.id}"
    with folder.locked():
        folder.record()
        _copy(writer, name, folder.path, (path for path in folder.path.iterdir() if path.is_file()))
    for part in (folder.scans, folder.tables):
        _copy(writer, name, folder.path, _files(part))


def _copy_analysis(writer: BackupWriter, path: Path) -> None:
    name = f"{STORE}/{path.name}"
    if path.name in (CHANGES, SLOPES):
        _copy(writer, name, path, _files(path))
    elif last := [path / item for item in _LAST if (path / item).is_file()]:
        _copy(writer, name, path, [*last, *(item for item in _files(path) if item not in last)])


def _copy(writer: BackupWriter, name: str, folder: Path, paths: Iterator[Path] | list[Path]) -> None:
    for path in paths:
        if not path.name.startswith(".") and not path.is_symlink():
            with contextlib.suppress(FileNotFoundError):  # replaced or deleted meanwhile
                writer.add_file(f"{name}/{path.relative_to(folder).as_posix()}", path)


def _files(folder: Path) -> Iterator[Path]:
    """Regular files, also those in KEPT_FOLDER."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") or name == KEPT_FOLDER)
        yield from (Path(root) / name for name in sorted(names))
