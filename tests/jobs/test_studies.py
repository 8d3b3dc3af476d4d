"""Studies on the queue: every row once whatever is killed, and the tables of the command line."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pandas as pd
import psutil
import pytest
import redis

from jobs import embedded
from jobs.command_line.commands import main
from jobs.control.study_deleting import delete_study, remove_expired_studies
from jobs.errors import QueueUnavailable, StudyConflict, StudyNotFound
from jobs.settings import load_settings
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.queue import AnalysisQueue, queue_errors
from jobs.state.rq_adapter import QUEUE_KEY, STUDY_QUEUE_KEY
from jobs.studies import service
from jobs.studies.entries import Kind, Part
from jobs.studies.folder import StudyFolder
from jobs.studies.journal import End, Journal, Outcome
from jobs.studies.operations import expiry_of
from jobs.studies.record import Phase, StudyRecord
from jobs.studies.service import StudyRequest, StudyView
from jobs.worker.rq_worker import make_worker
from pipeline.errors import OptionsError
from studies.findings import SAME_CONTENT
from studies.store import RECORD
from tests.support.processes import running, wait_until
from tests.support.small_study import COMPLETE, MANIFEST, analysed_study, tables

pytestmark = pytest.mark.slow

LIMIT_S = 300.0
KILLS = ("work-horse", *4 * ("worker", "queue"))
"""One work-horse alone: a row whose process is killed three times while its worker lives is listed as failed."""


class Service:
    """A queue and a worker on their own data directory, which can be killed and are started again."""

    def __init__(self, folder: Path, at_the_end: contextlib.ExitStack) -> None:
        self.folder = folder
        self._at_the_end = at_the_end
        self._queue = self._worker = None
        command, self.url = embedded.configure(folder / "valkey")
        self._command = command
        self.restart()

    def restart(self) -> None:
        """Start what does not run."""
        self._queue = self._running(self._queue, self._command)
        wait_until(self._answers, what="Valkey")
        self._worker = self._running(self._worker, [sys.executable, "worker.py"])

    def kill(self, target: str) -> None:
        """A work-horse only if there is one."""
        process = {"queue": self._queue, "worker": self._worker}.get(target)
        if process is not None:
            process.kill()
            process.wait()
            return
        assert self._worker is not None
        for child in psutil.Process(self._worker.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()

    def stop_worker(self) -> None:
        self.kill("worker")

    def _running(self, process: subprocess.Popen[bytes] | None, command: list[str]) -> subprocess.Popen[bytes]:
        if process is not None and process.poll() is None:
            return process
        return self._at_the_end.enter_context(running(command, self.folder / "log"))

    def _answers(self) -> bool:
        with contextlib.suppress(QueueUnavailable), queue_errors():
            return AnalysisQueue(self.url).ping()
        return False


@pytest.fixture(scope="module")
def scans() -> Path:
    """The folder with the manifest and the files of the small study, which the command line has analysed."""
    return analysed_study()


@pytest.fixture(scope="module")
def served(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as at_the_end:
        patch.setenv("DATA_DIR", str(folder))
        patch.setenv("STUDY_DATA_DIRS", str(scans))
        load_settings.cache_clear()
        try:
            yield Service(folder, at_the_end)
        finally:
            patch.undo()
            load_settings.cache_clear()


def request(scans: Path, **more: object) -> StudyRequest:
    values: dict[str, object] = {
        "name": "small",
        "manifest": (scans / MANIFEST).read_text(encoding="utf-8"),
        "folder": scans.name,
        "options": {"perform_nsm": False},
        "accepted": (SAME_CONTENT,),
        "run": True,
    }
    return StudyRequest(**values | more)  # type: ignore[arg-type]  # fields of the request


def in_phase(study_id: str, *phases: Phase) -> Callable[[], bool]:
    def found() -> bool:
        try:
            return service.get(study_id).phase in phases
        except QueueUnavailable:  # it was killed
            return False

    return found


def finished(study_id: str) -> StudyView:
    wait_until(in_phase(study_id, Phase.COMPLETE), seconds=LIMIT_S, what="the end of the study")
    return service.get(study_id)


def stamps(served: Service) -> dict[str, int]:
    """When each analysis was computed."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (served.folder / "analyses").glob(f"*/{RECORD}")}


@pytest.fixture(scope="module")
def ended(served: Service, scans: Path) -> StudyView:
    """A study during which work-horse, worker and queue were killed."""
    study = service.create(request(scans))
    deadline = time.monotonic() + LIMIT_S
    left = list(KILLS)
    while not in_phase(study.id, Phase.COMPLETE)() and time.monotonic() < deadline:
        time.sleep(1.5 + 0.7 * (len(left) % 4))
        if left:
            served.kill(left.pop(0))
        served.restart()
    assert len(left) <= len(KILLS) - 3, "the study ended before a work-horse, a worker and the queue were killed"
    return finished(study.id)


def test_a_study_whose_processes_were_killed_has_the_tables_of_the_command_line(
    ended: StudyView, served: Service, scans: Path
) -> None:
    assert tables(served.folder / "studies" / ended.id / "tables") == tables(scans / "out")


def test_no_row_is_lost_or_doubled(ended: StudyView, served: Service) -> None:
    assert (ended.rows, ended.complete, ended.failed, ended.left_out) == (6, COMPLETE, 1, 1)
    assert (ended.waiting, ended.running) == (0, 0)
    assert ended.failures == {"UNSUPPORTED_IMAGE": 1}
    assert ended.reasons == {"MISSING_FILE": 1}
    assert len(stamps(served)) == COMPLETE - 1
    states = [row.state for row in service.rows(ended.id).rows]
    assert states == ["analysed"] * COMPLETE + ["failed", "left_out"]


def test_another_study_of_the_same_scans_computes_nothing(ended: StudyView, served: Service, scans: Path) -> None:
    before = stamps(served)
    again = finished(service.create(request(scans, name="again")).id)
    assert again.complete == COMPLETE
    assert stamps(served) == before
    outcomes = StudyFolder(served.folder, again.id).journal.read().outcomes
    assert not any(outcome.computed for outcome in outcomes.values())
    delete_study(again.id)
    assert stamps(served) == before, "the first study still uses them"


def test_failed_rows_alone_are_analysed_again(ended: StudyView, served: Service) -> None:
    before = StudyFolder(served.folder, ended.id).journal.read().outcomes
    service.retry_failed(ended.id)
    after = finished(ended.id)
    assert (after.complete, after.failed) == (COMPLETE, 1)
    outcomes = StudyFolder(served.folder, ended.id).journal.read().outcomes
    again = [row for row in outcomes if outcomes[row].at != before[row].at]
    assert sorted(again) == sorted(row for row in before if before[row].end is End.FAILED)


def test_rows_that_are_added_later_are_analysed_alone(ended: StudyView, served: Service, scans: Path) -> None:
    before = stamps(served)
    head = (scans / MANIFEST).read_text(encoding="utf-8").partition("\n")[0]
    service.add_rows(ended.id, f"{head}\nv1.nrrd;S9;V00;;;;;case;x\n")
    after = finished(ended.id)
    assert (after.rows, after.complete) == (7, COMPLETE - 1), "the row with the same file is in doubt, too"
    assert after.reasons["SAME_FILE"] == 2
    service.start(ended.id, ("SAME_FILE",))
    assert finished(ended.id).complete == COMPLETE + 1
    assert stamps(served) == before
    with pytest.raises(Exception, match="The columns differ"):
        service.add_rows(ended.id, "path,subject\nx,y\n")


def test_a_paused_study_begins_no_row_and_continues_where_it_stopped(
    ended: StudyView, served: Service, scans: Path
) -> None:
    study = service.create(request(scans, name="paused", options={"perform_nsm": False, "side": "left"}))
    wait_until(in_phase(study.id, Phase.RUNNING), seconds=60, what="the end of the check")
    assert service.pause(study.id).phase is Phase.PAUSED
    wait_until(lambda: service.get(study.id).running == 0, seconds=60, what="the end of running rows")
    done = service.get(study.id).complete
    served.kill("worker")
    served.restart()
    time.sleep(3)
    assert service.get(study.id).complete == done < COMPLETE
    service.start(study.id)
    wait_until(lambda: service.get(study.id).running, seconds=60, what="a row in work")
    assert service.cancel(study.id).phase is Phase.CANCELLED
    wait_until(lambda: service.get(study.id).running == 0, seconds=10, what="the end of the cancelled row")
    addresses = set(stamps(served))
    delete_study(study.id)
    with pytest.raises(StudyNotFound):
        service.get(study.id)
    assert not (served.folder / "studies" / study.id).exists()
    assert len(set(stamps(served)) & addresses) == COMPLETE - 1, "those of the first study"


def test_a_forgotten_subject_leaves_no_trace_and_others_stay(served: Service, scans: Path) -> None:
    subject, other = "Zq81Traceable", "Zq82Remains"
    (scans / "traceable.nrrd").write_bytes((scans / "v2.nrrd").read_bytes())
    rows = [f"{name};{subject};V0{visit};;;;;case;x" for visit, name in enumerate(("traceable.nrrd", "gone.nrrd"))]
    head = (scans / MANIFEST).read_text(encoding="utf-8").partition("\n")[0]
    options = {"perform_nsm": False, "side": "right"}
    manifest = "\n".join([head, rows[0], f"v1.nrrd;{other};V00;;;;;case;x", rows[1]]) + "\n"
    study = finished(service.create(request(scans, name="forget", manifest=manifest, options=options)).id)
    service.review(study.id, 2, "accepted", f"{subject} looks right")
    address = service.rows(study.id).rows[0].analysis
    service.archive(study.id)
    assert traces(served, subject) != []

    assert main(["forget-subject", subject]) == 0

    after = finished(study.id)
    assert (after.rows, after.complete) == (1, 1)
    wait_until(lambda: traces(served, subject) == [], seconds=LIMIT_S, what="files without the subject")
    assert not (served.folder / "analyses" / address).exists()
    listed = service.rows(study.id).rows
    assert [(row.row, row.subject, row.state) for row in listed] == [(3, other, "analysed")]
    assert other in service.table(study.id, "measurements.csv").read_text(encoding="utf-8")
    assert other in set(pd.read_parquet(service.table(study.id, "measurements.parquet")).subject)
    assert main(["forget-subject", subject]) == 0, "again: nothing is left to delete"


def test_a_study_is_deleted_when_its_retention_time_has_passed(served: Service, scans: Path) -> None:
    served.stop_worker()
    try:
        kept, gone = (service.create(request(scans, name=name)).id for name in ("kept", "gone"))
        StudyFolder(served.folder, gone).change(lambda _: {"expires_at": now() - timedelta(seconds=1)})
        StudyFolder(served.folder, kept).change(lambda _: {"expires_at": now() + timedelta(days=1)})
        assert remove_expired_studies(open_backend()) == [gone]
        assert service.get(kept).expires_at is not None
        delete_study(kept)
    finally:
        served.restart()


def test_the_retention_time_of_a_study_is_at_most_that_of_the_operator() -> None:
    made = now() - timedelta(days=3)
    record = StudyRecord(id="x", name="x", created_at=made)
    assert expiry_of(record, 0, 0) is None
    assert expiry_of(record, 0, 10) == made + timedelta(days=10)
    assert expiry_of(record, 30, 0) == pytest.approx(now() + timedelta(days=30), abs=timedelta(seconds=5))
    assert expiry_of(record, 2, 10) == pytest.approx(now() + timedelta(days=2), abs=timedelta(seconds=5))
    with pytest.raises(OptionsError, match=r"the operator allows 7\.0 more days"):
        expiry_of(record, 8, 10)


def traces(served: Service, word: str) -> list[str]:
    """Files of the data directory, with those of the queue, and keys of the queue that contain a word."""
    found = []
    for path in served.folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and (word in path.name or word.encode() in path.read_bytes()):
                found.append(str(path))
            if path.suffix == ".parquet" and word in set(pd.read_parquet(path).subject.astype(str)):
                found.append(str(path))
    return [*found, *keys_with(word)]


def keys_with(word: str) -> list[str]:
    """Keys of the queue whose name or values contain a word; values of RQ are compressed."""
    pool = open_backend().client.connection_pool
    settings = pool.connection_kwargs | {"decode_responses": False}
    client = redis.Redis(connection_pool=redis.ConnectionPool(connection_class=pool.connection_class, **settings))
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
    }
    found = []
    for key in client.scan_iter():
        content = read[client.type(key)](key)
        values = content.values() if isinstance(content, dict) else content
        packed = [value for value in values or () if isinstance(value, bytes) and value.startswith(b"\x78\x9c")]
        if word.encode() in key or word in str(content) or any(word.encode() in zlib.decompress(v) for v in packed):
            found.append(key.decode())
    return found


def test_a_study_cannot_run_before_its_check_has_ended(served: Service, scans: Path) -> None:
    served.stop_worker()
    try:
        study = service.create(request(scans, name="unchecked"))
        assert study.phase is Phase.CHECKING
        with pytest.raises(StudyConflict, match="still being checked"):
            service.start(study.id)
        with pytest.raises(StudyConflict):
            service.rows(study.id)
        delete_study(study.id)
    finally:
        served.restart()


def test_parts_of_studies_wait_while_a_single_job_waits(served: Service, ended: StudyView) -> None:
    served.stop_worker()
    backend = open_backend()
    try:
        backend.client.delete(STUDY_QUEUE_KEY)
        backend.studies.add([Part(study=ended.id, kind=Kind.ROW, number=1).id])
        backend.client.rpush(QUEUE_KEY, "single")
        assert backend.studies.take("horse") is None
        nothing = cast("Any", lambda *_: None)
        worker = make_worker(served.url, every_few_seconds=nothing, while_idle=nothing, on_forced_stop=nothing)
        assert [queue.key for queue in worker.queues] == [QUEUE_KEY, STUDY_QUEUE_KEY], "taken from in this order"
        backend.client.delete(QUEUE_KEY)
        assert backend.studies.take("horse") == f"{ended.id}_row_1"
        assert backend.studies.take("horse") is None
    finally:
        served.restart()


def test_a_line_that_was_cut_is_ignored_and_the_next_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    writer, reader = Journal(path), Journal(path)
    writer.write([Outcome(row=2, task="t", end=End.COMPLETE, address="a")])
    assert set(reader.read().outcomes) == {2}
    with path.open("ab") as stream:
        stream.write(b'{"row": 3, "ta')
    assert set(reader.read().outcomes) == {2}
    writer.write([Outcome(row=4, task="t", end=End.FAILED)])
    assert set(reader.read().outcomes) == {2, 4}
    writer.write([Outcome(row=2, task="t", end=End.CLEARED)])
    assert set(reader.read().outcomes) == set(Journal(path).read().outcomes) == {4}


def test_the_name_of_a_part_in_the_queue_states_what_it_is() -> None:
    part = Part(study="01234567-89ab-cdef-0123-456789abcdef", kind=Kind.ROW, number=12)
    assert Part.of(part.id) == part
    for name in ("", "x", part.id + "x", part.id.replace("row", "rows"), f"../{part.id}"):
        with pytest.raises(ValueError, match="not a part"):
            Part.of(name)
