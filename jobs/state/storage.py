"""DATA_DIR/jobs/<job id>/: the folder of a job, deleted with it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from jobs.errors import JobNotFound, ScanNotFound
from jobs.state.model import JobRecord, read_steps
from jobs.state.work_lock import WorkLock
from pipeline.progress import StepRecord
from pipeline.workspace import Workspace, write_json

SCAN_FILE: Final = "scan.json"
"""File with the result of the check, in the folder of an upload awaiting confirmation."""

RESERVE_BYTES: Final = 500 * 1024 * 1024
"""Free disk space that an upload must leave for results and for the queue's log."""

_SAFE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Content of results/manifest.json: size and digest of the results zip, warnings, and the steps of the analysis."""

    archive_bytes: int
    archive_sha256: str
    warnings: list[str]
    steps: list[StepRecord]


class Storage:
    """The files of all jobs."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir
        self._jobs = data_dir / "jobs"
        self._deleted = data_dir / "deleted"
        self.comparisons = data_dir / "comparisons"

    def folder(self, job_id: str) -> Path:
        """The folder of a job, which need not exist. Raises JobNotFound for an id that is not a file name."""
        if not _SAFE_ID.fullmatch(job_id):
            raise JobNotFound("There is no such job.", hint="Check the job ID.")
        return self._jobs / job_id

    def scan_folder(self, scan_id: str) -> Path:
        """The folder of an upload awaiting confirmation; need not exist. Raises ScanNotFound for an invalid id."""
        if not _SAFE_ID.fullmatch(scan_id):
            raise ScanNotFound("There is no such scan.", hint="Upload it again.")
        return self.root / "scans" / scan_id

    def comparison_folder(self, first_id: str, second_id: str) -> Path:
        """The folder of a comparison, which need not exist. Raises JobNotFound for an id that is not a file name."""
        return self.comparisons / f"{self.folder(first_id).name}_{self.folder(second_id).name}"

    def workspace(self, job_id: str) -> Workspace:
        """The job's folder as the pipeline's workspace."""
        return Workspace(self.folder(job_id))

    def write_record(self, record: JobRecord, folder: Path | None = None) -> None:
        """Write job.json: enough to rebuild a record that Redis lost, without the e-mail address.

        folder: where the job's files are now, if they are not yet in the job's own folder.
        """
        folder = self.folder(record.id) if folder is None else folder
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "job.json", record.public())

    def read_record(self, job_id: str) -> JobRecord | None:
        """The record in job.json; None if missing or unreadable."""
        try:
            return JobRecord.from_json((self.folder(job_id) / "job.json").read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, JobNotFound):
            return None

    def work_lock(self, job_id: str) -> WorkLock:
        """The work lock of the job."""
        return WorkLock(self.folder(job_id) / "work.lock")

    def job_ids(self) -> list[str]:
        """Jobs that have a folder."""
        try:
            return sorted(entry.name for entry in os.scandir(self._jobs) if _SAFE_ID.fullmatch(entry.name))
        except FileNotFoundError:
            return []

    def folder_is_missing(self, job_id: str) -> bool:
        """Whether the folder of a job is missing although the data directory exists."""
        return self._jobs.is_dir() and not self.folder(job_id).exists()

    def record_age_s(self, job_id: str) -> float:
        """Seconds since job.json was written; 0 if it is missing."""
        try:
            return time.time() - (self.folder(job_id) / "job.json").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def read_manifest(self, job_id: str) -> Manifest | None:
        """results/manifest.json, which is written last: if it can be read, the results are complete."""
        path = self.workspace(job_id).manifest_path
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return Manifest(
                archive_bytes=int(data["archive_bytes"]),
                archive_sha256=str(data.get("archive_sha256", "")),
                warnings=[str(text) for text in data["warnings"]],
                steps=read_steps(data["steps"]),
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def manifest_time(self, job_id: str) -> datetime:
        """Time of completion of the results."""
        return datetime.fromtimestamp(self.workspace(job_id).manifest_path.stat().st_mtime, UTC)

    def remove_upload(self, job_id: str) -> None:
        """Delete the upload."""
        shutil.rmtree(self.workspace(job_id).input_dir, ignore_errors=True)

    def remove(self, job_id: str) -> None:
        """Delete all files of a job; first renames the folder, so that work that is about to start does not find it."""
        self._deleted.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.folder(job_id).rename(self._deleted / f"{job_id}.{uuid4().hex}")
        self.remove_comparisons(job_id)
        self.finish_removals()

    def remove_comparisons(self, job_id: str) -> None:
        """Delete every comparison with this job."""
        for path in self.comparisons.glob("[!.]*"):
            if path.name.startswith(f"{job_id}_") or path.name.endswith(f"_{job_id}"):
                shutil.rmtree(path, ignore_errors=True)

    def finish_removals(self) -> None:
        """Delete renamed folders, including those left by killed processes."""
        shutil.rmtree(self._deleted, ignore_errors=True)

    def holds(self, path: Path) -> bool:
        """Whether a path, after resolving links, is an existing file in the data directory."""
        resolved = path.resolve()
        return resolved.is_file() and resolved.is_relative_to(self.root.resolve())

    def free_bytes(self) -> int:
        """Free disk space of the data directory."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free
