"""The form for one analysis, generated from AnalysisOptions: a new option appears here by being defined there."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any, Final

import streamlit as st

from jobs import service
from jobs.settings import Settings
from pipeline.options import CHOICES, AnalysisOptions
from ui.parts import wording
from ui.parts.messages import show_failure

CONSENT: Final = "retain_results"
MODEL: Final = "segmentation_model"
SERIES: Final = "series"
"""Chosen where the upload is looked at, by what was found in it."""


def defaults() -> AnalysisOptions:
    """The options of somebody who chose none: nothing is kept for research without a tick."""
    return AnalysisOptions(**{CONSENT: False})


def draw_form(
    models: list[dict[str, Any]], scan: service.PendingScan, settings: Settings
) -> tuple[AnalysisOptions, str | None] | None:
    """The whole form; -> options and e-mail address once it is sent, None before."""
    with st.form("analysis", border=False):
        chosen = draw_options(models)
        advanced, email = draw_advanced()
        consent = draw_consent()
        st.html(f'<p class="ok-quiet">{consent_details(settings.results_expiry_hours)}</p>')
        if not st.form_submit_button("Start analysis", type="primary", icon=":material/play_arrow:"):
            return None
    if reason := unavailable(models, chosen[MODEL]):
        show_failure(reason, "Choose another model.")
        return None
    return AnalysisOptions(**chosen, **advanced, **{SERIES: scan.series, CONSENT: consent}), email


def draw_options(models: list[dict[str, Any]]) -> dict[str, Any]:
    """The everyday options, side by side; returns the values chosen. `models` are the cards of jobs.service."""
    values: dict[str, Any] = {}
    for item in fields(AnalysisOptions):
        if not item.metadata["advanced"] and item.name != CONSENT:
            values[item.name] = _model_choice(item, models) if item.name == MODEL else _widget(item)
    return values


def draw_advanced() -> tuple[dict[str, Any], str | None]:
    """The options few need, folded, and the e-mail address."""
    with st.expander("More options"):
        values = {
            item.name: _widget(item)
            for item in fields(AnalysisOptions)
            if item.metadata["advanced"] and item.name != SERIES
        }
        email = st.text_input(
            "E-mail (optional)",
            placeholder="name@university.edu",
            help="Only to count users. Kept until the analysis ends, afterwards only a keyed digest that names nobody.",
        )
    return values, email.strip() or None


def draw_consent() -> bool:
    """Consent to keep results for research: off until the user ticks it."""
    return st.checkbox(
        "Keep a copy of my results for research",
        value=False,
        help="Kept: label map, surfaces and measurements, under a random name, until this server's operator deletes "
        "them. Never kept: the images themselves, file names, e-mail addresses.",
    )


def consent_details(expiry_hours: float) -> str:
    """What happens to the data, in a sentence for each choice."""
    return (
        "The uploaded file is deleted when the analysis ends; its voxels, without anything about the patient, and the "
        f"results after {wording.duration(expiry_hours * 3600)}. "
        "With the box ticked, the label map, surfaces and measurements stay on this server under a random name until "
        "its operator deletes them; the images never do."
    )


def upload_details(settings: Settings) -> str:
    """What an upload may be, and what happens to one that is not started."""
    return (
        f"Up to {settings.max_upload_size_mb} MB. Nothing is analysed before you say so; "
        "an upload that is not started is deleted after an hour."
    )


def unavailable(models: list[dict[str, Any]], model_id: str) -> str:
    """Why a model cannot run; empty where it can."""
    for card in models:
        if card["id"] == model_id and not card["available"]:
            return str(card.get("reason") or "Its weights are not installed.")
    return ""


def _model_choice(item: Field[Any], models: list[dict[str, Any]]) -> str:
    titles = {card["id"]: card["title"] + ("" if card["available"] else " (no weights installed)") for card in models}
    choices = list(titles)
    chosen = st.selectbox(
        item.metadata["title"],
        choices,
        index=choices.index(item.default),
        format_func=titles.__getitem__,
        help=item.metadata["help"],
    )
    return str(chosen)


def _widget(item: Field[Any]) -> Any:
    """One option as a widget: closed vocabulary, yes or no, text, number within its bounds."""
    title, text = item.metadata["title"], item.metadata["help"]
    if (choices := CHOICES.get(item.name)) is not None:
        return st.segmented_control(
            title, choices, default=item.default, required=True, format_func=wording.name, help=text
        )
    if isinstance(item.default, bool):
        return st.checkbox(title, value=item.default, help=text)
    if isinstance(item.default, str):
        return st.text_input(title, value=item.default, max_chars=14, help=text).strip()
    return st.number_input(
        title,
        min_value=item.metadata.get("ge"),
        max_value=item.metadata.get("le"),
        value=item.default,
        format="%.4g",
        help=text,
    )
