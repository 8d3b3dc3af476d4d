"""The results of a finished analysis: headline figures first, everything else in tabs."""

from __future__ import annotations

import html
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import streamlit as st

from jobs import service
from jobs.errors import ResultNotFound
from jobs.state.model import JobView
from pipeline.quantities import T2, THC
from pipeline.results_tree import PROVENANCE, RESULTS, SHAPE_PARAMETERS, SURFACES_PICTURE, ViewFile
from ui.analysis.downloads import archive_link, show_downloads
from ui.analysis.measurements import read_json, show_measurements, show_t2
from ui.analysis.provenance import show_provenance
from ui.analysis.quality import show_quality
from ui.analysis.shape import show_shapes
from ui.parts import tables, wording
from ui.parts.messages import listed
from ui.viewers.pyvista_view import offer_pyvista
from ui.viewers.scene import show_scene
from ui.viewers.slices import show_slices


def show_results(job: JobView) -> None:
    """Everything about a finished analysis. Raises KneeError if its results no longer exist."""
    folder = service.results_folder(job.id)
    rows = [asdict(row) | {"value": row.value if isfinite(row.value) else None} for row in service.measurements(job.id)]
    document = read_json(RESULTS.at(folder))
    provenance = read_json(PROVENANCE.at(folder))
    _show_head(job, document)
    _show_headlines(rows)
    _show_warnings(job, document)
    _show_model(provenance.get("model") or {})
    titles = ["3D", "Slices", "Measurements", "Quality"]
    titles += [T2.title] if not tables.t2_by_region(rows).empty else []
    shapes = SHAPE_PARAMETERS.found(folder)
    titles += ["Shape"] if shapes else []
    titles += ["Provenance", "Download"]
    tabs = dict(zip(titles, st.tabs(titles), strict=True))
    with tabs["3D"]:
        _show_3d(job, folder, str(document.get("side", "right")))
    with tabs["Slices"]:
        _show_slices(job)
    with tabs["Measurements"]:
        show_measurements(job.id, rows)
    with tabs["Quality"]:
        show_quality(job, document, folder)
    if T2.title in tabs:
        with tabs[T2.title]:
            show_t2(rows)
    if "Shape" in tabs:
        with tabs["Shape"]:
            show_shapes([read_json(path) for path in reversed(shapes)])
    with tabs["Provenance"]:
        show_provenance(provenance, job)
    with tabs["Download"]:
        show_downloads(job, folder)


def _show_head(job: JobView, document: dict[str, Any]) -> None:
    facts = [f"{document['side'].capitalize()} knee"] if document.get("side") else []
    if job.started_at and job.completed_at:
        facts.append(f"measured in {wording.duration((job.completed_at - job.started_at).total_seconds())}")
    if left := wording.time_left(job.expires_at, datetime.now(UTC)):
        facts.append(f"deleted {left}")
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(f'<p class="ok-quiet">{" · ".join(facts)}</p>', width="content")
        st.html(archive_link(job), width="content")


def _show_headlines(rows: tables.Rows) -> None:
    figures = st.container(horizontal=True, key="figures")
    for title, value in tables.headline_thickness(rows):
        shown = "not measured" if value is None else f"{THC.format(value)} {THC.unit.symbol}"
        figures.metric(title, shown, border=True, help=f"{THC.title}. {THC.definition}")


def _show_warnings(job: JobView, document: dict[str, Any]) -> None:
    flags = [str(flag["message"]) for flag in document.get("flags", [])]
    notes = list(dict.fromkeys([*flags, *job.warnings]))
    if not notes:
        return
    title = "One point to check" if len(notes) == 1 else f"{len(notes)} points to check"
    st.warning(f"**{title}**\n\n{listed(notes)}", icon=":material/flag:")


def _show_model(model: dict[str, Any]) -> None:
    """The model that made the outlines and its known errors, next to the figures."""
    parts = ["Mean cartilage thickness of each plate."]
    parts += [f"Outlines: {model['title']}."] if model.get("title") else []
    parts += [f"{model['caution'].rstrip('.')}."] if model.get("caution") else []
    st.html(f'<p class="ok-quiet">{html.escape(" ".join(parts))}</p>')


def _show_3d(job: JobView, folder: Path, side: str) -> None:
    if not _has_view(job.id, ViewFile.SCENE):
        st.info("This analysis has no surfaces to show.", icon=":material/view_in_ar:")
        return
    show_scene(f"/api/jobs/{job.id}/view/{ViewFile.SCENE}", f"scene-{job.id}", fallback=SURFACES_PICTURE.at(folder))
    offer_pyvista(folder, side, key=f"pyvista-{job.id}")


def _show_slices(job: JobView) -> None:
    if not _has_view(job.id, ViewFile.SLICES):
        st.info("This analysis has no slices to show.", icon=":material/layers:")
        return
    show_slices(f"/api/jobs/{job.id}/view", f"slices-{job.id}")


def _has_view(job_id: str, name: str) -> bool:
    try:
        service.view_file(job_id, name)
    except ResultNotFound:
        return False
    return True
