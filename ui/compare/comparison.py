"""Two analyses side by side: difference on the bone and by region, and its uncertainty."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final
from urllib.parse import quote

import streamlit as st

from jobs import service
from pipeline.anatomy import TABLE_ORDER
from pipeline.flags import Use
from pipeline.quantities import THC_MATCHED, Quantity
from pipeline.results_tree import ViewFile
from pipeline.uses import Uses
from ui.compare.analyses import BRIEF, caption, rows_of, schemes_of, show_analysis, show_warnings
from ui.compare.change_charts import change_bars
from ui.compare.ordered import show_ordered
from ui.parts import tables, wording
from ui.parts.addresses import address
from ui.parts.charts import CONFIG
from ui.parts.messages import escape
from ui.parts.region_choice import choose_scheme
from ui.parts.usable import greyed, show_note, uses_of
from ui.viewers.scene import show_scene

_NUMBER = st.column_config.NumberColumn
SDC: Final = (
    "Smallest detectable change: what repeated scans of an unchanged knee differ by at most, 19 times of 20. "
    "It is larger where bone is denuded."
)
FIT: Final = "Change of the mean if the bones were shifted along their surface by their mean distance."
AREA: Final = "Share of the region's area that carries cartilage in both knees."


def show_comparison(first_id: str, second_id: str) -> None:
    """Everything about a comparison; computed now if it is not stored. Raises KneeError."""
    document = _made(first_id, second_id)
    jobs = service.get(first_id), service.get(second_id)
    word = "Difference" if document.mirrored else "Change"
    for column, title, job, facts in zip(
        st.columns(2), ("First", "Second"), jobs, (document.a, document.b), strict=True
    ):
        with column.container(border=True):
            show_analysis(title, job, facts)
    uses = [uses_of(asdict(facts)) for facts in (document.a, document.b)]
    show_warnings(document.warnings, ("First analysis", "Second analysis"), uses)
    both = Uses(flags=uses[0].flags + uses[1].flags)
    excluded = both.ban(THC_MATCHED, TABLE_ORDER)
    st.subheader(f"{word} on the bone")
    show_note(excluded)
    base = address(f"/api/compare/{quote(first_id)}/{quote(second_id)}")
    show_scene(f"{base}/view/{ViewFile.SCENE}", f"comparison-{first_id}-{second_id}")
    colours = "" if excluded else ": rust is thinner, blue is thicker"
    caption(
        f"Second minus first, on the first knee's bones and their flat maps{colours}. "
        "Points without a counterpart under cartilage have the colour of bone."
    )
    _show_regions([asdict(row) for row in document.changes], word, both)
    show_ordered(document.ordered, word)
    _show_worth(document)
    st.html(f'<a class="ok-button" href="{base}/changes.csv" download>Download as CSV</a>')


def _made(first_id: str, second_id: str) -> service.JobComparison:
    """The comparison, with a progress bar while it is computed."""
    place = st.empty()

    def report(share: float, text: str) -> None:
        place.progress(share, text=f"{text} …")

    document = service.comparison(first_id, second_id, report)
    place.empty()
    return document


@st.fragment
def _show_regions(rows: tables.Rows, word: str, uses: Uses) -> None:
    """Chart and table of one quantity; choosing another one redraws only these two."""
    st.subheader(f"{word} by region")
    there = {quantity.id: quantity for quantity in tables.compared(rows)}
    if not there:
        st.info("No cartilage was found that could be compared.", icon=":material/info:")
        return
    chosen = st.segmented_control(
        "Quantity", list(there), default=next(iter(there)), format_func=lambda key: there[key].short, required=True
    )
    quantity = there[str(chosen)]
    if len(schemes := schemes_of(rows_of(rows, quantity))) > 1:
        rows = tables.in_scheme(rows, choose_scheme(schemes, "scheme-change"))
    frame, unit = tables.changes(rows, quantity), quantity.unit.symbol
    frame["Region"] = frame["Region"].replace(BRIEF)
    for note in uses.notes((row["quantity"], row["structure"], row["region"]) for row in rows_of(rows, quantity)):
        show_note(note)
    if (figure := change_bars(frame, unit, word)) is not None:
        st.plotly_chart(figure, config=CONFIG, key=f"bars-{quantity.id}")
    caption(_explained(quantity, known=bool(frame["SDC"].notna().any())))
    digits = f"%.{quantity.digits}f"
    for column, places in (("Change", quantity.digits), ("Percent", 1)):  # a change that rounds to nothing has no sign
        frame[column] = frame[column].astype(float).round(places) + 0.0
    matched, known = quantity is THC_MATCHED, bool(frame["SDC"].notna().any())
    columns = {
        "Region": st.column_config.TextColumn(width=188),
        "First": _NUMBER(f"First ({unit})", format=digits, width=74),
        "Second": _NUMBER(f"Second ({unit})", format=digits, width=86),
        "Change": _NUMBER(f"{word} ({unit})", format=digits, width=92),
        "Percent": _NUMBER("In %", format="%.1f", width=50),
        "SDC": _NUMBER(f"SDC ({unit})", format=digits, width=72, help=SDC) if known else None,
        "Verdict": st.column_config.TextColumn(f"The {word.lower()} is", width=204) if known else None,
        "Registration": _NUMBER("Fit ± (mm)", format="%.3f", width=74, help=FIT) if matched else None,
        "Compared": _NUMBER("Area (%)", format="%.0f", width=62, help=AREA) if matched else None,
        "Use": None if (frame["Use"] == Use.YES).all() else st.column_config.TextColumn(width=64),
    }
    shown = greyed(frame, tables.excluded_lines(frame))
    st.dataframe(shown, hide_index=True, height="content", alt=f"{word} by region", column_config=columns)


def _explained(quantity: Quantity, *, known: bool) -> str:
    band = (
        "The grey band is the smallest detectable change; a bar inside it is within measurement error."
        if known
        else "The smallest detectable change is not known here, so no verdict is given."
    )
    if known and (published := quantity.detectable) is not None:
        band += f" It is {published.percent:g} % of the first value, as published {published.conditions}"
        band += f": {published.source}. This program has not measured it."
    if quantity is THC_MATCHED:
        return f"{quantity.definition} {band}"
    return f"{quantity.title} ({quantity.main}). {quantity.definition} Each knee over its own regions. {band}"


def _show_worth(document: service.JobComparison) -> None:
    st.subheader("Fit of the bones")
    st.markdown(escape(document.registration_note))
    lines = [
        {
            "Bone": wording.name(bone.structure),
            "Mean": bone.mean_mm,
            "95 %": bone.p95_mm,
            "Under cartilage": bone.plate_rms_mm,
            "Shared": bone.overlap_percent,
        }
        for bone in document.registration
    ]
    st.dataframe(
        lines,
        hide_index=True,
        width="content",
        alt="Distances between the registered bones",
        column_config={
            "Mean": _NUMBER("Mean (mm)", format="%.2f", help="Mean distance between the two bones' surfaces."),
            "95 %": _NUMBER("95 % (mm)", format="%.2f", help="95 % of the surface lies closer than this."),
            "Under cartilage": _NUMBER("Under cartilage, rms (mm)", format="%.2f"),
            "Shared": _NUMBER("Shared (%)", format="%.0f", help="Of the bone near the joint."),
        },
    )
