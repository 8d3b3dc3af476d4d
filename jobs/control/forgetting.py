"""Deletes a subject everywhere: rows and figures in every study, analyses, uploaded scans, and single jobs.

Rows keep their numbers: the lines of the subject become empty. Tables are deleted and written again by a worker.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.access import audit
from jobs.access.audit import Act
from jobs.access.held import HeldKind
from jobs.control.cancelling import delete
from jobs.control.study_deleting import delete_edited
from jobs.errors import JobNotFound, StudyNotFound
from jobs.state.backend import Backend, open_backend
from jobs.state.queue import queue_errors
from jobs.studies.downloads import TABLES_ZIP
from jobs.studies.feeding import Feeder
from jobs.studies.folder import StudyFolder, study_folders
from jobs.studies.operations import remove_unused
from jobs.studies.plan import write_check
from jobs.studies.record import Phase
from pipeline.options import AnalysisOptions
from pipeline.workspace import atomic_file
from studies.columns import SUBJECT, column_named
from studies.manifest import write_text
from studies.text_table import SEPARATORS, decoded, read_text_table


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What was deleted: names of studies -> number of rows, analyses and single jobs."""

    studies: dict[str, int]
    analyses: int
    jobs: int


@queue_errors()
def forget(subject: str) -> Forgotten:
    """Delete everything about a subject: exactly this name. Raises QueueUnavailable, OSError."""
    backend = open_backend()
    found: dict[str, int] = {}
    analyses: set[str] = set()
    edited: set[str] = set()
    for folder in study_folders(backend.settings.data_dir):
        with contextlib.suppress(StudyNotFound):
            name = folder.record().name
            rows, addresses, jobs_of_rows = _forget_in(folder, subject)
            if rows:
                found[name] = found.get(name, 0) + rows
                analyses |= addresses
                edited |= jobs_of_rows
    removed = remove_unused(backend, analyses)
    jobs = delete_edited(edited) + _forget_jobs(backend, subject)
    backend.store.mark_log_outdated()
    backend.store.compact_log()
    Feeder(backend).feed_safely()
    return Forgotten(studies=found, analyses=len(removed), jobs=jobs)


def _forget_in(folder: StudyFolder, subject: str) -> tuple[int, set[str], set[str]]:
    """The number of rows of the subject in a study, the addresses of all analyses that they had, and the single jobs in
    which their outlines were corrected.
    """
    with folder.locked():
        record = folder.record()
        numbers = _blank_lines(folder.manifest, subject)
        if not numbers:
            return 0, set(), set()
        check, plan = folder.check(), folder.plan()
        gone = [] if check is None else [row.row for row in check.rows if row.row.number in numbers]
        for row in gone:
            for path in (row.scan, row.labels):
                if path is not None and path.resolve().is_relative_to(folder.scans.resolve()):
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        addresses = _addresses(folder.journal_path, numbers)
        edited = {entry.job for row, entry in folder.editing().items() if row in numbers}
        if check is not None and plan is not None:
            kept = replace(check, rows=tuple(row for row in check.rows if row.row.number not in numbers))
            write_check(folder.path, kept, AnalysisOptions.from_dict(record.options), plan.revision)
        for path in (folder.journal_path, folder.reviews_path, folder.editing_path):
            _without_rows(path, numbers)
        folder.written.unlink(missing_ok=True)
        for made in (folder.tables, folder.maps):
            shutil.rmtree(made, ignore_errors=True)
        for path in folder.path.glob(f"*{TABLES_ZIP}*"):
            path.unlink()
        if record.phase is Phase.COMPLETE:
            folder.write(replace(record, phase=Phase.RUNNING))
    return len(numbers), addresses, edited


def _addresses(journal: Path, numbers: set[int]) -> set[str]:
    """Of all analyses that these rows ever had."""
    found = set()
    if journal.exists():
        for line in journal.read_bytes().splitlines():
            with contextlib.suppress(ValueError, AttributeError):
                entry = json.loads(line)
                if entry.get("row") in numbers:
                    found.add(str(entry.get("address", "")))
    return found - {""}


def _blank_lines(manifest: Path, subject: str) -> set[int]:
    """Empty the lines of the subject; returns their numbers."""
    table = read_text_table(manifest)
    places = [index for index, name in enumerate(table.header) if column_named(name) is SUBJECT]
    numbers = {number for number, fields in table.lines for place in places if fields[place : place + 1] == (subject,)}
    if numbers:
        text, _ = decoded(manifest.read_bytes())
        mark = next(mark for mark, name in SEPARATORS.items() if name == table.separator)
        lines = text.splitlines(keepends=True)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True)
        begin = 1
        for _ in reader:
            if begin in numbers:
                lines[begin - 1 : reader.line_num] = ["\n"] * (reader.line_num - begin + 1)
            begin = reader.line_num + 1
        write_text(manifest, "".join(lines))
    return numbers


def _without_rows(path: Path, numbers: set[int]) -> None:
    """Leave out the lines of JSON that are about these rows, or about a subject that begins with one."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        with contextlib.suppress(ValueError, AttributeError):
            entry = json.loads(line)
            if not {entry.get("row"), entry.get("subject")} & numbers:
                kept.append(line)
    with atomic_file(path) as stream:
        stream.write(b"".join(kept))


def _forget_jobs(backend: Backend, subject: str) -> int:
    """Delete the single jobs whose file has the name of the subject as a whole word."""
    named: Callable[[str], object] = re.compile(rf"(?<![A-Za-z0-9]){re.escape(subject)}(?![A-Za-z0-9])").search
    number = 0
    for job_id in backend.store.ids():
        record = backend.store.load(job_id)
        if record is not None and named(record.input_filename):
            with contextlib.suppress(JobNotFound):
                delete(job_id)
                audit.note_of_server(Act.DELETED, f"{HeldKind.JOB}:{job_id}", "forget_subject")
                number += 1
    return number
