"""The results of a finished analysis: headline figures first, everything else in tabs."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import streamlit as st

from jobs import service
from jobs.errors import ResultNotFound
from jobs.state.model import JobView
from pipeline.anatomy import TABLE_ORDER, Region, Structure
from pipeline.quantities import THC, Quantity
from pipeline.relaxation import RELAXATIONS
from pipeline.results_tree import PROVENANCE, RESULTS, SHAPE_PARAMETERS, SURFACES_PICTURE, ViewFile
from pipeline.segmentation.identity import ModelIdentity
from pipeline.uses import Uses
from pipeline.validation.words import main_figures
from ui.analysis.correct_elsewhere import offer_other_program
from ui.analysis.downloads import archive_link, show_downloads
from ui.analysis.measurements import read_json, show_measurements
from ui.analysis.provenance import show_provenance
from ui.analysis.quality import show_quality
from ui.analysis.relaxation import show_relaxation
from ui.analysis.shape import show_shapes
from ui.analysis.versions import open_version, show_changes, show_versions
from ui.parts import tables, wording
from ui.parts.addresses import EDIT, address
from ui.parts.messages import escape, listed
from ui.parts.usable import excluded_figure, show_note, uses_of
from ui.viewers.pyvista_view import offer_pyvista
from ui.viewers.scene import show_scene
from ui.viewers.slices import Editing, show_slices

Figures = list[tuple[str, Region, float | None]]
"""Headline figures: title, region, value."""


def show_results(job: JobView) -> None:
    """Everything about a finished analysis. Raises KneeError if its results no longer exist."""
    folder = service.results_folder(job.id)
    rows = [asdict(row) | {"value": row.value if isfinite(row.value) else None} for row in service.measurements(job.id)]
    document = read_json(RESULTS.at(folder))
    uses = uses_of(document)
    provenance = read_json(PROVENANCE.at(folder))
    _show_head(job, document)
    versions = service.versions(job.id)
    mine = service.may_change_job(job.id)
    show_versions(job, versions, mine=mine)
    show_headlines(rows, uses)
    _show_warnings(job, uses)
    _show_model(provenance.get("model") or {})
    _show_validations(provenance)
    show_changes(job, rows, uses, versions)
    newest = max(version.version for version in versions)
    titles = ["3D", "Slices", "Measurements", "Quality"]
    measured = {known.title: known for known in RELAXATIONS if not tables.relaxation_by_region(rows, known).empty}
    titles += measured
    shapes = SHAPE_PARAMETERS.found(folder)
    titles += ["Shape"] if shapes else []
    titles += ["Provenance", "Download"]
    begin = mine and EDIT in st.query_params  # the address names the edit mode, until a version is saved
    tabs = dict(zip(titles, st.tabs(titles, default="Slices" if begin else None), strict=True))
    with tabs["3D"]:
        show_note(uses.ban(THC, TABLE_ORDER))
        _show_3d(job, folder, str(document.get("side", "right")))
    with tabs["Slices"]:
        _show_slices(job, Editing(job=job.id, version=job.version, newest=newest, begin=begin) if mine else None)
    with tabs["Measurements"]:
        show_measurements(job.id, rows, uses, document)
    with tabs["Quality"]:
        show_quality(job, document, uses, folder)
    for title, relaxation in measured.items():
        with tabs[title]:
            show_relaxation(rows, uses, relaxation)
    if "Shape" in tabs:
        with tabs["Shape"]:
            show_shapes([read_json(path) for path in reversed(shapes)])
    with tabs["Provenance"]:
        show_provenance(provenance, job)
    with tabs["Download"]:
        show_downloads(job, folder)
        if mine and (saved := offer_other_program(job, newest)):
            open_version(saved)


def _show_head(job: JobView, document: dict[str, Any]) -> None:
    facts = [f"{document['side'].capitalize()} knee"] if document.get("side") else []
    if job.started_at and job.completed_at:
        facts.append(f"measured in {wording.duration((job.completed_at - job.started_at).total_seconds())}")
    if left := wording.time_left(job.expires_at, datetime.now(UTC)):
        facts.append(f"deleted {left}")
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(f'<p class="ok-quiet">{" · ".join(facts)}</p>', width="content")
        st.html(archive_link(job), width="content")


def show_headlines(rows: tables.Rows, uses: Uses) -> None:
    """Thickness; where none of it may be used but a relaxation time may, that comes first."""
    thickness = tables.headlines(rows, THC)
    usable = any(uses.usable(THC, region) for _, region, value in thickness if value is not None)
    first = () if usable else tuple(_usable_times(rows, uses))
    for quantity, figures in first:
        _show_figures(figures, quantity, uses, prefix=f"{quantity.title}, ")
    _show_figures(thickness, THC, uses, prefix="Thickness, " if first else "")


def _usable_times(rows: tables.Rows, uses: Uses) -> Iterator[tuple[Quantity, Figures]]:
    """The headline figures of each relaxation time of which one may be used."""
    for known in RELAXATIONS:
        figures = tables.headlines(rows, known.whole, None)
        if any(value is not None and uses.usable(known.whole, region) for _, region, value in figures):
            yield known.whole, figures


def _show_figures(figures: Figures, quantity: Quantity, uses: Uses, prefix: str = "") -> None:
    line = st.container(horizontal=True, key=f"figures-{quantity.id}")
    for title, region, value in figures:
        shown = "not measured" if value is None else f"{quantity.format(value)} {quantity.unit.symbol}"
        name = f"{prefix}{title.lower()}" if prefix else title
        if value is not None and not uses.usable(quantity, region):
            line.container(border=True).html(excluded_figure(name, shown, uses.note(quantity, region)))
        else:
            line.metric(name, shown, border=True, help=f"{quantity.title}. {quantity.definition}")
    places = [(quantity.id, region.plate, region.name) for _, region, _ in figures if uses.usable(quantity, region)]
    for note in uses.notes(places):
        show_note(note)


def _show_warnings(job: JobView, uses: Uses) -> None:
    """One short line per cause, the gravest first; the details are folded."""
    notes = list(dict.fromkeys([*uses.summaries(), *job.warnings]))
    if not notes:
        return
    title = "One point to check" if len(notes) == 1 else f"{len(notes)} points to check"
    with st.container(key="flags", gap="small"):
        st.warning(f"**{title}**\n\n{listed(notes)}", icon=":material/flag:")
        if uses.flags:
            with st.expander("Details"):
                for flag in uses.flags:
                    st.markdown(f"**{escape(flag.summary)}** {escape(flag.message)}")


def _show_model(model: dict[str, Any]) -> None:
    """The model that made the outlines and its known errors, next to the figures."""
    parts = ["Mean cartilage thickness of each plate."]
    parts += [f"Outlines: {model['title']}."] if model.get("title") else []
    parts += [f"{model['caution'].rstrip('.')}."] if model.get("caution") else []
    titles = [Structure[key.upper()].title.lower() for key in model.get("experimental", ())]
    parts += [f"Experimental: {', '.join(titles)}."] if titles else []
    st.html(f'<p class="ok-quiet">{html.escape(" ".join(parts))}</p>')


def _show_validations(provenance: dict[str, Any]) -> None:
    """The main figures of the model on labelled sets of this server."""
    identity = (provenance.get("model") or {}).get("identity")
    if not isinstance(identity, dict) or "digests" not in identity:
        return
    for validation in service.validations(ModelIdentity.from_dict(identity), provenance.get("steps") or {}):
        st.html(f'<p class="ok-quiet">{html.escape(main_figures(validation))}</p>')


def _show_3d(job: JobView, folder: Path, side: str) -> None:
    if not _has_view(job.id, ViewFile.SCENE):
        st.info("This analysis has no surfaces to show.", icon=":material/view_in_ar:")
        return
    show_scene(
        address(f"/api/jobs/{job.id}/view/{ViewFile.SCENE}"), f"scene-{job.id}", fallback=SURFACES_PICTURE.at(folder)
    )
    offer_pyvista(folder, side, key=f"pyvista-{job.id}")


def _show_slices(job: JobView, editing: Editing | None) -> None:
    if not _has_view(job.id, ViewFile.SLICES):
        st.info("This analysis has no slices to show.", icon=":material/layers:")
        return
    if saved := show_slices(address(f"/api/jobs/{job.id}/view"), f"slices-{job.id}", editing=editing):
        open_version(saved)


def _has_view(job_id: str, name: str) -> bool:
    try:
        service.view_file(job_id, name)
    except ResultNotFound:
        return False
    return True
