"""Content of an upload before its analysis: facts, what can be measured, and problems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape as html_escape
from typing import Any

import streamlit as st

from jobs import service
from pipeline.acquisition import PulseSequence
from pipeline.errors import KneeError, OptionsError
from pipeline.options import ECHO_TIMES, SPIN_LOCK_TIMES, AnalysisOptions, check_times, checked_times, read_times
from pipeline.quality import COARSE_MM
from pipeline.relaxation import T1RHO_RELAXATION, T2_RELAXATION, Relaxation
from pipeline.scan_facts import ScanFacts
from pipeline.t2.availability import QDESS, t2_unavailable
from pipeline.upload_facts import LabelMapFacts
from ui.home.label_preview import confirm_labels
from ui.parts import wording
from ui.parts.messages import listed, show_error, show_failure


@dataclass(frozen=True, kw_only=True)
class Checked:
    """An upload that can be analysed, with the options that its content required.

    missing: what the user still has to do before the analysis can start, in one sentence; empty: nothing
    """

    scan: service.PendingScan
    options: dict[str, object] = field(default_factory=dict)
    missing: str = ""


def show_preflight(scan: service.PendingScan) -> Checked | None:
    """The card of an upload. -> what to analyse; None while a series must be chosen or it cannot be read"""
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
        options: dict[str, object] = {"series": scan.series}
        if scan.scan is not None:
            st.html(facts_grid(scan.scan))
            times = ask_times(scan.scan)
            if times is None:
                return None
            options |= times
            _show_outlook(*with_times(scan.scan, times))
        if scan.labels is None:
            return Checked(scan=scan, options=options)
        return _with_labels(scan, scan.labels, options)


def _with_labels(scan: service.PendingScan, labels: LabelMapFacts, options: dict[str, object]) -> Checked:
    """The card's part about a label map."""
    st.html(labels_grid(labels, alone=scan.scan is None))
    resample = _ask_resampling(labels)
    numbering = confirm_labels(labels)
    chosen = {"resample_labels": resample} | ({} if numbering is None else {"numbering": numbering})
    asked = {
        "allow the resampling of the label map": labels.off_grid and not resample,
        "confirm the structures of the label map": numbering is None,
    }
    missing = " and ".join(words for words, needed in asked.items() if needed)
    return Checked(scan=scan, options=options | chosen, missing=f"{missing.capitalize()} to start." if missing else "")


def _ask_resampling(labels: LabelMapFacts) -> bool:
    """Whether to resample a label map whose voxels are not those of the scan."""
    if not labels.off_grid:
        return False
    st.warning(labels.off_grid, icon=":material/flag:")
    return st.checkbox("Resample the label map onto the scan with nearest neighbour", key="labels-resampled")


def labels_grid(labels: LabelMapFacts, *, alone: bool) -> str:
    """Facts about a label map as HTML, and what will be done with it."""
    z, y, x = labels.shape
    dz, dy, dx = labels.spacing_mm
    rows = [("Label map", labels.filename)]
    if alone:
        rows += [("Matrix", f"{z} × {y} × {x} voxels"), ("Spacing", f"{dz:.3g} × {dy:.3g} × {dx:.3g} mm")]
    lines = "".join(f"<dt>{name}</dt><dd>{html_escape(value)}</dd>" for name, value in rows)
    text = "It is measured as it is; no network is run."
    if labels.off_grid:
        text = "It can be measured once it is resampled onto the scan; no network is run."
    if alone:
        text = "Surfaces and cartilage thickness are measured from the label map; no network is run. T2 needs the scan."
    return f'<dl class="ok-facts">{lines}</dl><p class="ok-outlook">{text}</p>'


def ask_times(facts: ScanFacts) -> dict[str, tuple[float, ...]] | None:
    """Echo times where the scan has several echoes without times, and spin-lock times where it may be one of T1rho.
    None if they are not valid.
    """
    if facts.echoes < 2:
        return {}
    asked = [ECHO_TIMES] if not facts.echo_times_ms else []
    asked += [SPIN_LOCK_TIMES] if facts.sequence not in QDESS else []
    texts = {option: _ask_text(option, facts.echoes) for option in asked}
    try:
        times = {option: checked_times(read_times(text, option), option) for option, text in texts.items()}
        for option, values in times.items():
            check_times(values, facts.echoes, option)
        AnalysisOptions.from_dict(times)
    except OptionsError as error:
        show_failure(error.message, error.hint)
        return None
    return times


def _ask_text(option: str, images: int) -> str:
    metadata = AnalysisOptions.__dataclass_fields__[option].metadata
    return st.text_input(
        metadata["title"],
        placeholder=", ".join(str(10 * (k + 1)) for k in range(images)),
        help=metadata["help"],
    )


def with_times(facts: ScanFacts, times: Mapping[str, tuple[float, ...]]) -> tuple[ScanFacts, Relaxation]:
    """The facts with the given times, and what these let measure."""
    echo, lock = times.get(ECHO_TIMES, ()), times.get(SPIN_LOCK_TIMES, ())
    relaxation = T1RHO_RELAXATION if lock else T2_RELAXATION
    if not echo and not lock:
        return facts, relaxation
    missing = t2_unavailable(
        facts.sequence, facts.echoes, echo or facts.echo_times_ms, facts.acquisition, spin_lock_times_ms=lock
    )
    return replace(facts, echo_times_ms=echo or facts.echo_times_ms, t2_unavailable=missing or ""), relaxation


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


def _show_outlook(facts: ScanFacts, relaxation: Relaxation) -> None:
    name, reason = relaxation.title, facts.t2_unavailable
    can = "Surfaces and cartilage thickness" if reason else f"Surfaces, cartilage thickness and {name}"
    missing = f" {name} cannot: {reason}." if reason else ""
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
