"""From the form to a queued job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import streamlit as st

from jobs import service
from pipeline.errors import KneeError
from pipeline.options import AnalysisOptions
from ui import session
from ui.frame import open_analysis
from ui.messages import show_error

SAMPLE: Final = Path(__file__).resolve().parent.parent / "samples" / "sample_knee.nii.gz"
CHUNK_BYTES: Final = 1 << 20


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """The stream's bytes, a mebibyte at a time."""
    while block := stream.read(CHUNK_BYTES):
        yield block


def submit(stream: BinaryIO, filename: str, options: AnalysisOptions, email: str | None) -> None:
    """Queue the analysis and go to its page; a refusal is shown where the form is."""
    try:
        with st.spinner("Checking the scan"):
            job = service.submit_stream(chunks(stream), filename, options, email)
    except KneeError as error:
        show_error(error)
        return
    session.remember(job.id)
    open_analysis(job.id)


def submit_sample(options: AnalysisOptions, email: str | None) -> None:
    """The same for the sample knee that comes with the product."""
    with SAMPLE.open("rb") as stream:
        submit(stream, SAMPLE.name, options, email)
