"""The line above a running job's steps."""

from __future__ import annotations

from jobs.state.model import JobView, Status
from ui.analysis.progress import running_text


def test_a_job_just_taken_counts_no_steps() -> None:
    job = JobView(id="1", input_filename="knee.nii.gz", status=Status.PROCESSING, step_name="Starting")
    assert running_text(job) == "0 %  ·  Starting"


def test_a_running_job_shows_step_number_total_and_time() -> None:
    job = JobView(
        id="1",
        input_filename="knee.nii.gz",
        status=Status.PROCESSING,
        progress_percent=4,
        step_name="Fit T2",
        current_step=6,
        total_steps=10,
        estimated_remaining_seconds=59,
    )
    assert running_text(job) == "4 %  ·  step 6 of 10: Fit T2  ·  about 59 s left"
