"""What comparisons of two analyses and series of visits both show: the analyses, their flags, and their regions."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape as html_escape
from typing import Final
from urllib.parse import quote

import streamlit as st

from jobs import service
from jobs.state.model import JobView
from pipeline.anatomy import PLACES, SCHEMES, Scheme
from pipeline.quantities import Quantity
from pipeline.uses import Uses
from ui.parts import tables, wording
from ui.parts.addresses import address
from ui.parts.messages import escape

BRIEF: Final = {place.short: place.brief for place in PLACES.values()}
"""Long names of subregions are cut alike."""


def show_analysis(title: str, job: JobView, facts: service.ComparedAnalysis) -> None:
    """Name, link and facts of one analysis. title: its place in the comparison."""
    st.html(f'{_named(title, job)}<dl class="ok-facts">{_facts(job, facts)}</dl>')


def show_name(title: str, job: JobView) -> None:
    """Name and link of one analysis. title: its place in the comparison."""
    st.html(_named(title, job))


def _named(title: str, job: JobView) -> str:
    link = address(f"/analysis?job={quote(job.id)}")
    return (
        f'<p class="ok-quiet">{title}</p><p class="ok-name"><a href="{link}" target="_self">'
        f"{html_escape(wording.analysis_name(job.input_filename, job.version))}</a></p>"
    )


def _facts(job: JobView, facts: service.ComparedAnalysis) -> str:
    lines = {
        "Scanned knee": facts.side.capitalize(),
        "Analysed": wording.date(job.completed_at),
        "Outlines": outlines(str(facts.model.get("id", "not known"))),
        "Voxels": " × ".join(f"{value:.2f}" for value in facts.spacing_mm) + " mm",
    }
    return "".join(f"<dt>{name}</dt><dd>{html_escape(str(value))}</dd>" for name, value in lines.items())


def outlines(model_id: str) -> str:
    """Who made the outlines: the title of a model, or the user."""
    if model_id.startswith("given:"):
        return "Label map given by the user"
    return next((model.card.title for model in service.models() if model.card.id == model_id), model_id)


def show_warnings(warnings: Sequence[str], names: Sequence[str], uses: Sequence[Uses]) -> None:
    """The flags of each analysis, the gravest first, then what differs between them. names: of the analyses."""
    each = zip(names, uses, strict=True)
    notes = [f"{name}, {text[:1].lower()}{text[1:]}" for name, one in each for text in one.summaries()]
    notes += warnings
    if notes:
        lines = "\n".join(f"- {escape(text)}" for text in notes)
        st.warning(f"**Before you read the numbers**\n\n{lines}", icon=":material/flag:")


def schemes_of(rows: tables.Rows) -> list[Scheme]:
    """The schemes of which there is a region that only they have."""
    places = {(row["structure"], row["region"]) for row in rows}
    return [scheme for scheme in SCHEMES if any((str(r.plate), r.name) in places for r in scheme.regions)]


def rows_of(rows: tables.Rows, quantity: Quantity) -> tables.Rows:
    """The rows of one quantity."""
    return [row for row in rows if row["quantity"] == quantity.id]


def caption(text: str) -> None:
    """A quiet line of text."""
    st.html(f'<p class="ok-quiet">{html_escape(text)}</p>')
