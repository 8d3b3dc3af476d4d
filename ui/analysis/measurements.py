"""The numbers of an analysis: charts, tables that can be sorted and filtered, and what each quantity means."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import streamlit as st

from jobs import service
from jobs.errors import ResultNotFound
from pipeline.anatomy import SCHEMES, TABLE_ORDER, TIBIA_LATERAL, TIBIA_MEDIAL, Scheme
from pipeline.flags import Use
from pipeline.quantities import (
    DAB,
    DISTRIBUTION,
    PRIMARY,
    QUANTITIES,
    TAB,
    THC,
    THC_TAB,
    THICKNESSES,
    Quantity,
    Statistic,
)
from pipeline.results_tree import ViewFile
from pipeline.uses import Uses
from ui.analysis.reference_values import show_reference_values
from ui.parts import charts, tables, wording
from ui.parts.region_choice import choose_scheme
from ui.parts.usable import greyed, show_note

if TYPE_CHECKING:
    from streamlit.elements.lib.column_types import ColumnConfig

_NUMBER = st.column_config.NumberColumn

CSV_STYLES: Final = {
    "1.5 separated by commas": (",", "."),
    "1,5 separated by semicolons": (";", ","),
    "1,5 separated by tabs": ("\t", ","),
    "1.5 separated by semicolons": (";", "."),
    "1.5 separated by tabs": ("\t", "."),
}
"""Choice -> separator and decimal mark, for spreadsheets in every language."""


def show_measurements(job_id: str, rows: tables.Rows, uses: Uses, document: Mapping[str, object]) -> None:
    """Thickness by region as chart and table, its spread, medial against lateral, and every row.

    document: the content of results.json
    """
    schemes, ban, shown = tables.schemes_in(rows, SCHEMES), uses.ban(THC, TABLE_ORDER), rows
    if not schemes:
        st.info("No cartilage was found to measure.", icon=":material/info:")
    else:
        scheme = choose_scheme(schemes, "scheme-thickness")
        left, right = st.columns([1, 1.35], gap="small")
        with left:
            st.subheader("Thickness by region")
            show_note(ban)
            if (bars := charts.thickness_bars(rows, scheme)) is not None:
                st.plotly_chart(bars, config=charts.CONFIG, key="bars")
            caption(_whiskers(rows))
        with right:
            st.subheader("Table")
            _show_region_table(rows, uses, scheme)
        _show_distribution_table(rows, uses, scheme)
        show_reference_values(rows, document)
        left, right = st.columns([1.15, 1], gap="medium")
        with left:
            _show_distributions(job_id, rows, ban)
        with right:
            if (pairs := charts.medial_lateral(rows)) is not None:
                st.subheader("Medial against lateral")
                show_note(ban)
                st.plotly_chart(pairs, config=charts.CONFIG, key="pairs")
                caption("Mean thickness of the two compartments." if ban else _ratio_sentence(rows))
        shown = tables.in_scheme(rows, scheme)
    _show_others(shown, uses)
    _show_rows(rows)


def _whiskers(rows: tables.Rows) -> str:
    text = "Bars: mean; whiskers: standard deviation over the region's area."
    if any(row["statistic"] == Statistic.UNCERTAINTY for row in rows):
        text += " Violet: uncertainty of the mean; 95 % of repeated simulated scans of a knee have a mean within it."
    return text


def _show_distribution_table(rows: tables.Rows, uses: Uses, scheme: Scheme) -> None:
    """How cartilage is distributed over each region."""
    frame = tables.distribution_by_region(rows, scheme)
    if frame.empty:
        return
    with st.expander("Distribution over each region"):
        for note in uses.notes((what.id, place.plate, place.name) for what in DISTRIBUTION for place in scheme.shown):
            show_note(note)
        columns = {name: _number(what) for name, (what, _) in tables.DISTRIBUTION_COLUMNS.items()}
        st.dataframe(
            greyed(frame, tables.excluded(rows, frame, tables.DISTRIBUTION_COLUMNS)),
            hide_index=True,
            height="content",
            alt="Distribution of cartilage by region",
            column_config=columns | {"Use": use_column(frame)},
        )


def _show_region_table(rows: tables.Rows, uses: Uses, scheme: Scheme) -> None:
    frame = tables.thickness_by_region(rows, scheme)
    for note in uses.notes((what.id, place.plate, place.name) for what in THICKNESSES for place in scheme.shown):
        show_note(note)
    st.dataframe(
        greyed(frame, tables.excluded(rows, frame, tables.THICKNESS_COLUMNS)),
        hide_index=True,
        height="content",
        alt="Cartilage thickness by region",
        column_config={
            "Region": st.column_config.TextColumn(width=188),
            "Mean": _number(THC, width=74),
            "SD": _NUMBER("SD", format=f"%.{THC.digits}f", width=46, help="Spread of the thickness over the region."),
            "Uncertainty": _NUMBER(
                "± 95 %",
                format=f"%.{THC.digits}f",
                width=62,
                help="Uncertainty of the mean: 95 % of repeated simulated scans of a knee have a mean within it.",
            ),
            "Over all bone": _number(THC_TAB, width=94),
            "Bone area": _number(TAB, width=78),
            "Denuded": _number(DAB, width=64),
            "Use": use_column(frame),
        },
    )
    caption(f'Weighted by area, estimator "{PRIMARY.display_name}". {PRIMARY.definition}')
    with st.popover("What do these mean?", icon=":material/help:", type="tertiary"):
        for quantity in THICKNESSES:
            st.markdown(f"**{quantity.title}**  \n{quantity.definition}")


def _number(quantity: Quantity, *, width: int | None = None) -> Any:
    """A column of this quantity with its unit, digits and definition."""
    return _NUMBER(quantity.column, format=f"%.{quantity.digits}f", width=width, help=quantity.definition)


def use_column(frame: pd.DataFrame) -> ColumnConfig | None:
    """The column `Use`; hidden where every number may be used."""
    widest = max((len(text) for text in frame["Use"]), default=0)
    return None if (frame["Use"] == Use.YES).all() else st.column_config.TextColumn(width=max(64, 16 + 7 * widest))


def _show_distributions(job_id: str, rows: tables.Rows, ban: str) -> None:
    document = _document(job_id)
    regions = charts.regions_in(document)
    if not regions:
        return
    st.subheader("Distribution of thickness")
    show_note(ban)
    chosen = st.pills(
        "Regions",
        regions,
        default=[region for region in regions if region.part and region.compartment][:2] or regions[:2],
        selection_mode="multi",
        format_func=lambda region: region.short,
        label_visibility="collapsed",
    )
    if (figure := charts.distributions(document, chosen, rows)) is not None:
        st.plotly_chart(figure, config=charts.CONFIG, key="spread")
    else:
        caption("Choose a region.")


def _document(job_id: str) -> dict[str, Any]:
    try:
        path = service.view_file(job_id, ViewFile.DISTRIBUTIONS)
    except ResultNotFound:
        return {}
    document: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return document


def _ratio_sentence(rows: tables.Rows) -> str:
    medial, lateral = (tables.value_of(rows, THC, region) for region in (TIBIA_MEDIAL, TIBIA_LATERAL))
    if not medial or not lateral:
        return "Mean thickness of the two compartments."
    return f"Tibia: medial is {medial / lateral:.2f} times lateral ({medial - lateral:+.2f} {THC.unit.symbol})."


def _show_others(rows: tables.Rows, uses: Uses) -> None:
    """Every quantity without a separate table here or in the tab of a relaxation time."""
    found = tables.other_quantities(rows)
    if not found:
        return
    st.subheader("Other measures")
    for column, (quantity, frame) in zip(cycle(st.columns(2, gap="large")), found, strict=False):
        with column:
            st.markdown(f"**{quantity.title}**")
            own = [row for row in rows if row["quantity"] == quantity.id]
            for note in uses.notes((quantity.id, row["structure"], row["region"]) for row in own):
                show_note(note)
            st.dataframe(
                greyed(frame, tables.excluded_lines(frame)),
                hide_index=True,
                height="content",
                alt=quantity.title,
                column_config={
                    name: _NUMBER(f"{name} ({quantity.unit.symbol})", format=f"%.{quantity.digits}f")
                    for name in frame.columns[2:]
                }
                | {"Use": use_column(frame)},
            )
            caption(quantity.definition)


def _show_rows(rows: tables.Rows) -> None:
    st.subheader("Every measurement")
    frame = tables.tidy(rows)
    kinds = [key for key in QUANTITIES if (frame["quantity"] == key).any()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        quantities = st.multiselect(
            "Quantity", kinds, placeholder="All", width=260, format_func=lambda key: QUANTITIES[key].title
        )
        places = st.multiselect(
            "Structure", sorted(frame["structure"].unique()), placeholder="All", width=260, format_func=wording.name
        )
        methods = st.multiselect("Method", sorted(frame["method"].unique()), placeholder="All", width=220)
    for column, chosen in (("quantity", quantities), ("structure", places), ("method", methods)):
        if chosen:
            frame = frame[frame[column].isin(chosen)]
    shown = tables.readable(frame)
    order = list(shown.columns)
    if not (shown["Use"] == Use.YES).all():
        order.insert(0, order.pop(order.index("Use")))
    st.dataframe(
        greyed(shown, tables.excluded_lines(shown)),
        hide_index=True,
        height=min(420, 40 + 35 * max(1, len(frame))),
        alt="All measurements",
        column_order=order,
        column_config={
            "Structure": st.column_config.TextColumn(width=170),
            "Region": st.column_config.TextColumn(width=170),
            "Value": _NUMBER(format="%.4g", width=90),
            "Unit": st.column_config.TextColumn(width=60),
            "n": _NUMBER(format="%d", width=80, help="Surface points or voxels."),
            "Use": st.column_config.TextColumn(width=64),
            "Oai variable": st.column_config.TextColumn(
                "OAI variable",
                width=110,
                help="Name in tables of the Osteoarthritis Initiative, without the visit.",
            ),
            "Flag": st.column_config.TextColumn(width=190, help="The quality flag that decides the use."),
        },
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        style = st.selectbox("Numbers and separator of the CSV", list(CSV_STYLES), width=300)
        separator, decimal = CSV_STYLES[style]
        st.download_button(
            "Download these rows as CSV",
            data=lambda: frame.to_csv(index=False, sep=separator, decimal=decimal).encode(),
            file_name="measurements.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
        caption(f"{len(frame)} of {len(rows)} rows. Click a column header to sort.")


def read_json(path: Path) -> dict[str, Any]:  # Any: the content of a JSON file
    """The object in a file; empty where there is no such file."""
    if not path.exists():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    return data if isinstance(data, dict) else {}


def caption(text: str) -> None:
    """A quiet line of HTML below a chart or table."""
    st.html(f'<p class="ok-quiet">{text}</p>')
