"""From a choice to a queued job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import streamlit as st

from jobs import service
from jobs.intake.form import JobForm
from pipeline.options import AnalysisOptions
from ui.parts import session
from ui.parts.frame import open_analysis

SAMPLE: Final = Path(__file__).resolve().parents[2] / "samples" / "sample_knee.nii.gz"
CHUNK_BYTES: Final = 1 << 20


def start_scan(scan: service.PendingScan, options: AnalysisOptions, email: str | None, project: str) -> None:
    """Queue the analysis of an uploaded scan and open its page. Raises KneeError.

    project: id of the one that it belongs to; empty for who starts it
    """
    job = service.submit_scan(scan.id, JobForm(options=options, email=email))
    session.remember(job.id)  # also if it cannot be given to the project
    if project:
        service.move_job(job.id, project)
    open_analysis(job.id)


def start_sample(options: AnalysisOptions) -> None:
    """The same for the sample knee that comes with the product. Raises KneeError."""
    with SAMPLE.open("rb") as stream, st.spinner("Preparing the sample knee"):
        job = service.submit_stream(_chunks(stream), SAMPLE.name, options)
    session.remember(job.id)
    open_analysis(job.id)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while block := stream.read(CHUNK_BYTES):
        yield block
