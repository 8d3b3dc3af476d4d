"""What can be taken home: the zip, and each file of it. A browser asks the REST interface; nothing is read here."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

import streamlit as st

from jobs.state.model import JobView
from ui.parts import wording

CONTENTS: Final = {
    "results.csv": "Every measurement, one row each",
    "results.json": "The same with warnings, flags, steps and options",
    "report.html": "One self-contained page to keep or print",
    "provenance.json": "How it was made: input, model, options, versions, time",
    "README.txt": "What each file is, and the coordinate system",
    "segmentation": "Label maps and their colour tables",
    "surfaces": "Bone surfaces with thickness and region at each point",
    "t2": "T2 map and its summary",
    "shape": "Shape fit",
    "qc": "Pictures for checking",
    "openmsk": "Thickness under the names that OpenMSK's scripts read",
}
"""Top of the results tree -> what it is."""


def archive_link(job: JobView) -> str:
    """The zip as a link that looks like the button it is."""
    size = wording.size(job.result_size_bytes)
    return f'<a class="ok-button" href="/api/download/{quote(job.id)}" download>Download results ({size})</a>'


def show_downloads(job: JobView, folder: Path) -> None:
    """The zip, then every file with its size. `folder` is the unpacked results."""
    st.html(archive_link(job))
    kept = f" Everything is deleted {escape(left)}." if (left := _left(job)) else ""
    st.html(f'<p class="ok-quiet">The zip holds all that follows. Coordinates are LPS, in mm.{kept}</p>')
    for name, text in CONTENTS.items():
        files = _files(folder, name)
        if not files:
            continue
        lines = "".join(_line(job, folder, path) for path in files)
        st.html(f'<section class="ok-files"><h3>{escape(text)}</h3><ul>{lines}</ul></section>')


def _left(job: JobView) -> str:
    return wording.time_left(job.expires_at, datetime.now(UTC))


def _files(folder: Path, name: str) -> list[Path]:
    path = folder / name
    if path.is_file():
        return [path]
    return sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else []


def _line(job: JobView, folder: Path, path: Path) -> str:
    name = path.relative_to(folder).as_posix()
    address = f"/api/jobs/{quote(job.id)}/artifacts/{quote(name)}"
    size = wording.size(path.stat().st_size)
    return f'<li><a href="{address}" download="{escape(path.name)}">{escape(name)}</a><span>{size}</span></li>'
