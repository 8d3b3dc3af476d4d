"""Expired jobs are deleted; data for research is kept only with consent and without voxels."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs import service
from jobs.control.expiry import Expiry, purge_expired
from jobs.errors import JobNotFound
from jobs.settings import Settings
from jobs.state.backend import open_backend
from jobs.state.clock import now
from jobs.state.model import JobRecord, Status
from jobs.state.research import copies, keep_for_research, remove_copies, remove_copy_of
from tests.support.processes import DATA_DIR, running, wait_until
from tests.support.submitted import image, submit

pytestmark = pytest.mark.slow

KEEPING = Settings(research_copies=True, research_purpose="reference values")


def set_end(job_id: str, moment: datetime) -> None:
    """The expiry time of a job in its folder."""
    record = open_backend().store.load(job_id)
    assert record is not None
    open_backend().storage.write_record(replace(record, expires_at=moment))


def over(job_id: str) -> None:
    """Make a job expire now."""
    set_end(job_id, now() - timedelta(seconds=1))


def test_an_expired_job_is_deleted_completely_and_a_new_one_kept(redis_client: Any, tmp_path: Path) -> None:
    content = image(tmp_path / "a.nii.gz", np.zeros((16, 16, 16), np.int16))
    old, fresh = submit(content), submit(content)
    for job in (old, fresh):
        service.cancel(job.id)
    over(old.id)
    assert purge_expired() == [old.id]
    assert not (DATA_DIR / "jobs" / old.id).exists()
    with pytest.raises(JobNotFound):
        service.get(old.id)
    assert service.get(fresh.id).status is Status.ERROR
    service.delete(fresh.id)


def test_an_expired_waiting_job_is_deleted(redis_client: Any, tmp_path: Path) -> None:
    job = submit(image(tmp_path / "a.nii.gz", np.zeros((16, 16, 16), np.int16)), email="mary@example.org")
    over(job.id)
    assert purge_expired() == [job.id]
    assert not (DATA_DIR / "jobs" / job.id).exists()
    assert redis_client.llen("rq:queue:analyses") == 0
    assert not [key for key in redis_client.scan_iter() if job.id in key]


def test_old_incomplete_files_are_deleted(redis_client: Any) -> None:
    old, young = DATA_DIR / "jobs" / "old-and-bare", DATA_DIR / "jobs" / "young-and-bare"
    copy = DATA_DIR / "research" / ".0123.part"
    for folder in (old, young, copy):
        folder.mkdir(parents=True)
    for folder in (old, copy):
        os.utime(folder, (0, 0))
    assert purge_expired() == []
    assert [folder.exists() for folder in (old, young, copy)] == [False, True, False]
    young.rmdir()


def test_a_second_pass_reads_only_new_and_due_jobs(redis_client: Any, tmp_path: Path) -> None:
    content = image(tmp_path / "a.nii.gz", np.zeros((16, 16, 16), np.int16))
    late, soon = submit(content), submit(content)
    due = now() + timedelta(seconds=4)
    set_end(soon.id, due)
    retention, storage = Expiry(), open_backend().storage
    assert retention.expired(storage) == []
    storage.folder(late.id).joinpath("job.json").write_text("not read again")
    new = submit(content)
    over(new.id)
    assert retention.expired(storage) == [new.id]
    time.sleep(max(0.0, (due - now()).total_seconds()) + 0.1)
    assert set(retention.expired(storage)) == {new.id, soon.id}
    set_end(soon.id, now() + timedelta(hours=1))  # as a job does that is started again
    assert retention.expired(storage) == [new.id]
    for job in (late, soon, new):
        service.delete(job.id)


def test_the_expiry_in_the_record_is_used_as_well(redis_client: Any, tmp_path: Path) -> None:
    job = submit(image(tmp_path / "a.nii.gz", np.zeros((16, 16, 16), np.int16)))
    open_backend().store.change(job.id, lambda _: {"expires_at": now() - timedelta(seconds=1)})
    assert purge_expired() == [job.id]


def test_an_expired_folder_without_a_record_is_deleted(redis_client: Any, tmp_path: Path) -> None:
    job = submit(image(tmp_path / "a.nii.gz", np.zeros((16, 16, 16), np.int16)))
    over(job.id)
    redis_client.hdel("jobs", job.id)
    assert purge_expired() == [job.id]
    assert not (DATA_DIR / "jobs" / job.id).exists()


def test_an_expired_record_without_a_folder_is_deleted(redis_client: Any, tmp_path: Path) -> None:
    content = image(tmp_path / "a.nii.gz", np.zeros((16, 16, 16), np.int16))
    old, fresh = submit(content), submit(content)
    for job in (old, fresh):
        service.cancel(job.id)
        shutil.rmtree(DATA_DIR / "jobs" / job.id)
    open_backend().store.change(old.id, lambda _: {"expires_at": now() - timedelta(seconds=1)})
    assert purge_expired() == [old.id]
    assert list(redis_client.hkeys("jobs")) == [fresh.id]


def test_a_folder_without_an_expiry_time_expires_by_age(redis_client: Any) -> None:
    young, old = (DATA_DIR / "jobs" / name / "job.json" for name in ("young", "old"))
    for path in (young, old):
        path.parent.mkdir(parents=True)
        path.write_text("{broken off")
    os.utime(old, (0, 0))
    assert purge_expired() == ["old"]
    assert young.exists()
    assert not old.parent.exists()


def finished(storage: Any, consent: bool) -> JobRecord:
    """A complete job with only a results tree."""
    record = JobRecord(
        id="finished-job",
        input_filename="Mary Doe.nii.gz",
        input_path="scan.nii.gz",
        options={},
        status=Status.COMPLETE,
        retain_for_research=consent,
    )
    files = storage.workspace(record.id, record.attempt).files_dir
    for name in ("segmentation/labels.nrrd", "surfaces/femur.vtp", "qc/overlay.png", "results.csv", "report.html"):
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_text(name)
    return record


def test_without_consent_no_data_is_kept(redis_client: Any) -> None:
    storage = open_backend().storage
    assert keep_for_research(KEEPING, storage, finished(storage, consent=False)) is None
    storage.remove("finished-job")


def test_without_the_operators_setting_no_data_is_kept(redis_client: Any) -> None:
    storage = open_backend().storage
    assert keep_for_research(Settings(), storage, finished(storage, consent=True)) is None
    storage.remove("finished-job")


def test_with_consent_labels_surfaces_and_numbers_are_kept_but_no_picture(redis_client: Any) -> None:
    storage = open_backend().storage
    kept = keep_for_research(KEEPING, storage, finished(storage, consent=True))
    assert kept is not None
    assert keep_for_research(KEEPING, storage, finished(storage, consent=True)) == kept, "once, also if it is repeated"
    found = {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}
    assert found == {"segmentation/labels.nrrd", "surfaces/femur.vtp", "results.csv"}
    assert "finished-job" not in str(kept)
    assert remove_copies(storage, older_than_days=1) == []
    remove_copy_of(storage, "finished-job")
    assert copies(storage) == []
    storage.remove("finished-job")


def test_a_copy_outlives_its_expired_job_until_its_own_expiry(redis_client: Any) -> None:
    storage = open_backend().storage
    kept = keep_for_research(KEEPING, storage, finished(storage, consent=True))
    assert kept is not None
    storage.remove("finished-job")
    assert kept.name in copies(storage)
    old = time.time() - 3 * 86_400
    os.utime(kept, (old, old))
    assert remove_copies(storage, older_than_days=2) == [kept.name]
    assert not kept.exists()


@pytest.mark.slow
def test_an_idle_worker_deletes_expired_jobs(redis_client: Any, tmp_path: Path) -> None:
    job = submit(image(tmp_path / "a.nii.gz", np.zeros((16, 16, 16), np.int16)))
    end = now() + timedelta(seconds=8)
    open_backend().store.change(job.id, lambda _: {"expires_at": end})
    set_end(job.id, end)
    with running([sys.executable, "worker.py"], DATA_DIR / "worker.log") as worker:
        wait_until(lambda: not (DATA_DIR / "jobs" / job.id).exists(), seconds=60, what="the end of an expired job")
        assert now() >= end
        assert worker.poll() is None
