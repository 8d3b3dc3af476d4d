"""DATA_DIR/jobs/<job id>/: the folder of a job, deleted with it.

input/ is what the user sent. Each attempt writes only in its own folder, attempts/<number>/ (work/ and results/),
so that two attempts that run at once do not mix their files; the record states which attempt's results are valid.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final
from uuid import uuid4

from jobs.errors import JobNotFound, ScanNotFound
from jobs.state.faults import FaultKind, fault_of
from jobs.state.model import JobRecord, read_steps
from jobs.state.work_lock import WorkLock
from pipeline.ledger import STEPS_NAME
from pipeline.progress import StepRecord
from pipeline.workspace import Workspace, write_json

SCAN_FILE: Final = "scan.json"
"""File with the result of the check, in the folder of an upload awaiting confirmation."""

RESERVE_BYTES: Final = 500 * 1024 * 1024
"""Free disk space that an upload must leave for results and for the queue's log."""

INPUT_DIR: Final = "input"
ATTEMPTS: Final = "attempts"
"""Folders in the folder of a job."""

COMPARISON_INPUTS: Final = "inputs.json"
"""File with what a comparison was made of, in its folder. That of a series lists its `jobs`."""

PROBE_BYTES: Final = 65536
"""Written to find out whether the data directory can be written to."""

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
        self.jobs_dir = data_dir / "jobs"
        self._deleted = data_dir / "deleted"
        self.comparisons = data_dir / "comparisons"
        self.research = data_dir / "research"

    def folder(self, job_id: str) -> Path:
        """The folder of a job, which need not exist. Raises JobNotFound for an id that is not a file name."""
        if not _SAFE_ID.fullmatch(job_id):
            raise JobNotFound("There is no such job.", hint="Check the job ID.")
        return self.jobs_dir / job_id

    def scan_folder(self, scan_id: str) -> Path:
        """The folder of an upload awaiting confirmation; need not exist. Raises ScanNotFound for an invalid id."""
        if not _SAFE_ID.fullmatch(scan_id):
            raise ScanNotFound("There is no such scan.", hint="Upload it again.")
        return self.root / "scans" / scan_id

    def comparison_folder(self, *job_ids: str, times: Sequence[float] = ()) -> Path:
        """The folder of a comparison, which need not exist; with times, that of a series. Raises JobNotFound."""
        names = [self.folder(job_id).name for job_id in job_ids]
        key = json.dumps([names, list(times)]).encode()  # many ids would be too long for a name
        return self.comparisons / (f"series_{hashlib.sha256(key).hexdigest()[:32]}" if times else "_".join(names))

    def log_path(self, job_id: str) -> Path:
        """The log of all attempts of a job."""
        return self.folder(job_id) / "log.txt"

    def attempts(self, job_id: str) -> list[int]:
        """The numbers of the attempts that have a folder, ascending."""
        try:
            names = [entry.name for entry in os.scandir(self.folder(job_id) / ATTEMPTS)]
        except FileNotFoundError:
            return []
        return sorted(int(name) for name in names if name.isdecimal())

    def workspace(self, job_id: str, attempt: int) -> Workspace:
        """The workspace of an attempt; of one without its own folder, as in earlier versions, the job's folder."""
        folder = self.folder(job_id)
        own = folder / ATTEMPTS / str(attempt)
        return Workspace(own if own.is_dir() else folder, folder / INPUT_DIR)

    def newest_workspace(self, job_id: str) -> Workspace:
        """The workspace of the newest attempt, for what has been computed so far."""
        return self.workspace(job_id, max(self.attempts(job_id), default=0))

    def begin_attempt(self, job_id: str, attempt: int) -> Workspace:
        """A new folder for an attempt, with links to the finished work of the newest one.

        Raises FileExistsError if an attempt with this number has begun.
        """
        before = self.newest_workspace(job_id).work_dir
        folder = self.folder(job_id)
        own = folder / ATTEMPTS / str(attempt)
        own.parent.mkdir(exist_ok=True)
        own.mkdir()
        workspace = Workspace(own, folder / INPUT_DIR)
        workspace.create()
        link_files(before, workspace.work_dir)
        return workspace

    def remove_attempt(self, job_id: str, attempt: int) -> None:
        """Delete the files of one attempt."""
        shutil.rmtree(self.folder(job_id) / ATTEMPTS / str(attempt), ignore_errors=True)

    def remove_other_attempts(self, job_id: str, kept: int) -> None:
        """Delete the files of all attempts but one, if that one has a folder."""
        found = self.attempts(job_id)
        if kept not in found:
            return
        for attempt in found:
            if attempt != kept:
                self.remove_attempt(job_id, attempt)
        for name in ("work", "results"):  # of an earlier version, or of the job that this one was copied from
            shutil.rmtree(self.folder(job_id) / name, ignore_errors=True)

    def stored_path(self, job_id: str, path: Path) -> str:
        """The form in which a record names a file of its job: relative to the job's folder."""
        return path.relative_to(self.folder(job_id)).as_posix()

    def file_of(self, job_id: str, stored: str) -> Path | None:
        """The file that a record names; None if it does not exist, or is not in the job's own folder.

        An absolute path, as in records of earlier versions, is read from the job's id on: the data directory may have
        been restored in another place.
        """
        folder = self.folder(job_id).resolve()
        parts = PurePosixPath(stored).parts
        if stored.startswith("/"):
            if job_id not in parts:
                return None
            parts = parts[len(parts) - parts[::-1].index(job_id) :]
        try:
            path = folder.joinpath(*parts).resolve()
            return path if path.is_relative_to(folder) and path.is_file() else None
        except (OSError, ValueError):  # a name that is invalid in the file system
            return None

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
            return sorted(entry.name for entry in os.scandir(self.jobs_dir) if _SAFE_ID.fullmatch(entry.name))
        except FileNotFoundError:
            return []

    def folder_is_missing(self, job_id: str) -> bool:
        """Whether the folder of a job is missing although the data directory is there."""
        return bool(self.identity()) and not self.folder(job_id).exists()

    def identity(self) -> str:
        """The identity of the data directory (see data_dir.py); empty if the directory is missing."""
        try:
            return (self.root / "identity").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return ""

    def write_identity(self, identity: str) -> str:
        """Make the data directory if necessary, and give it an identity unless it has one. Returns the valid one."""
        self.root.mkdir(parents=True, exist_ok=True)
        partial = self.root / f".identity.{os.getpid()}.{uuid4().hex}"
        partial.write_text(identity, encoding="ascii")
        with contextlib.suppress(FileExistsError):  # another process was faster
            (self.root / "identity").hardlink_to(partial)
        partial.unlink()
        return self.identity()

    def problem(self, needed_bytes: int = 0) -> FaultKind | None:
        """What prevents writing to the data directory, or prevents a job that needs this disk space; None: nothing."""
        if not self.identity():
            return FaultKind.DATA_MISSING
        probe = self.root / f".probe.{os.getpid()}"
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
            probe.unlink()
            return FaultKind.DISK_FULL if self.free_bytes() < needed_bytes else None
        except OSError as error:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
            return fault_of(error) or FaultKind.DATA_MISSING

    def read_manifest(self, job_id: str, attempt: int) -> Manifest | None:
        """results/manifest.json, which is written last: if it can be read, the results are complete."""
        path = self.workspace(job_id, attempt).manifest_path
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

    def manifest_time(self, job_id: str, attempt: int) -> datetime:
        """Time of completion of the results."""
        return datetime.fromtimestamp(self.workspace(job_id, attempt).manifest_path.stat().st_mtime, UTC)

    def remove_upload(self, job_id: str) -> None:
        """Delete the upload."""
        shutil.rmtree(self.folder(job_id) / INPUT_DIR, ignore_errors=True)

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
            if path.name.startswith(f"{job_id}_") or path.name.endswith(f"_{job_id}") or job_id in _series_of(path):
                shutil.rmtree(path, ignore_errors=True)

    def finish_removals(self) -> None:
        """Delete renamed folders, including those left by killed processes."""
        shutil.rmtree(self._deleted, ignore_errors=True)

    def free_bytes(self) -> int:
        """Free disk space of the data directory; 0 if it is missing."""
        try:
            return shutil.disk_usage(self.root).free
        except OSError:
            return 0


def _series_of(folder: Path) -> list[str]:
    """The jobs of a series; empty for a comparison of two, whose name has them."""
    try:
        inputs = json.loads((folder / COMPARISON_INPUTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return list(inputs.get("jobs", ()))


def link_files(source: Path, target: Path) -> None:
    """Link the files in a folder, without its subfolders, into another folder.

    Files are replaced, never changed in place: both can share them. The list of the finished steps is taken first, so
    that it names nothing that an attempt that still runs finishes meanwhile.
    """
    if not source.is_dir():
        return
    names = [entry.name for entry in os.scandir(source) if entry.is_file() and not entry.name.startswith(".")]
    for name in sorted(names, key=lambda name: name != STEPS_NAME):
        with contextlib.suppress(FileNotFoundError):  # replaced meanwhile
            _link(source / name, target / name)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
