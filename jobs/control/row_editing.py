"""Makes a single job of a row of a study, so that a reader can correct its outlines where other analyses are corrected.

The job repeats the analysis of the row. The row follows the newest version of it (jobs/studies/feeding.py).
"""

from __future__ import annotations

import fcntl
import shutil
import uuid
import zipfile
from datetime import timedelta
from pathlib import Path

from jobs.control.versioning import new_folder
from jobs.errors import StorageFull, StudyConflict
from jobs.intake.parts import FilePart
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, JobView, Priority, Status, clean_filename
from jobs.state.queue import queue_errors
from jobs.state.storage import RESERVE_BYTES
from jobs.studies.allowed import is_allowed, roots_of
from jobs.studies.folder import EditedRow, StudyFolder
from jobs.studies.journal import Outcome
from jobs.studies.progress import complete_row
from jobs.studies.record import StudyRecord
from jobs.views.reading import get
from pipeline.edits import EditWay
from pipeline.file_kinds import FileKind, extension_of
from pipeline.options import AnalysisOptions
from pipeline.workspace import Workspace
from studies.check import options_of_row
from studies.corrected import hand_on, has_correction
from studies.identity import input_digest
from studies.rules import CheckedRow
from studies.store import AnalysisFolder


@queue_errors()
def edit_row(study_id: str, row: int) -> JobView:
    """The newest version of the single job in which the outlines of a complete row are corrected; made if there is
    none.

    Raises StudyNotFound, ResultNotFound; StudyConflict if the scan is gone or has changed; StorageFull.
    """
    backend = open_backend()
    backend.queue.ping()
    folder, checked, outcome = complete_row(backend, study_id, row)
    with (folder.path / ".editing.lock").open("a", encoding="utf-8") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # of two requests, the second finds the job of the first
        if (known := _known(backend, folder, row, outcome)) is not None:
            return get(known.id)
        record = folder.record()
        options = options_of_row(checked.row, AnalysisOptions.from_dict(record.options))
        made = _make(backend, folder, record, checked, outcome, options)
        folder.add_editing(
            row, EditedRow(job=made.id, task=outcome.task, base=outcome.address, options=options.to_dict())
        )
    return get(made.id)


def _known(backend: Backend, folder: StudyFolder, row: int, outcome: Outcome) -> JobRecord | None:
    edited = folder.editing().get(row)
    if edited is None or not edited.is_of(outcome):
        return None
    family = backend.store.family(edited.job)
    alive = [item for item in family if item.status is not Status.ERROR and item.options == edited.options]
    return max(alive, key=lambda item: item.version, default=None)


def _make(
    backend: Backend,
    folder: StudyFolder,
    study: StudyRecord,
    checked: CheckedRow,
    outcome: Outcome,
    options: AnalysisOptions,
) -> JobRecord:
    """Queue the job. It begins with the correction that the row has, if it has one."""
    analysis = AnalysisFolder(folder.store, outcome.address)
    known = analysis.record()
    if known is None:
        raise StudyConflict("The analysis of this row is no longer in the store.", hint="Retry what has failed.")
    corrected = has_correction(analysis)
    paths = {FilePart.SCAN: checked.row.scan, FilePart.LABELS: checked.row.labels}
    names = {part: path for part, path in paths.items() if path is not None}
    roots = roots_of(backend.settings, study, folder.scans)
    if not all(path.exists() and is_allowed(path, roots) for path in names.values()):
        raise StudyConflict(
            "The scan of this row is no longer there.", hint="Put it back, then correct the outlines of the row."
        )
    if backend.storage.free_bytes() < RESERVE_BYTES:
        raise StorageFull("The server has no space for another analysis.", hint="Try again later.")
    with new_folder(backend) as partial:
        stored = {part: _take(path, part, partial) for part, path in names.items()}
        digests = {part: input_digest(path) for part, path in names.items()}
        expected = {FilePart.SCAN: known.inputs.get("scan", ""), FilePart.LABELS: known.inputs.get("labels", "")}
        if any(digests.get(part, "") != digest for part, digest in expected.items()):
            raise StudyConflict(
                "The scan of this row has changed since it was analysed.", hint="Make a study of the new scan."
            )
        if corrected:
            hand_on(analysis, partial.work_dir)
        created = now()
        person = checked.row.person
        name = "_".join(text for text in (person.subject, person.visit, known.side) if text)
        record = JobRecord(
            id=str(uuid.uuid4()),
            input_filename=clean_filename(f"{name}{extension_of(str(next(iter(names.values()))))}"),
            input_path=stored.get(FilePart.SCAN, ""),
            labels_path=stored.get(FilePart.LABELS, ""),
            options=options.to_dict(),
            created_at=created,
            expires_at=created + timedelta(hours=backend.settings.results_expiry_hours),
            priority=Priority.INTERACTIVE,
            corrected=corrected,
            version=known.version,
            way=EditWay.RESTORED.value if corrected else "",
            owner=study.owner,
        )
        backend.storage.write_record(record, partial.root)
        target = backend.storage.folder(record.id)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.root.rename(target)
    backend.queue.enqueue(record)
    return record


def _take(path: Path, part: FilePart, partial: Workspace) -> str:
    """Copy an input into the folder of the job; a folder as a zip. Returns its name in the record."""
    partial.input_dir.mkdir(exist_ok=True)
    if not path.is_dir():
        shutil.copyfile(path, part.path(partial, path.name))
        return part.stored_path(path.name)
    name = f"{part}{FileKind.ZIP.extensions[0]}"
    with zipfile.ZipFile(part.path(partial, name), "w") as packed:
        for file in sorted(item for item in path.rglob("*") if item.is_file()):
            packed.write(file, file.relative_to(path).as_posix())
    return part.stored_path(name)
