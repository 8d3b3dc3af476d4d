"""Content of an upload before its analysis: facts, what can be measured, and problems."""

from __future__ import annotations

from html import escape as html_escape
from typing import Any

import streamlit as st

from jobs import service
from pipeline.acquisition import PulseSequence
from pipeline.errors import KneeError
from pipeline.quality import COARSE_MM
from pipeline.types import ScanFacts
from ui.parts import wording
from ui.parts.messages import listed, show_error


def show_preflight(scan: service.PendingScan) -> service.PendingScan | None:
    """The card of an upload. -> the scan to analyse; None while a series must be chosen or cannot be read"""
    with st.container(border=True, key="preflight"):
        st.html(
            f'<p class="ok-found">{html_escape(scan.filename)}'
            f'<span class="ok-quiet"> {wording.size(scan.size_bytes)}</span></p>'
        )
        if scan.choices:
            chosen = _choose(scan)
            if chosen is None:
                return None
            scan = chosen
        if scan.facts is None:
            return None
        st.html(facts_grid(scan.facts))
        _show_outlook(scan.facts)
    return scan


def facts_grid(facts: ScanFacts) -> str:
    """Facts from the header as an HTML list."""
    z, y, x = facts.shape
    dz, dy, dx = facts.spacing_mm
    times = ", ".join(f"{time:.4g}" for time in facts.echo_times_ms)
    rows = (
        ("Sequence", facts.sequence.words),
        ("Matrix", f"{z} × {y} × {x} voxels, {facts.plane}"),
        ("Spacing", f"{dz:.3g} × {dy:.3g} × {dx:.3g} mm"),
        ("Echoes", f"{facts.echoes}" + (f" ({times} ms)" if times else "")),
        ("Side", facts.side.capitalize() if facts.side else "not in the header; found from the shape of the bones"),
    )
    lines = "".join(f"<dt>{name}</dt><dd>{html_escape(value)}</dd>" for name, value in rows)
    return f'<dl class="ok-facts">{lines}</dl>'


def problems(facts: ScanFacts) -> list[str]:
    """Reasons to distrust the coming results, as far as the header shows."""
    found = list(facts.warnings)
    widest = max(facts.spacing_mm)
    if widest > COARSE_MM:
        found.append(
            f"Voxels are {widest:.3g} mm long. Above {COARSE_MM:g} mm, thickness and T2 of thin cartilage are "
            "uncertain."
        )
    if facts.sequence is PulseSequence.GRADIENT_ECHO:
        found.append("The networks were not trained for gradient echoes other than DESS: check the outlines.")
    return found


def _show_outlook(facts: ScanFacts) -> None:
    can = "Surfaces and cartilage thickness" if facts.t2_unavailable else "Surfaces, cartilage thickness and T2"
    missing = f" T2 cannot: {facts.t2_unavailable}." if facts.t2_unavailable else ""
    st.html(f'<p class="ok-outlook"><strong>{can} can be measured.</strong>{html_escape(missing)}</p>')
    if notes := problems(facts):
        st.warning(listed(notes), icon=":material/flag:")


def _choose(scan: service.PendingScan) -> service.PendingScan | None:
    """Let the user choose one of several series, and read it."""
    texts = {str(item["series"]): _describe(item) for item in scan.choices}
    names = list(texts)
    picked = st.radio(
        f"This upload holds {len(names)} usable series. Choose one.",
        names,
        index=names.index(scan.series) if scan.series in names else None,
        format_func=lambda name: texts[name],
    )
    if picked is None:
        return None
    try:
        with st.spinner("Reading the series"):
            return service.choose_series(scan.id, picked)
    except KneeError as error:
        show_error(error)
        return None


def _describe(item: dict[str, Any]) -> str:
    echoes = f", {item['echoes']} echoes" if item["echoes"] > 1 else ""
    size = f"{item['slices']} slices of {item['rows']} × {item['columns']}"
    return f"Series {item['series']}: {size}, {item['plane']}{echoes}"
