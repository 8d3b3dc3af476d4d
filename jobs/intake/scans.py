"""Uploads awaiting confirmation: their content is shown before a job is queued.

DATA_DIR/scans/<id>/ contains input/ and scan.json; the id becomes that of the job. Scans that are not started are
deleted after SCAN_LIFETIME_S.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from jobs.access.held import Held, HeldKind
from jobs.access.viewer import new_owner
from jobs.errors import ScanNotFound
from jobs.intake.field_names import UPLOAD_FIELDS
from jobs.intake.form import JobForm
from jobs.intake.form_receiver import FormReceiver
from jobs.intake.parts import FilePart
from jobs.intake.submission import enqueue, new_record, require_usable
from jobs.intake.validation import check_upload
from jobs.state.backend import open_backend
from jobs.state.model import JobView, clean_filename
from jobs.state.queue import queue_errors
from jobs.state.storage import SCAN_FILE, Storage
from pipeline.errors import AmbiguousSeries
from pipeline.scan_facts import ScanFacts
from pipeline.upload_facts import LabelMapFacts, UploadFacts
from pipeline.workspace import Workspace, write_json
from studies.columns import LABELS, PATH

SCAN_LIFETIME_S: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class PendingScan:
    """A checked upload that has not been started.

    names    the user's names of the files
    series   which of the upload's series `facts` are about; empty for the only one
    facts    what it holds; None while one of several series has to be chosen
    choices  the available series: {series, slices, rows, columns, plane, echoes, description}; empty for a single one
    warnings about the request
    owner    a person (jobs/access); empty: the operator's
    """

    id: str
    names: Mapping[FilePart, str]
    size_bytes: int
    series: str = ""
    facts: UploadFacts | None = None
    choices: tuple[dict[str, object], ...] = ()
    warnings: tuple[str, ...] = ()
    owner: str = ""

    @property
    def filename(self) -> str:
        """Of the scan; of the label map where there is no scan."""
        return self.names.get(FilePart.SCAN) or self.names[FilePart.LABELS]

    @property
    def scan(self) -> ScanFacts | None:
        """The scan; None if there is none, or none is chosen."""
        return None if self.facts is None else self.facts.scan

    @property
    def labels(self) -> LabelMapFacts | None:
        """The label map; None if there is none."""
        return None if self.facts is None else self.facts.labels

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "id": self.id,
            "names": dict(self.names),
            "size_bytes": self.size_bytes,
            "series": self.series,
            "facts": None if self.facts is None else self.facts.to_dict(),
            "choices": list(self.choices),
            "warnings": list(self.warnings),
            "owner": self.owner,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> PendingScan:
        """From the dictionary of `to_dict`. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        facts = None if values["facts"] is None else UploadFacts.from_dict(values["facts"])
        names = {FilePart(part): str(name) for part, name in values["names"].items()}
        parsed = {"facts": facts, "choices": tuple(values["choices"]), "warnings": tuple(values["warnings"])}
        return cls(**values | parsed | {"names": names})


def keep_form(receiver: FormReceiver[JobForm]) -> PendingScan:
    """Check the files of a complete form, and keep them until they are confirmed.

    Scan and label map in one file are distinguished by content.

    Raises InvalidForm, the InputErrors of reading (except AmbiguousSeries if a series can be chosen), StorageFull.
    """
    upload = receiver.upload
    try:
        options = receiver.finish().options
        warnings = (*receiver.warnings, *_unused(receiver))
        scan = PendingScan(
            id=upload.job_id, names=upload.names, size_bytes=upload.size, warnings=warnings, owner=new_owner()
        )
        scan = _with_check(scan, upload.path, options.series)
        upload.keep(scan.to_dict())
    except BaseException:
        upload.discard()
        raise
    return scan


def pending_scan(scan_id: str) -> PendingScan:
    """The content of a waiting upload. Raises ScanNotFound."""
    path = open_backend().storage.scan_folder(scan_id) / SCAN_FILE
    try:
        return PendingScan.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        raise _not_found() from None


def held_scan(scan_id: str) -> Held:
    """To whom a waiting upload belongs. Raises ScanNotFound."""
    return Held(kind=HeldKind.SCAN, id=scan_id, owner=pending_scan(scan_id).owner, missing=_not_found)


def choose_series(scan_id: str, series: str) -> PendingScan:
    """Check one of several series. Raises ScanNotFound, and the InputErrors of reading that series."""
    backend = open_backend()
    scan = pending_scan(scan_id)
    if series == scan.series:
        return scan
    chosen = _with_check(scan, _paths(scan, Workspace(backend.storage.scan_folder(scan_id))), series)
    with contextlib.suppress(FileNotFoundError):  # started or discarded in the meantime
        write_json(backend.storage.scan_folder(scan_id) / SCAN_FILE, chosen.to_dict())
    return chosen


@queue_errors()
def submit_scan(scan_id: str, form: JobForm) -> JobView:
    """Start the analysis of a waiting scan; its id becomes that of the job.

    Raises ScanNotFound (also for a repeated request), AmbiguousSeries if no series is chosen, and the InputErrors.
    """
    backend = open_backend()
    backend.queue.ping()
    scan = pending_scan(scan_id)
    source = backend.storage.scan_folder(scan_id)
    facts, options = scan.facts, form.options
    if options.series != scan.series or facts is None:
        path_of = _paths(scan, Workspace(source))
        facts = _check(scan, path_of, options.series or scan.series)
    require_usable(facts, options)
    options = replace(options, series=options.series or scan.series)
    record = new_record(scan_id, scan.filename, scan.names, facts, replace(form, options=options), scan.owner)
    try:
        backend.storage.write_record(record, source)
        target = backend.storage.folder(scan_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
    except FileNotFoundError:
        raise _not_found() from None
    (target / SCAN_FILE).unlink(missing_ok=True)
    return enqueue(record)


def take_scan(scan: PendingScan, place: Path, prefix: str) -> dict[str, str]:
    """Move the files of a waiting scan into the folder of a study; returns the columns of its row in the manifest.

    Raises ScanNotFound; AmbiguousSeries if no series is chosen.
    """
    source = open_backend().storage.scan_folder(scan.id)
    if scan.facts is None:
        raise AmbiguousSeries("The upload has several series, and none is chosen.", hint="Choose one of them.")
    path_of = _paths(scan, Workspace(source))
    columns = {"series": scan.series} if scan.series else {}
    places = {PATH.name: FilePart.SCAN} if scan.scan is not None else {}
    if scan.labels is not None:  # in the field of the scan, if it was sent there
        places[LABELS.name] = FilePart.LABELS if FilePart.LABELS in scan.names else FilePart.SCAN
    moved: dict[FilePart, str] = {}
    try:
        for column, part in places.items():
            path = path_of(part)
            if part not in moved and path is not None:
                moved[part] = f"{prefix}_{clean_filename(scan.names[part])}"
                path.rename(place / moved[part])
            columns[column] = moved[part]
    except FileNotFoundError:
        raise _not_found() from None
    shutil.rmtree(source, ignore_errors=True)
    return columns


def discard_scan(scan_id: str) -> None:
    """Delete a waiting scan. Raises ScanNotFound."""
    folder = open_backend().storage.scan_folder(scan_id)
    if not folder.is_dir():
        raise _not_found()
    shutil.rmtree(folder, ignore_errors=True)


def remove_expired_scans(storage: Storage) -> list[str]:
    """Delete scans that were not started within one hour. Returns their ids."""
    removed = []
    for folder in sorted((storage.root / "scans").glob("*")):
        with contextlib.suppress(OSError):  # started or discarded concurrently
            if time.time() - folder.stat().st_mtime > SCAN_LIFETIME_S:
                shutil.rmtree(folder)
                removed.append(folder.name)
    return removed


def _unused(receiver: FormReceiver[JobForm]) -> list[str]:
    """Warnings about options that are sent with the upload, before it is started."""
    sent = [name for name in receiver.values if name in UPLOAD_FIELDS and name != "series"]
    return [f"The field '{name}' was not used: send it when the analysis is started." for name in sent]


def _check(scan: PendingScan, path_of: Callable[[FilePart], Path | None], series: str) -> UploadFacts:
    facts = check_upload(path_of(FilePart.SCAN), series, labels=path_of(FilePart.LABELS), sort=True)
    if facts.labels is None:
        return facts
    # a label map outside an archive has the server's name for it
    names = {path.name: name for part, name in scan.names.items() if (path := path_of(part)) is not None}
    filename = names.get(facts.labels.filename, facts.labels.filename)
    return replace(facts, labels=replace(facts.labels, filename=filename))


def _with_check(scan: PendingScan, path_of: Callable[[FilePart], Path | None], series: str) -> PendingScan:
    """The scan with the result of the check of one series, or with the choices if one must be chosen."""
    try:
        return replace(scan, series=series, facts=_check(scan, path_of, series))
    except AmbiguousSeries as error:
        choices = [item for item in _series_choices(error) if item.get("series")]
        if series or not choices:
            raise
        return replace(scan, choices=tuple(choices))


def _series_choices(error: AmbiguousSeries) -> list[dict[str, Any]]:
    found = error.facts.get("series")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _paths(scan: PendingScan, workspace: Workspace) -> Callable[[FilePart], Path | None]:
    """The path of each file in a folder; None for a file that was not sent."""
    return lambda part: part.path(workspace, scan.names[part]) if part in scan.names else None


def _not_found() -> ScanNotFound:
    return ScanNotFound(
        "This upload is no longer available: it was started or discarded, or has expired after one hour.",
        hint="Check your analyses, or upload the scan again.",
    )
