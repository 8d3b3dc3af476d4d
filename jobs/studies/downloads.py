"""Files of a study that can be downloaded: its tables, one by one or as a zip, and the findings of its check."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import Final

from jobs.errors import ResultNotFound
from jobs.settings import load_settings
from jobs.state.backend import open_backend
from jobs.studies.folder import StudyFolder
from jobs.studies.progress import judged
from pipeline.file_kinds import FileKind
from pipeline.results_tree import artifact_of
from studies.check_documents import check_csv
from studies.row_state import RowState
from studies.store import AnalysisFolder

TABLES_ZIP: Final = f"tables{FileKind.ZIP.extensions[0]}"


def table(study_id: str, name: str) -> Path:
    """A table or document of a study. Raises ResultNotFound unless it has been written."""
    from studies.tables.write import TABLES  # loads what web processes otherwise do not need

    folder = StudyFolder(load_settings().data_dir, study_id)
    folder.record()
    path = folder.tables / name
    if name not in TABLES or not path.is_file():
        raise ResultNotFound(
            "The study has no such table yet." if name in TABLES else "Studies have no table of this name.",
            hint=f"Names of tables: {', '.join(TABLES)}. They are written when the first rows have ended.",
        )
    return path


def archive(study_id: str) -> tuple[Path, str]:
    """All tables as a zip, and its name for the download; rewritten when they have changed."""
    from studies.tables.write import TABLES

    folder = StudyFolder(load_settings().data_dir, study_id)
    record = folder.record()
    if not folder.written.exists():
        raise ResultNotFound("The study has no tables yet.", hint="They are written when the first rows have ended.")
    path = folder.path / TABLES_ZIP
    if not path.exists() or path.stat().st_mtime_ns < folder.written.stat().st_mtime_ns:
        partial = path.with_name(f".{TABLES_ZIP}.{os.getpid()}.part")
        try:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
                for name in TABLES:
                    packed.write(folder.tables / name, name)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path, f"{re.sub(r'[^A-Za-z0-9.-]+', '_', record.name).strip('._') or 'study'}_{TABLES_ZIP}"


def row_artifact(study_id: str, row: int, name: str) -> Path:
    """A file of the results of a row. Raises ResultNotFound."""
    folder, _, plan = judged(open_backend(), study_id)
    state, outcome = plan.state_of(row, folder.journal.read().outcomes)
    artifact = artifact_of(name)
    if outcome is None or state is not RowState.COMPLETE or artifact is None:
        raise ResultNotFound("There is no such file for this row.", hint="Ask for the rows of the study.")
    place = AnalysisFolder(folder.store, outcome.address).path
    path = (place / name).resolve()
    if not path.is_relative_to(place.resolve()) or not path.is_file():
        raise ResultNotFound("This row has no such file.", hint="A compact study keeps few files of each knee.")
    return path


def table_meanings() -> dict[str, str]:
    """Name of a table -> what it holds."""
    from studies.tables.write import MEANINGS

    return dict(MEANINGS)


def findings_csv(study_id: str) -> str:
    """Every finding of the check. Raises StudyConflict before the check has ended."""
    _, check, _ = judged(open_backend(), study_id)
    return check_csv(check)
