"""The numbers of an analysis: charts, tables that can be sorted and filtered, and what each quantity means."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import streamlit as st

from jobs import service
from jobs.errors import ResultNotFound
from pipeline.anatomy import FEMORAL_PLATE
from ui.parts import charts, tables, wording

_NUMBER = st.column_config.NumberColumn


def show_measurements(job_id: str, rows: tables.Rows) -> None:
    """Thickness by region as chart and table, its spread, medial against lateral, and every row."""
    bars = charts.thickness_bars(rows)
    if bars is None:
        st.info("No cartilage was found to measure.", icon=":material/info:")
    else:
        left, right = st.columns([1, 1.35], gap="small")
        with left:
            st.subheader("Thickness by region")
            st.plotly_chart(bars, config=charts.CONFIG, key="bars")
            _caption("Bars: mean; whiskers: standard deviation over the region's area.")
        with right:
            st.subheader("In numbers")
            _show_region_table(rows)
        left, right = st.columns([1.15, 1], gap="medium")
        with left:
            _show_distributions(job_id)
        with right:
            if (pairs := charts.medial_lateral(rows)) is not None:
                st.subheader("Medial against lateral")
                st.plotly_chart(pairs, config=charts.CONFIG, key="pairs")
                _caption(_ratio_sentence(rows))
    _show_rows(rows)


def _show_region_table(rows: tables.Rows) -> None:
    st.dataframe(
        tables.thickness_by_region(rows),
        hide_index=True,
        height="content",
        alt="Cartilage thickness by region",
        column_config={
            "Region": st.column_config.TextColumn(width=188),
            "Mean": _NUMBER("ThC (mm)", format="%.2f", width=74, help=wording.DEFINITIONS["ThC"]),
            "SD": _NUMBER("SD", format="%.2f", width=46, help="Spread of the thickness over the region, mm."),
            "Over all bone": _NUMBER("ThCtAB (mm)", format="%.2f", width=94, help=wording.DEFINITIONS["ThCtAB"]),
            "Bone area": _NUMBER("tAB (mm²)", format="%.0f", width=78, help=wording.DEFINITIONS["tAB"]),
            "Denuded": _NUMBER("dAB (%)", format="%.1f", width=64, help=wording.DEFINITIONS["dAB"]),
        },
    )
    _caption('Weighted by area, estimator "union": from the bone surface to the outer cartilage surface.')
    with st.popover("What do these mean?", icon=":material/help:", type="tertiary"):
        for key, text in wording.DEFINITIONS.items():
            st.markdown(f"**{wording.QUANTITIES[key]}**  \n{text}")


def _show_distributions(job_id: str) -> None:
    document = _document(job_id)
    keys = charts.region_keys(document)
    if not keys:
        return
    st.subheader("How thickness is spread")
    chosen = st.pills(
        "Regions",
        keys,
        default=[key for key in keys if key.startswith(FEMORAL_PLATE)][1:3] or keys[:2],
        selection_mode="multi",
        format_func=lambda key: tables.region_title(*key.split("/")),
        label_visibility="collapsed",
    )
    if (figure := charts.distributions(document, chosen)) is not None:
        st.plotly_chart(figure, config=charts.CONFIG, key="spread")
    else:
        _caption("Choose a region.")


def _document(job_id: str) -> dict[str, Any]:
    try:
        path = service.view_file(job_id, "distributions.json")
    except ResultNotFound:
        return {}
    document: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return document


def _ratio_sentence(rows: tables.Rows) -> str:
    medial, lateral = (
        tables.value_of(rows, "ThC", tables.PRIMARY_METHOD, "tibial_cartilage", side, "mean")
        for side in ("medial", "lateral")
    )
    if not medial or not lateral:
        return "Mean thickness of the two compartments."
    return f"Tibia: medial is {medial / lateral:.2f} times lateral ({medial - lateral:+.2f} mm)."


def _show_rows(rows: tables.Rows) -> None:
    st.subheader("Every measurement")
    frame = tables.tidy(rows)
    kinds = sorted(frame["quantity"].unique())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        quantities = st.multiselect("Quantity", kinds, placeholder="All", width=260)
        places = st.multiselect(
            "Structure", sorted(frame["structure"].unique()), placeholder="All", width=260, format_func=wording.name
        )
        methods = st.multiselect("Method", sorted(frame["method"].unique()), placeholder="All", width=220)
    for column, chosen in (("quantity", quantities), ("structure", places), ("method", methods)):
        if chosen:
            frame = frame[frame[column].isin(chosen)]
    st.dataframe(
        tables.readable(frame),
        hide_index=True,
        height=min(420, 40 + 35 * max(1, len(frame))),
        alt="All measurements",
        column_config={
            "Structure": st.column_config.TextColumn(width=170),
            "Region": st.column_config.TextColumn(width=170),
            "Value": _NUMBER(format="%.4g", width=90),
            "Unit": st.column_config.TextColumn(width=60),
            "n": _NUMBER(format="%d", width=80, help="Surface points or voxels."),
        },
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Download these rows as CSV",
            data=lambda: frame.to_csv(index=False).encode(),
            file_name="measurements.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        _caption(f"{len(frame)} of {len(rows)} rows. Click a column's head to sort.")


def show_t2(rows: tables.Rows) -> None:
    """T2 by region and layer."""
    figure = charts.t2_bars(rows)
    if figure is None:
        st.info("No T2 in any region: the fit left no voxel.", icon=":material/info:")
        return
    left, right = st.columns([1.15, 1], gap="large")
    with left:
        st.subheader("T2 by layer")
        st.plotly_chart(figure, config=charts.CONFIG, key="t2")
    with right:
        st.subheader("In numbers")
        layers = {
            "Deep": "Median of the half of the cartilage at the bone.",
            "Superficial": "Median of the half of the cartilage at the joint.",
        }
        columns = {title: _NUMBER(format="%.1f", help=layers.get(title)) for title in tables.T2_COLUMNS}
        st.dataframe(
            tables.t2_by_region(rows),
            hide_index=True,
            height="content",
            alt="T2 by region",
            column_config=columns | {"Region": st.column_config.TextColumn(width=190)},
        )
    _caption("In ms, over the voxels of each region. The map is an overlay of the slices and a colour of the surfaces.")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty where there is no such file."""
    if not path.exists():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    return data if isinstance(data, dict) else {}


def _caption(text: str) -> None:
    st.html(f'<p class="ok-quiet">{text}</p>')
