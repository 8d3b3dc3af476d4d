"""Makes a backup of jobs, studies, statistics and copies for research while the product runs.

Files of a job are replaced, never changed in place, and a list of finished work is written after that work. Those
lists are therefore copied first. A job whose state changes meanwhile is copied again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.backup.access import copy_access
from jobs.backup.containers import BackupWriter, disk_errors, new_backup
from jobs.backup.format import FORMAT, JOBS, KEYS, RECORDS, RESEARCH, SUMMARY, Summary
from jobs.backup.studies import copy_studies
from jobs.errors import QueueUnavailable
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.model import RECORD_VERSION, JobRecord
from jobs.state.queue import queue_errors
from jobs.state.statistics import SECRET_NAME
from pipeline.ledger import STEPS_NAME
from pipeline.parts import PREFIX
from pipeline.workspace import MANIFEST_NAME

LISTS: Final = (STEPS_NAME, MANIFEST_NAME)
"""Files that name other files, which are complete once these exist."""

MOST_COPIES: Final = 10
"""Of one job, until its state has not changed during the copy."""

LOCK_NAME: Final = "work.lock"


@queue_errors()
@disk_errors()
def back_up(target: Path, *, studies: bool = True) -> Summary:
    """Write a backup. studies: with studies and their analyses, which can be large.

    Raises BackupFailed, JobConflict if the target exists, QueueUnavailable.
    """
    backend = open_backend()
    with new_backup(target) as writer:
        moment = now()
        waiting = backend.queue.waiting()
        lines = [line for job_id in backend.store.ids() if (line := _copy_job(backend, writer, job_id)) is not None]
        writer.add_text(RECORDS, "".join(f"{line}\n" for line in lines), moment.timestamp())
        writer.add_text(KEYS, json.dumps(backend.statistics.content()), moment.timestamp())
        with contextlib.suppress(FileNotFoundError):  # nobody has left an address
            writer.add_file(SECRET_NAME, backend.storage.root / SECRET_NAME)
        _copy_folders(writer, backend.storage.research, RESEARCH)
        copy_access(writer, backend.storage.root, moment.timestamp())
        number = copy_studies(backend, writer) if studies else None
        summary = Summary(
            format=FORMAT,
            record_version=RECORD_VERSION,
            made_at=moment.isoformat(),
            files=writer.files,
            size_bytes=writer.size_bytes,
            jobs=len(lines),
            queue_order=tuple(waiting),
            studies=number,
        )
        writer.add_text(SUMMARY, summary.text(), moment.timestamp())
    return summary


def _copy_job(backend: Backend, writer: BackupWriter, job_id: str) -> str | None:
    """Copy the files of a job; returns its line of records.jsonl, or None if it was deleted."""
    before = backend.store.load(job_id)
    for number in range(1, MOST_COPIES + 1):
        if before is None:
            return None
        folder = f"{JOBS}/{job_id}/{number}"
        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile, or a record of another program
            _copy_folder(writer, backend.storage.folder(job_id), folder)
        after = backend.store.load(job_id)
        if after is not None and _state(after) == _state(before):
            return json.dumps({"folder": folder, "record": after.public()})
        before = after
    raise QueueUnavailable(f"Job {job_id} changed during {MOST_COPIES} copies.", hint="Try again.")


def _state(record: JobRecord) -> tuple[object, ...]:
    return record.status, record.attempt, record.options


def _copy_folders(writer: BackupWriter, source: Path, name: str) -> None:
    for folder in sorted(source.glob("[!.]*")):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # deleted meanwhile
            _copy_folder(writer, folder, f"{name}/{folder.name}")


def _copy_folder(writer: BackupWriter, source: Path, name: str) -> None:
    """Copy the files of a folder. Raises FileNotFoundError if it does not exist."""
    os.stat(source)  # noqa: PTH116 -- raises
    lists = [path for path in _files(source) if path.name in LISTS]
    _copy_files(writer, source, name, lists)
    _copy_files(writer, source, name, [path for path in _files(source) if path not in lists and path.name not in LISTS])


def _copy_files(writer: BackupWriter, source: Path, name: str, paths: list[Path]) -> None:
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # replaced or deleted meanwhile
            writer.add_file(f"{name}/{path.relative_to(source).as_posix()}", path)


def _files(folder: Path) -> Iterator[Path]:
    """Regular files without unfinished ones, whose names begin with a dot, and without kept parts, which are computed
    again.
    """
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(root) / name
            left_out = name.startswith((".", f"{PREFIX}.")) or name == LOCK_NAME
            if not left_out and path.is_file() and not path.is_symlink():
                yield path
