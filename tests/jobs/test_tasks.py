"""Jobs from submission to their end, with a real worker process and the real pipeline."""

from __future__ import annotations

import functools
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from bench.service.inside import small_knee
from jobs import service
from jobs.errors import JobConflict, JobNotFinished, JobNotFound
from jobs.state.backend import open_backend
from jobs.state.model import JobView, Status
from pipeline.image_io import read_scan
from pipeline.options import AnalysisOptions
from pipeline.products import SCAN
from tests.support.processes import DATA_DIR, ROOT, running, wait_until
from tests.support.submitted import image, submit

pytestmark = pytest.mark.slow

PARTS = {"scipy", "vtkmodules", "onnxruntime"}
"""Libraries that an analysis loads, as in the paths of their files."""


@pytest.fixture
def zeros(tmp_path: Path) -> bytes:
    return image(tmp_path / "zeros.nii.gz", np.zeros((16, 16, 16), np.int16))


@pytest.fixture
def noise(tmp_path: Path) -> bytes:
    """A scan without a knee, large enough to keep the network busy for seconds."""
    return image(tmp_path / "noise.nii.gz", np.random.default_rng(1).integers(0, 900, (96, 256, 256)).astype(np.int16))


def ended(job_id: str) -> JobView | None:
    job = service.get(job_id)
    return job if job.status.final else None


def test_an_empty_image_is_accepted_and_ends_with_a_clear_error(
    worker: subprocess.Popen[bytes], redis_client: Any, zeros: bytes
) -> None:
    begun = time.monotonic()
    job = submit(zeros, email="someone@example.com")
    assert time.monotonic() - begun < 5
    assert job.status is Status.QUEUED
    wait_until(lambda: ended(job.id), what="the end of the job")
    after = service.get(job.id)
    assert (after.status, after.error_code) == (Status.ERROR, "EMPTY_IMAGE")
    assert after.error_message
    assert str(DATA_DIR) not in after.error_message
    assert after.steps[0].state == "failed"
    folder = DATA_DIR / "jobs" / job.id
    wait_until(
        lambda: json.loads((folder / "job.json").read_text())["status"] == "error",
        what="job.json to say how the job ended: it is the last thing written",
    )
    assert not (folder / "input").exists()
    assert "EMPTY_IMAGE" in (folder / "log.txt").read_text()
    assert "someone@example.com" not in redis_client.hget("jobs", job.id)
    assert "someone@example.com" not in (folder / "job.json").read_text()
    with pytest.raises(JobNotFinished):
        service.archive(job.id)


def test_a_worker_has_loaded_the_analysis_before_its_first_job(worker: subprocess.Popen[bytes]) -> None:
    def loaded() -> set[str]:
        return {name for part in psutil.Process(worker.pid).memory_maps() for name in PARTS if name in part.path}

    wait_until(lambda: loaded() == PARTS, what="the libraries of the analysis in the worker")


def test_the_worker_continues_after_a_failed_job(worker: subprocess.Popen[bytes], zeros: bytes) -> None:
    jobs = [submit(zeros) for _ in range(2)]
    wait_until(lambda: all(ended(job.id) for job in jobs), seconds=40, what="the end of both jobs")
    assert worker.poll() is None


def test_a_running_job_is_cancelled_and_no_process_remains(worker: subprocess.Popen[bytes], noise: bytes) -> None:
    job = submit(noise)
    wait_until(lambda: service.get(job.id).step_name.startswith("Outline"), what="the network at work")
    parent = psutil.Process(worker.pid)
    assert parent.children(recursive=True)
    begun = time.monotonic()
    after = service.cancel(job.id)
    assert (after.status, after.error_code) == (Status.ERROR, "CANCELLED")
    wait_until(lambda: not parent.children(recursive=True), seconds=1, what="the end of the work")
    assert time.monotonic() - begun < 1.5
    assert worker.poll() is None
    time.sleep(0.5)
    assert service.get(job.id).error_code == "CANCELLED", "nothing overwrites a cancelled job"
    with pytest.raises(JobConflict):
        service.cancel(job.id)


def test_a_job_with_a_killed_work_horse_is_retried_once_and_then_fails(
    worker: subprocess.Popen[bytes], noise: bytes
) -> None:
    job = submit(noise)
    parent = psutil.Process(worker.pid)
    for _ in range(2):
        wait_until(parent.children, what="a work-horse")
        horse = parent.children()[0]
        wait_until(lambda: service.get(job.id).status is Status.PROCESSING, what="the job at work")
        horse.kill()
        wait_until(lambda horse=horse: not horse.is_running(), what="the end of the work-horse")
    wait_until(lambda: ended(job.id), what="the end of the job")
    assert service.get(job.id).error_code == "WORKER_LOST"


def test_a_work_horse_ends_with_its_worker(worker: subprocess.Popen[bytes], noise: bytes) -> None:
    job = submit(noise)
    wait_until(lambda: service.get(job.id).step_name.startswith("Outline"), what="the network at work")
    children = psutil.Process(worker.pid).children(recursive=True)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    wait_until(lambda: not any(alive(child) for child in children), seconds=2, what="the end of the work-horse")


def alive(process: psutil.Process) -> bool:
    """Whether a process runs; an ended one whose new parent has not yet noticed its end does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_retried_job_runs_without_its_upload(worker: subprocess.Popen[bytes], noise: bytes) -> None:
    job = submit(noise)
    with pytest.raises(JobConflict):
        service.retry(job.id)
    wait_until(lambda: service.get(job.id).step_name.startswith("Outline"), what="the network at work")
    service.cancel(job.id)
    again = service.retry(job.id, {"side": "auto", "turn": "RAS"})
    assert again.status in (Status.QUEUED, Status.PROCESSING)
    assert (again.options["turn"], again.error_code) == ("RAS", "")
    service.delete(job.id)
    with pytest.raises(JobNotFound):
        service.get(job.id)
    assert not (DATA_DIR / "jobs" / job.id).exists()


def test_options_used_while_the_upload_is_read_cannot_change_after_it_is_deleted(
    redis_client: Any, zeros: bytes, tmp_path: Path
) -> None:
    """The stored scan was read with the other value: to run again would discard it, and with it the results."""
    job = submit(zeros)
    (tmp_path / "scan.nii.gz").write_bytes(zeros)
    SCAN.save(open_backend().storage.newest_workspace(job.id), read_scan(tmp_path / "scan.nii.gz"))
    service.cancel(job.id)
    for run_again in (service.retry, service.copy):
        with pytest.raises(JobConflict, match=r"^side and series are used .* upload of this job has been deleted"):
            run_again(job.id, {"side": "left", "series": "5", "echo_times_ms": [], "turn": "RAS"})
    assert (service.get(job.id).error_code, service.can_retry(job.id)) == ("CANCELLED", True)
    again = service.retry(job.id, {"side": "auto", "turn": "RAS"})
    assert again.status in (Status.QUEUED, Status.PROCESSING)


def test_results_written_before_a_crash_are_used(
    worker: subprocess.Popen[bytes], redis_client: Any, zeros: bytes
) -> None:
    """The manifest is the last thing written: with it, a job is complete and is not analysed again."""
    worker.terminate()
    worker.wait()
    job = submit(zeros)
    results = open_backend().storage.begin_attempt(job.id, 1).results_dir
    manifest = {"archive_name": "x", "archive_bytes": 3, "archive_sha256": "", "warnings": ["thick slices"]}
    manifest["steps"] = [{"name": "report", "title": "Report", "state": "running", "seconds": None, "reason": ""}]
    (results / "results.zip").write_bytes(b"zip")
    (results / "manifest.json").write_text(json.dumps(manifest))
    run_job_in_a_process(job.id)
    after = service.get(job.id)
    assert (after.status, after.warnings, after.result_size_bytes) == (Status.COMPLETE, ("thick slices",), 3)
    assert after.steps[0].state == "done"
    assert service.archive(job.id)[0].read_bytes() == b"zip"


def run_job_in_a_process(job_id: str) -> None:
    subprocess.run(
        [sys.executable, "-c", f"from jobs.worker.tasks import run_job; run_job({job_id!r})"], cwd=ROOT, check=True
    )


def test_a_worker_calls_only_the_analysis(
    worker: subprocess.Popen[bytes], valkey: str, redis_client: Any, tmp_path: Path
) -> None:
    from redis import Redis
    from rq import Callback, Queue
    from rq.exceptions import InvalidJobOperation, NoSuchJobError
    from rq.job import Job

    marker = tmp_path / "marker"
    client = Redis.from_url(valkey)
    queue = Queue("analyses", connection=client, serializer="json")

    def refused(entry_id: str) -> bool:
        try:
            entry = Job.fetch(entry_id, client, serializer="json")
            if entry.get_status() != "failed":
                return False
            result = entry.latest_result()
        except (NoSuchJobError, InvalidJobOperation):
            return True  # tidied away since: what fails and belongs to no job is not kept
        return result is None or "PermissionError" in result.exc_string

    analysis = "jobs.worker.tasks.run_job"
    for number, (function, given) in enumerate(
        [
            ("os.mkdir", [str(marker)]),
            (analysis, [str(marker)]),
            (analysis, [["job1"]]),
            (analysis, []),
            (analysis, ["job4", 1]),
        ]
    ):
        entry = queue.enqueue(function, args=given, job_id=f"job{number}", on_failure=Callback("os.mkdir"))
        wait_until(functools.partial(refused, entry.id), what="a refusal")
    assert not marker.exists()


def test_a_rejected_upload_from_a_page_leaves_no_files(redis_client: Any) -> None:
    from jobs.errors import InvalidUpload
    from pipeline.errors import UnreadableImage

    with pytest.raises(InvalidUpload):
        submit(b"x", "scan.txt")
    with pytest.raises(UnreadableImage):
        submit(gzip.compress(b"no image"), "scan.nii.gz")
    assert not [path for place in ("jobs", "incoming") for path in (DATA_DIR / place).glob("*")]


def test_a_knee_is_analysed_from_upload_to_zip(worker: subprocess.Popen[bytes], redis_client: Any) -> None:
    job = service.submit_stream([small_knee(2.0)], "knee.nii.gz", AnalysisOptions(), None)
    seen: set[int] = set()
    silent_s: list[float] = []
    (name,) = redis_client.smembers("rq:workers")

    def finished() -> bool:
        heard = datetime.fromisoformat(redis_client.hget(name, "last_heartbeat"))
        silent_s.append((datetime.now(UTC) - heard).total_seconds())
        view = service.get(job.id)
        seen.add(view.progress_percent)
        return view.status.final

    wait_until(finished, seconds=240, what="the end of the analysis")
    after = service.get(job.id)
    assert after.status is Status.COMPLETE, (after.error_code, after.error_message)
    assert len(seen) > 5, "progress was reported on the way"
    assert max(silent_s) < 15, "the worker is heard of while it works"
    assert {step.state for step in after.steps} <= {"done", "skipped"}
    path, archive_name = service.archive(job.id)
    assert archive_name == "knee_results.zip"
    assert path.stat().st_size == after.result_size_bytes
    rows = service.measurements(job.id)
    thickness = {
        (row.structure, row.region): row.value
        for row in rows
        if (row.quantity, row.method, row.statistic) == ("ThC", "union", "mean")
    }
    assert 0.5 < thickness["femoral_cartilage", "all"] < 5
    assert (service.results_folder(job.id) / "results.csv").exists()
    assert service.stats().total_jobs_processed == 1
    labels = open_backend().storage.newest_workspace(job.id).work_dir / "raw_segmentation.labels.npy"
    outlined = labels.stat()
    again = service.retry(job.id, {"cartilage_smoothing": 0.5})
    assert again.status in (Status.QUEUED, Status.PROCESSING)
    wait_until(lambda: ended(job.id), seconds=60, what="the end of the second run")
    assert service.get(job.id).status is Status.COMPLETE
    work = open_backend().storage.newest_workspace(job.id).work_dir
    kept = (work / labels.name).stat()
    wait_until(lambda: not labels.exists(), what="the end of the files of the earlier attempt")
    assert (kept.st_ino, kept.st_mtime_ns) == (outlined.st_ino, outlined.st_mtime_ns), "the segmentation was kept"
    measured = (work / "thickness.json").stat()
    assert measured.st_mtime_ns > outlined.st_mtime_ns
    assert service.results_folder(job.id).stat()


def test_stopping_a_worker_does_not_count_as_an_attempt(worker: subprocess.Popen[bytes], noise: bytes) -> None:
    """After two restarts of the server during a job, the job still has both attempts."""
    job = submit(noise)
    stop_at_work(worker, job.id)
    with running([sys.executable, "worker.py"], DATA_DIR / "restarted.log") as restarted:
        stop_at_work(restarted, job.id)
    service.delete(job.id)


def stop_at_work(worker: subprocess.Popen[bytes], job_id: str) -> None:
    """Stop a worker that works on a job; the job keeps its attempts."""
    wait_until(lambda: service.get(job_id).step_name not in ("", "Starting"), seconds=40, what="work on it")
    worker.send_signal(signal.SIGTERM)
    time.sleep(1.2)  # RQ takes a second request for a repeated first one if it comes within a second
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=20)
    record = open_backend().store.load(job_id)
    assert record is not None
    assert record.lost_attempts <= 0
    assert not record.status.final
