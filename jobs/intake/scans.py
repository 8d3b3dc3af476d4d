"""Uploads awaiting confirmation: their content is shown before a job is queued.

DATA_DIR/scans/<id>/ contains input/ and scan.json; the id becomes that of the job. Scans that are not started are
deleted after SCAN_LIFETIME_S.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from jobs.errors import ScanNotFound
from jobs.intake.form_receiver import FormReceiver
from jobs.intake.submission import enqueue, new_record
from jobs.intake.validation import check_upload
from jobs.state.backend import Backend, open_backend
from jobs.state.model import JobView
from jobs.state.queue import queue_errors
from jobs.state.storage import SCAN_FILE, Storage
from pipeline.errors import AmbiguousSeries
from pipeline.file_kinds import extension_of
from pipeline.options import AnalysisOptions
from pipeline.types import ScanFacts
from pipeline.workspace import Workspace, write_json

SCAN_LIFETIME_S: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class PendingScan:
    """A checked upload that has not been started.

    series   which of the upload's series `facts` are about; empty for the only one
    facts    facts from the header; None while one of several series has to be chosen
    choices  the available series: {series, slices, rows, columns, plane, echoes, description}; empty for a single one
    """

    id: str
    filename: str
    size_bytes: int
    series: str = ""
    facts: ScanFacts | None = None
    choices: tuple[dict[str, object], ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "id": self.id,
            "filename": self.filename,
            "size_bytes": self.size_bytes,
            "series": self.series,
            "facts": None if self.facts is None else self.facts.to_dict(),
            "choices": list(self.choices),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> PendingScan:
        """From the dictionary of `to_dict`. Raises KeyError, TypeError, ValueError."""
        values: dict[str, Any] = dict(data)
        facts = None if values["facts"] is None else ScanFacts.from_dict(values["facts"])
        return cls(**values | {"facts": facts, "choices": tuple(values["choices"])})


def keep_form(receiver: FormReceiver) -> PendingScan:
    """Check the file of a complete form, and keep it until it is confirmed.

    Raises InvalidForm, the InputErrors of reading (except AmbiguousSeries if a series can be chosen), StorageFull.
    """
    upload = receiver.upload
    try:
        options, _ = receiver.finish()
        scan = PendingScan(id=upload.job_id, filename=upload.filename, size_bytes=upload.size)
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


def choose_series(scan_id: str, series: str) -> PendingScan:
    """Check one of several series. Raises ScanNotFound, and the InputErrors of reading that series."""
    backend = open_backend()
    scan = pending_scan(scan_id)
    if series == scan.series:
        return scan
    chosen = _with_check(scan, _upload_path(backend, scan), series)
    with contextlib.suppress(FileNotFoundError):  # started or discarded in the meantime
        write_json(backend.storage.scan_folder(scan_id) / SCAN_FILE, chosen.to_dict())
    return chosen


@queue_errors()
def submit_scan(scan_id: str, options: AnalysisOptions, email: str | None = None) -> JobView:
    """Start the analysis of a waiting scan; its id becomes that of the job.

    Raises ScanNotFound (also for a repeated request), AmbiguousSeries if no series is chosen, and the InputErrors.
    """
    backend = open_backend()
    backend.queue.ping()
    scan = pending_scan(scan_id)
    source = backend.storage.scan_folder(scan_id)
    path = _upload_path(backend, scan)
    facts = scan.facts
    if options.series != scan.series or facts is None:
        facts = check_upload(path, options.series or scan.series)
    options = replace(options, series=options.series or scan.series)
    final = backend.storage.workspace(scan_id).input_dir / path.name
    record = new_record(scan_id, scan.filename, final, facts, options, email)
    try:
        backend.storage.write_record(record, source)
        target = backend.storage.folder(scan_id)
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
    except FileNotFoundError:
        raise _not_found() from None
    (target / SCAN_FILE).unlink(missing_ok=True)
    return enqueue(record)


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


def _with_check(scan: PendingScan, path: Path, series: str) -> PendingScan:
    """The scan with the result of the check of one series, or with the choices if one must be chosen."""
    try:
        return replace(scan, series=series, facts=check_upload(path, series))
    except AmbiguousSeries as error:
        choices = [item for item in _series_choices(error) if item.get("series")]
        if series or not choices:
            raise
        return replace(scan, choices=tuple(choices))


def _series_choices(error: AmbiguousSeries) -> list[dict[str, Any]]:
    found = error.facts.get("series")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _upload_path(backend: Backend, scan: PendingScan) -> Path:
    folder = Workspace(backend.storage.scan_folder(scan.id)).input_dir
    return folder / f"upload{extension_of(scan.filename)}"


def _not_found() -> ScanNotFound:
    return ScanNotFound(
        "This upload is no longer available: it was started or discarded, or has expired after one hour.",
        hint="Check your analyses, or upload the scan again.",
    )
