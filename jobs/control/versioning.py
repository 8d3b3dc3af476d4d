"""Make a version of an analysis: a new job with the outlines that a reader has corrected, or restored.

Its folder links the products of the version that was corrected, so that only the steps after the outlines run.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from jobs.control.copying import stored_input
from jobs.errors import JobConflict, NewerVersion, StorageFull
from jobs.intake.form_receiver import FormReceiver
from jobs.intake.parts import FilePart
from jobs.intake.validation import confined
from jobs.intake.version_form import LabelMapForm, VersionForm, VersionNote
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.lifecycle import reopened
from jobs.state.model import JobRecord, JobView, Priority
from jobs.state.queue import queue_errors
from jobs.state.storage import RESERVE_BYTES, link_files
from jobs.views.reading import finished, get, published, results_gone
from pipeline.correction import LABELS_NAME, Correction, read_correction, write_document
from pipeline.decoding.handover import EditedLabels
from pipeline.decoding.process import apply_runs, read_corrected_map
from pipeline.edits import Edit, EditWay, StructureEdit
from pipeline.image_codec import alignment_values, outlines_shape
from pipeline.options import AnalysisOptions
from pipeline.products import ALIGNMENT, outlines_files
from pipeline.results_tree import PROVENANCE
from pipeline.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Base:
    """The version that is corrected.

    outlines  its labels' grid and facts, as JSON values; labels_path: .npy of the labels themselves
    """

    record: JobRecord
    workspace: Workspace
    outlines: Mapping[str, object]
    labels_path: Path

    @property
    def voxels(self) -> int:
        """Number of voxels of its labels."""
        return prod(outlines_shape(self.outlines))

    @property
    def requires_femur(self) -> bool:
        """Whether the analysis requires a femur: a label map of the user may hold any bone."""
        return not self.record.labels_path


MakeLabels = Callable[[Base, Path], EditedLabels]
"""Makes the labels of the new version in a folder."""


def save_version(job_id: str, form: VersionForm) -> JobView:
    """Queue a version with a correction of the outlines of a complete job, which stays as it is.

    Raises JobNotFound, JobNotFinished, ResultNotFound; NewerVersion if the client does not know one;
    InvalidEdit, EditTooLarge; StorageFull, QueueUnavailable.
    """

    def apply(base: Base, folder: Path) -> EditedLabels:
        runs = folder / "runs"
        runs.write_bytes(form.packed)
        with confined(folder) as scratch:
            edited = apply_runs(
                runs,
                base.labels_path,
                voxels=base.voxels,
                requires_femur=base.requires_femur,
                scratch_dir=scratch,
            )
            return _taken(edited, folder)

    return make_version(job_id, form, EditWay.BROWSER, apply)


def save_label_map(job_id: str, receiver: FormReceiver[LabelMapForm]) -> JobView:
    """Queue a version with a label map that was corrected in another program; the upload is removed.

    Raises as `save_version` does, InvalidForm, and the InputErrors of label maps.
    """
    upload = receiver.upload
    try:
        form = receiver.finish()
        path = upload.path(FilePart.LABELS)
        assert path is not None  # noqa: S101 -- the form requires it

        def read(base: Base, folder: Path) -> EditedLabels:
            with confined(folder) as scratch:
                edited = read_corrected_map(
                    path,
                    base.labels_path,
                    outlines=base.outlines,
                    alignment=alignment_values(ALIGNMENT.load(base.workspace)),
                    numbering=form.numbering,
                    resample=form.resample_labels,
                    requires_femur=base.requires_femur,
                    scratch_dir=scratch,
                )
                return _taken(edited, folder)

        return make_version(job_id, form, EditWay.LABEL_MAP, read)
    finally:
        upload.discard()


def _taken(edited: EditedLabels, folder: Path) -> EditedLabels:
    """Out of the scratch folder, which is removed."""
    return replace(edited, path=edited.path.rename(folder / LABELS_NAME))


def restore_version(job_id: str, form: VersionNote) -> JobView:
    """Queue a version with the outlines of an earlier one. Raises as `save_version` does, JobConflict."""

    def same(base: Base, folder: Path) -> EditedLabels:
        np.load(base.labels_path, mmap_mode="r", allow_pickle=False).tofile(folder / LABELS_NAME)
        return EditedLabels(path=folder / LABELS_NAME, changes=())

    return make_version(job_id, form, EditWay.RESTORED, same)


@queue_errors()
def make_version(job_id: str, form: VersionNote, way: EditWay, make_labels: MakeLabels) -> JobView:
    """Queue a version of a complete job. Raises as `save_version` does, and the errors of make_labels."""
    backend = open_backend()
    backend.queue.ping()
    base = base_of(backend, job_id)
    number = _next_number(backend, base.record, form.newest)
    if way is EditWay.RESTORED and number == base.record.version + 1:
        raise JobConflict(f"Version {base.record.version} is the newest one.", hint="Restore an earlier version.")
    if backend.storage.free_bytes() < RESERVE_BYTES + base.voxels:
        raise StorageFull("The server has no space for another version.", hint="Try again later.")
    with new_folder(backend) as partial:
        edited = make_labels(base, partial.root)
        made_at = now()
        record = _record(backend, base, form, way, number, made_at, partial.root.name, edited.changes)
        _fill(partial, base, edited, _edit(record, way, made_at, edited.changes))
        number_now = _next_number(backend, base.record, form.newest)
        if number_now != number or not backend.store.claim_version(base.record.family, number):
            raise NewerVersion("Another version is being saved.")
        backend.storage.write_record(record, partial.root)
        partial.root.rename(backend.storage.folder(record.id))
    backend.queue.enqueue(record)
    return get(record.id)


def base_of(backend: Backend, job_id: str) -> Base:
    """A complete job as the base of a version. Raises JobNotFound, JobNotFinished, ResultNotFound."""
    record = finished(backend, job_id)
    workspace = published(backend, job_id)
    try:
        outlines, labels_path = outlines_files(workspace)
    except FileNotFoundError:
        raise results_gone() from None
    return Base(record=record, workspace=workspace, outlines=outlines, labels_path=labels_path)


def _next_number(backend: Backend, base: JobRecord, newest_known: int | None) -> int:
    """The number of the next version. Raises NewerVersion if there is a newer one than `newest_known`."""
    newest = max([base.version, *(record.version for record in backend.store.family(base.family))])
    if newest_known is not None and newest > newest_known:
        raise NewerVersion(
            f"Version {newest} has been saved meanwhile; the newest one known to this page was {newest_known}.",
            hint="Open it first, or save all the same: the new version does not contain its changes.",
        )
    return newest + 1


@contextlib.contextmanager
def new_folder(backend: Backend) -> Iterator[Workspace]:
    """The folder of a new job under another name, because a folder in jobs/ must be complete; removed if left there.

    The lock shows that its process works (jobs/intake/uploads.py). Raises StorageFull.
    """
    partial = Workspace(backend.storage.root / "incoming" / str(uuid.uuid4()))
    try:
        partial.work_dir.mkdir(parents=True)
        lock = os.open(partial.root, os.O_RDONLY)
    except OSError as error:
        raise StorageFull("The server cannot store this version.", hint="Try again later.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield partial
    finally:
        shutil.rmtree(partial.root, ignore_errors=True)
        os.close(lock)


def _fill(partial: Workspace, base: Base, edited: EditedLabels, edit: Edit) -> None:
    """Put the products of the base and the correction into a new folder. Raises StorageFull."""
    try:
        link_files(base.workspace.work_dir, partial.work_dir)
        with edited.path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            os.fsync(stream.fileno())
        edited.path.replace(partial.work_dir / LABELS_NAME)
        before = read_correction(base.workspace.work_dir).edits if base.record.corrected else ()
        provenance = json.loads(PROVENANCE.at(base.workspace.files_dir).read_text(encoding="utf-8"))
        correction = Correction(
            labels_path=partial.work_dir / LABELS_NAME,
            sha256=digest,
            outlines=_outlines(base, edited, edit.way),
            model=provenance["model"],
            edits=(*before, edit),
        )
        write_document(partial.work_dir, correction)
    except FileNotFoundError:
        raise results_gone() from None
    except OSError as error:
        raise StorageFull("The server cannot store this version.", hint="Try again later.") from error


def _outlines(base: Base, edited: EditedLabels, way: EditWay) -> dict[str, object]:
    """The facts of the outlines, without their labels. A label map that replaces all of them has its own flags."""
    before: Any = base.outlines
    warnings = [*before.get("warnings", ()), *edited.warnings]
    if way is not EditWay.LABEL_MAP:
        return {**before, "warnings": warnings}
    return {**before, "warnings": warnings, "flags": [flag.to_dict() for flag in edited.flags]}


def _edit(record: JobRecord, way: EditWay, made_at: datetime, changes: tuple[StructureEdit, ...]) -> Edit:
    return Edit(
        version=record.version,
        base=record.base_version,
        made_at=made_at.isoformat(timespec="seconds"),
        way=way,
        note=record.note,
        initials=record.initials,
        structures=changes,
    )


def _record(
    backend: Backend,
    base: Base,
    form: VersionNote,
    way: EditWay,
    number: int,
    made_at: datetime,
    job_id: str,
    changes: tuple[StructureEdit, ...],
) -> JobRecord:
    """The record of the new job."""
    before = base.record
    expires_at = made_at + timedelta(hours=backend.settings.results_expiry_hours)
    return replace(
        before,
        **reopened(0, AnalysisOptions.from_dict(before.options), expires_at),
        id=job_id,
        created_at=made_at,
        input_path=stored_input(before.input_path),
        labels_path=stored_input(before.labels_path),
        priority=Priority.INTERACTIVE,
        corrected=True,
        version_of=before.family,
        version=number,
        base_version=before.version,
        way=way.value,
        note=form.note,
        initials=form.initials,
        edits=[asdict(change) for change in changes],
    )
