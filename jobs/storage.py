"""DATA_DIR/jobs/<job id>/: the folder of a job, deleted whole with it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, Final

from jobs.errors import JobNotFound
from jobs.model import JobRecord
from pipeline.workspace import Workspace, write_json

_SAFE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class Storage:
    """The files of all jobs."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir
        self._jobs = data_dir / "jobs"

    def folder(self, job_id: str) -> Path:
        """Where a job's files are, whether they exist or not. Raises JobNotFound for an id that is no file name."""
        if not _SAFE_ID.fullmatch(job_id):
            raise JobNotFound("There is no such job.", hint="Check the job ID.")
        return self._jobs / job_id

    def workspace(self, job_id: str) -> Workspace:
        """The job's folder as the pipeline sees it."""
        return Workspace(self.folder(job_id))

    def write_record(self, record: JobRecord) -> None:
        """job.json: enough to rebuild a record that Redis lost, without the e-mail address."""
        folder = self.folder(record.id)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "job.json", record.to_dict() | {"email": None})

    def record_paths(self) -> list[Path]:
        """job.json of every job that has a folder."""
        return sorted(self._jobs.glob("*/job.json"))

    def read_manifest(self, job_id: str) -> dict[str, Any] | None:
        """results/manifest.json, written last: its presence means complete."""
        path = self.workspace(job_id).manifest_path
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return manifest if isinstance(manifest, dict) else None

    def remove_upload(self, job_id: str) -> None:
        """Delete what the user gave."""
        shutil.rmtree(self.workspace(job_id).input_dir, ignore_errors=True)

    def remove(self, job_id: str) -> None:
        """Delete everything of a job."""
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def holds(self, path: Path) -> bool:
        """Whether a path, links followed, is an existing file inside the data directory."""
        resolved = path.resolve()
        return resolved.is_file() and resolved.is_relative_to(self.root.resolve())

    def free_bytes(self) -> int:
        """Room on the disk of the data directory."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free
