"""python -m jobs backup and restore: to another path and another, empty queue."""

from __future__ import annotations

import contextlib
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jobs import embedded, service
from jobs.backup import making
from jobs.backup.format import SUMMARY
from jobs.backup.making import back_up
from jobs.backup.restoring import restore
from jobs.command_line.commands import main
from jobs.errors import BackupInvalid, JobConflict, JobNotFound, QueueUnavailable
from jobs.settings import Settings
from jobs.state import backend as backends
from jobs.state.backend import Backend, open_backend
from jobs.state.clock import now
from jobs.state.model import RECORD_VERSION, JobRecord, Status
from jobs.state.queue import AnalysisQueue, queue_errors
from jobs.state.reconciler import Reconciler
from jobs.studies.folder import StudyFolder
from jobs.studies.journal import End, Outcome
from jobs.studies.plan import write_check
from jobs.studies.record import Phase, StudyRecord
from pipeline.options import AnalysisOptions
from studies.check import Check
from studies.manifest import read_manifest
from studies.rules import CheckedRow
from tests.support.processes import running, wait_until

pytestmark = pytest.mark.slow  # another queue is started

ZIP = b"PK results" * 100


@pytest.fixture(scope="module")
def second_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Another data directory with its own queue."""
    root = tmp_path_factory.mktemp("other")
    command, url = embedded.configure(root / "valkey")

    def answers() -> bool:
        with contextlib.suppress(QueueUnavailable), queue_errors():
            return AnalysisQueue(url).ping()
        return False

    with running(command, root / "valkey.log"):
        wait_until(answers, what="the second Valkey")
        yield root


@pytest.fixture
def elsewhere(second_valkey: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call it to change to an empty queue and another data directory."""

    def change() -> Backend:
        monkeypatch.setattr(backends, "load_settings", lambda: Settings(data_dir=second_valkey))
        there = open_backend()
        there.client.flushdb()
        for job_id in there.storage.job_ids():
            there.storage.remove(job_id)
        shutil.rmtree(there.storage.research, ignore_errors=True)
        return there

    return change


def put_finished(backend: Backend) -> str:
    record = JobRecord(
        id="finished",
        input_filename="knee.nii.gz",
        options={"side": "left"},
        status=Status.COMPLETE,
        attempt=1,
        created_at=now(),
        started_at=now(),
        completed_at=now(),
        expires_at=now().replace(year=2999),
        result_path="attempts/1/results/results.zip",
        result_size_bytes=len(ZIP),
    )
    backend.storage.write_record(record)
    results = backend.storage.folder(record.id) / "attempts" / "1" / "results"
    results.mkdir(parents=True)
    (results / "results.zip").write_bytes(ZIP)
    (results / "manifest.json").write_text('{"archive_bytes": 1000, "warnings": [], "steps": []}')
    (results / ".unfinished").write_text("x")
    backend.store.add_ended(record)
    backend.statistics.record_end(record)
    return record.id


def put_waiting(backend: Backend, job_id: str, **changes: Any) -> None:
    record = JobRecord(id=job_id, created_at=now(), input_path="input/scan.nii.gz", email="mary@example.org")
    backend.storage.write_record(record)
    (backend.storage.folder(job_id) / "input").mkdir()
    (backend.storage.folder(job_id) / "input" / "scan.nii.gz").write_text(job_id)
    backend.queue.enqueue(record)
    if changes:
        backend.queue.remove(job_id)
        backend.store.change(job_id, lambda _: changes)


@pytest.fixture
def source(redis_client: Any) -> Backend:
    backend = open_backend()
    put_finished(backend)
    put_waiting(backend, "second")
    put_waiting(backend, "first")
    backend.queue.remove("second")
    put_waiting(backend, "running", status=Status.PROCESSING, attempt=1, progress_percent=40)
    record, text = backend.store.load_text("second")
    assert record is not None
    backend.queue.enqueue(record, replaces=text)
    backend.statistics.record_email("mary@example.org")
    assert backend.queue.waiting() == ["first", "second"]
    return backend


@pytest.mark.parametrize("name", ["backup.tar", "backup"])
def test_every_job_download_and_statistic_is_as_before_at_another_path(
    source: Backend, elsewhere: Any, tmp_path: Path, name: str
) -> None:
    before, usage = source.store.load("finished"), service.stats()
    kept = source.storage.research / "some-id"
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "results.csv").write_text("rows")
    project, session = (source.storage.root / "access" / f"{kind}/{'a' * 32}.json" for kind in ("projects", "sessions"))
    for path in (project, session, source.storage.root / "audit" / "audit.jsonl"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    assert main(["backup", str(tmp_path / name)]) == 0
    there = elsewhere()
    shutil.rmtree(there.storage.root / "access", ignore_errors=True)
    assert main(["restore", str(tmp_path / name)]) == 0
    assert there.storage.root != source.storage.root
    assert there.store.load("finished") == before
    path, _ = service.archive("finished")
    assert path.is_relative_to(there.storage.root)
    assert path.read_bytes() == ZIP
    assert not list(there.storage.root.rglob(".unfinished"))
    assert replace(service.stats(), uptime_hours=0) == replace(usage, uptime_hours=0, jobs_in_queue=3)
    assert (there.storage.root / "secret").read_bytes() == (source.storage.root / "secret").read_bytes()
    assert (there.storage.research / "some-id" / "results.csv").read_text() == "rows"
    for path, kept_too in ((project, True), (session, False), (source.storage.root / "audit" / "audit.jsonl", True)):
        assert (there.storage.root / path.relative_to(source.storage.root)).exists() is kept_too, path
    assert there.queue.waiting() == ["running", "first", "second"], "what was running comes first"
    resumed = there.store.load("running")
    assert resumed is not None
    assert (resumed.status, resumed.progress_percent, resumed.lost_attempts) == (Status.QUEUED, 0, 0)
    assert (there.storage.folder("first") / "input" / "scan.nii.gz").read_text() == "first"
    assert Reconciler(there).reconcile() == [], "records, queue and folders agree"
    assert not list(there.storage.root.glob("restoring*"))
    assert "mary" not in str(there.client.hgetall("jobs")), "addresses are not part of a backup"


def test_nothing_is_restored_over_existing_jobs(source: Backend, tmp_path: Path) -> None:
    back_up(tmp_path / "backup")
    with pytest.raises(JobConflict, match="4 jobs"):
        restore(tmp_path / "backup")
    with pytest.raises(JobConflict, match="exists"):
        back_up(tmp_path / "backup")
    assert main(["restore", str(tmp_path / "backup")]) == 1


def test_a_damaged_or_later_backup_is_refused_and_changes_nothing(
    source: Backend, elsewhere: Any, tmp_path: Path
) -> None:
    summary = back_up(tmp_path / "backup.tar")
    assert summary.record_version == RECORD_VERSION
    whole = (tmp_path / "backup.tar").read_bytes()
    (tmp_path / "half.tar").write_bytes(whole[: len(whole) // 2])
    back_up(tmp_path / "later")
    stated = json.loads((tmp_path / "later" / SUMMARY).read_text())
    (tmp_path / "later" / SUMMARY).write_text(json.dumps(stated | {"record_version": RECORD_VERSION + 1}))
    back_up(tmp_path / "short")
    next((tmp_path / "short" / "jobs").rglob("results.zip")).unlink()
    with tarfile.open(tmp_path / "outside.tar", "w") as file:
        file.addfile(tarfile.TarInfo("../outside"))
    there = elsewhere()
    for name in ("half.tar", "later", "short", "outside.tar", "missing"):
        with pytest.raises(BackupInvalid):
            restore(tmp_path / name)
    assert (there.store.ids(), there.storage.job_ids(), there.statistics.total()) == ([], [], 0)
    assert not list(there.storage.root.glob("restoring*"))
    assert not list(there.storage.root.glob("outside")), "written outside of its folder"


def test_a_job_that_ends_during_its_copy_is_copied_again(
    source: Backend, elsewhere: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_folder, ended = making._copy_folder, []

    def slow(writer: Any, folder: Path, name: str) -> None:
        copy_folder(writer, folder, name)
        if folder.name == "running" and not ended:
            ended.append(name)
            (folder / "report.html").write_text("the result")
            source.store.change("running", lambda _: {"status": Status.COMPLETE})
        if folder.name == "first":
            service.delete("first")

    monkeypatch.setattr(making, "_copy_folder", slow)
    back_up(tmp_path / "backup")
    there = elsewhere()
    restore(tmp_path / "backup")
    assert service.get("running").status is Status.COMPLETE
    assert (there.storage.folder("running") / "report.html").read_text() == "the result"
    with pytest.raises(JobNotFound):
        service.get("first")


def put_study(backend: Backend) -> StudyFolder:
    """A study with an uploaded scan, an end of its row, and the corrected analysis of it."""
    folder = StudyFolder(backend.storage.root, "01234567-89ab-cdef-0123-456789abcdef")
    folder.scans.mkdir(parents=True, exist_ok=True)
    (folder.scans / "00001_a.nrrd").write_text("scan")
    folder.manifest.write_text("labels,subject\n00001_a.nrrd,S1\n", encoding="utf-8")
    folder.write(StudyRecord(id=folder.id, name="kept", created_at=now(), phase=Phase.COMPLETE))
    manifest = read_manifest(folder.manifest, folder.scans)
    rows = tuple(CheckedRow(row=row, header=None, findings=(), years=None) for row in manifest.rows)
    check = Check(rows=rows, further=(), notes=(), accepted=frozenset())
    write_check(folder.path, check, AnalysisOptions(), 1)
    plan = folder.plan()
    assert plan is not None
    ((row, task),) = plan.rows.items()
    folder.journal.write([Outcome(row=row, task=task, end=End.COMPLETE, address="a" * 24, version=2, job="x")])
    folder.tables.mkdir(exist_ok=True)
    (folder.tables / "rows.csv").write_text("row\n")
    analysis = folder.store / ("a" * 24)
    (analysis / ".analysis" / "work").mkdir(parents=True, exist_ok=True)
    (analysis / ".analysis" / "work" / "correction.raw").write_text("labels")
    (analysis / ".lock").touch()
    (analysis / "analysis.json").write_text("{}")
    unfinished = folder.store / ("b" * 24)
    unfinished.mkdir(exist_ok=True)
    (unfinished / "results.csv").write_text("half")
    return folder


def test_studies_are_restored_with_their_analyses_at_another_path(
    source: Backend, elsewhere: Any, tmp_path: Path
) -> None:
    before = put_study(source)
    try:
        assert back_up(tmp_path / "backup").studies == 1
        assert back_up(tmp_path / "small", studies=False).studies is None
        assert not (tmp_path / "small" / "studies").exists()
    finally:
        expected = before.record(), before.plan(), before.journal.read().outcomes
        shutil.rmtree(before.path)
        shutil.rmtree(before.store)
    there = elsewhere()
    assert restore(tmp_path / "backup").studies == 1
    after = StudyFolder(there.storage.root, before.id)
    try:
        assert (after.record(), after.plan(), after.journal.read().outcomes) == expected
        check, plan = after.check(), after.plan()
        assert check is not None
        (row,) = check.rows
        assert row.row.labels == after.scans / "00001_a.nrrd"
        assert row.row.labels.read_text() == "scan"
        write_check(after.path, check, AnalysisOptions(), 1)
        assert after.plan() == plan, "the end of the row still counts"
        assert (after.tables / "rows.csv").read_text() == "row\n"
        assert (after.store / ("a" * 24) / ".analysis" / "work" / "correction.raw").read_text() == "labels"
        assert not (after.store / ("b" * 24)).exists(), "an analysis that has not ended is not part of it"
        with pytest.raises(JobConflict, match="1 studies"):
            restore(tmp_path / "backup")
    finally:
        shutil.rmtree(after.path)
        shutil.rmtree(after.store)
