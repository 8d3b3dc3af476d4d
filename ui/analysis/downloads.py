"""The downloads of an analysis: the zip, and each file in it, as links to the REST interface."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

import streamlit as st

from jobs.state.model import JobView
from pipeline.results_tree import ARTIFACTS
from ui.parts import wording
from ui.parts.addresses import address


def archive_link(job: JobView) -> str:
    """The zip as a link that looks like the button it is."""
    size = wording.size(job.result_size_bytes)
    href = address(f"/api/download/{quote(job.id)}")
    return f'<a class="ok-button" href="{href}" download>Download results ({size})</a>'


def show_downloads(job: JobView, folder: Path) -> None:
    """The zip, then every file with its size. `folder` is the unpacked results."""
    st.html(archive_link(job))
    kept = f" Everything is deleted {escape(left)}." if (left := _left(job)) else ""
    st.html(f'<p class="ok-quiet">The zip holds every file below. Coordinates are LPS, in mm.{kept}</p>')
    for artifact in ARTIFACTS:
        lines = "".join(_line(job, folder, path) for path in artifact.found(folder))
        if lines:
            title = escape(artifact.meaning[:1].upper() + artifact.meaning[1:])
            st.html(f'<section class="ok-files"><h3>{title}</h3><ul>{lines}</ul></section>')


def _left(job: JobView) -> str:
    return wording.time_left(job.expires_at, datetime.now(UTC))


def _line(job: JobView, folder: Path, path: Path) -> str:
    name = path.relative_to(folder).as_posix()
    href = address(f"/api/jobs/{quote(job.id)}/artifacts/{quote(name)}")
    size = wording.size(path.stat().st_size)
    return f'<li><a href="{href}" download="{escape(path.name)}">{escape(name)}</a><span>{size}</span></li>'
