"""The results of a finished analysis, from its folder and its tidy rows."""

from __future__ import annotations

import html
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import streamlit as st

from jobs import service
from jobs.model import JobView
from ui import tables, wording
from ui.messages import escape
from ui.progress import steps_list
from ui.provenance import show_provenance
from ui.viewers.pyvista_view import show_pyvista

_NUMBER = st.column_config.NumberColumn


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is no such file."""
    if not path.exists():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    return data if isinstance(data, dict) else {}


def show_results(job: JobView) -> None:
    """Everything about a finished analysis. Raises KneeError where its results are gone."""
    folder = service.results_folder(job.id)
    rows = service.measurements(job.id)
    document = read_json(folder / "results.json")
    _show_head(job, document)
    _show_warnings(job, document)
    _show_headlines(rows)
    _show_model(read_json(folder / "provenance.json").get("model") or {})
    left, right = st.columns([1.1, 1], gap="medium")
    with left:
        st.subheader("Thickness on the bone")
        scene = st.container()
    with right:
        st.subheader("Thickness by region")
        _show_region_table(rows)
        _show_t2(rows)
    _show_overlay(folder / "qc" / "overlay.png")
    _show_details(job, folder, rows)
    with scene:  # last: the export may take seconds, and all the rest stands by then
        show_pyvista(folder / "surfaces", str(document.get("side", "right")), key=f"scene-{job.id}")


def download(job: JobView) -> None:
    """The zip; it is read when the button is pressed, not before."""
    path, file_name = service.archive(job.id)
    st.download_button(
        f"Download results ({wording.size(path.stat().st_size)})",
        data=path.read_bytes,
        file_name=file_name,
        mime="application/zip",
        icon=":material/download:",
        type="primary",
        on_click="ignore",
    )


def _show_head(job: JobView, document: dict[str, Any]) -> None:
    facts = [f"{document['side'].capitalize()} knee"] if document.get("side") else []
    if job.started_at and job.completed_at:
        facts.append(f"measured in {wording.duration((job.completed_at - job.started_at).total_seconds())}")
    if left := wording.time_left(job.expires_at, datetime.now(UTC)):
        facts.append(f"deleted {left}")
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.html(f'<p class="ok-quiet">{" · ".join(facts)}</p>', width="content")
        download(job)


def _show_warnings(job: JobView, document: dict[str, Any]) -> None:
    flags = [str(flag["message"]) for flag in document.get("flags", [])]
    notes = list(dict.fromkeys([*flags, *job.warnings]))
    if not notes:
        st.success("No quality flags were raised. Look at the outlines below all the same.", icon=":material/check:")
        return
    title = "One point to look at" if len(notes) == 1 else f"{len(notes)} points to look at"
    lines = "\n".join(f"- {escape(note)}" for note in notes)
    st.warning(f"**{title}**\n\n{lines}", icon=":material/flag:")


def _show_headlines(rows: tables.Rows) -> None:
    st.subheader("Mean cartilage thickness")
    figures = st.container(horizontal=True, key="figures")
    for title, value in tables.headline_thickness(rows):
        shown = "not measured" if value is None else f"{value:.2f} mm"
        figures.metric(title, shown, border=True, help=f"Mean cartilage thickness (ThC). {wording.DEFINITIONS['ThC']}")


def _show_model(model: dict[str, Any]) -> None:
    """Who drew the outlines, and what is known to be wrong with them: beside the numbers, not behind a fold."""
    parts = [f"Outlines: {model['title']}."] if model.get("title") else []
    parts += [f"{model['caution'].rstrip('.')}."] if model.get("caution") else []
    if parts:
        st.html(f'<p class="ok-quiet">{html.escape(" ".join(parts))}</p>')


def _show_region_table(rows: tables.Rows) -> None:
    frame = tables.thickness_by_region(rows)
    if frame.empty:
        st.info("No cartilage was found to measure.", icon=":material/info:")
        return
    low, high = 0.0, 5.0
    st.dataframe(
        frame,
        hide_index=True,
        height="content",
        alt="Cartilage thickness by region",
        column_config={
            "Mean": st.column_config.ProgressColumn(
                "Mean (mm)", min_value=low, max_value=high, format="%.2f", width=120, help=wording.DEFINITIONS["ThC"]
            ),
            "Region": st.column_config.TextColumn(width=190),
            "SD": _NUMBER("SD", format="%.2f", width=52, help="Spread of the thickness over the region, mm."),
            "Denuded": _NUMBER("Denuded (%)", format="%.1f", width=90, help=wording.DEFINITIONS["dAB"]),
        },
    )
    st.html(
        '<p class="ok-quiet">Mean and SD in mm, weighted by area, estimator "union" (bone surface to the outer '
        "cartilage surface). The bar runs from 0 to 5 mm.</p>"
    )


def _show_t2(rows: tables.Rows) -> None:
    frame = tables.t2_by_region(rows)
    if frame.empty:
        return
    st.subheader("T2 by region")
    layers = {
        "Deep": "Median of the half of the cartilage at the bone.",
        "Superficial": "Median of the half of the cartilage at the joint.",
    }
    columns = {title: _NUMBER(format="%.1f", help=layers.get(title)) for title in tables.T2_COLUMNS}
    st.dataframe(
        frame,
        hide_index=True,
        height="content",
        alt="T2 by region",
        column_config=columns | {"Region": st.column_config.TextColumn(width=190)},
    )
    st.html(
        '<p class="ok-quiet">In ms, over the voxels of each region; deep and superficial: median of each layer.</p>'
    )


def _show_overlay(path: Path) -> None:
    if not path.exists():
        return
    st.subheader("Check the outlines")
    st.image(str(path), width="stretch", alt="Slices of the scan with the outlines of bones and cartilage")


def _show_details(job: JobView, folder: Path, rows: tables.Rows) -> None:
    st.subheader("In detail")
    with st.expander(f"All measurements ({len(rows)} rows)"):
        frame = tables.tidy(rows)
        st.dataframe(frame, hide_index=True, height=360, alt="All measurements")
        st.download_button(
            "Download as CSV",
            data=(folder / "results.csv").read_bytes,
            file_name="results.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    with st.expander("Steps and times"):
        st.html(steps_list(job))
    with st.expander("How these numbers were made"):
        show_provenance(read_json(folder / "provenance.json"))
