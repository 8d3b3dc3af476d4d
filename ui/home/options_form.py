"""The form for one analysis, generated from AnalysisOptions: a new option appears here by being defined there."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any, Final

import streamlit as st

from jobs import service
from jobs.settings import Settings
from pipeline.options import CHOICES, AnalysisOptions
from ui.home.preflight import Checked
from ui.parts import wording
from ui.parts.messages import show_failure

CONSENT: Final = "retain_results"
MODEL: Final = "segmentation_model"


def defaults() -> AnalysisOptions:
    """Default options without consent: nothing is kept for research unless the user agrees."""
    return AnalysisOptions(retain_results=False)


def draw_form(
    models: list[service.ModelFacts], upload: Checked, settings: Settings
) -> tuple[AnalysisOptions, str | None] | None:
    """The whole form. -> options and e-mail address when submitted, else None"""
    measured = upload.scan.labels is not None
    with st.form("analysis", border=False):
        chosen = draw_options(models if not measured else [])
        advanced, email = draw_advanced()
        consent = draw_consent(settings)
        st.html(f'<p class="ok-quiet">{consent_details(settings)}</p>')
        if upload.missing:
            st.html(f'<p class="ok-quiet">{upload.missing}</p>')
        if not st.form_submit_button(
            "Start analysis", type="primary", icon=":material/play_arrow:", disabled=bool(upload.missing)
        ):
            return None
    if reason := "" if measured else unavailable(models, chosen[MODEL]):
        show_failure(reason, "Choose another model.")
        return None
    values = chosen | advanced | upload.options | {CONSENT: consent}
    return AnalysisOptions.from_dict(values), email


# Any: values of options have the types of the fields of AnalysisOptions, which checks them.
def draw_options(models: list[service.ModelFacts]) -> dict[str, Any]:
    """The basic options, side by side. -> value of each option. Without models, none is chosen."""
    values: dict[str, Any] = {}
    for item in fields(AnalysisOptions):
        if item.metadata["advanced"] or item.metadata["preflight"] or item.name == CONSENT:
            continue
        if item.name != MODEL:
            values[item.name] = _widget(item)
        elif models:
            values[item.name] = _model_choice(item, models)
    return values


# Any: as in `draw_options`
def draw_advanced() -> tuple[dict[str, Any], str | None]:
    """The advanced options, collapsed, and the e-mail address."""
    with st.expander("More options"):
        values = {item.name: _widget(item) for item in fields(AnalysisOptions) if item.metadata["advanced"]}
        email = st.text_input(
            "E-mail (optional)",
            placeholder="name@university.edu",
            help="Only used to count users. Deleted when the analysis ends; only a keyed digest is kept.",
        )
    return values, email.strip() or None


def draw_consent(settings: Settings) -> bool:
    """Consent to keep results for research: off until the user ticks it; not drawn where no copies are kept."""
    if not settings.purpose_of_copies:
        return False
    return st.checkbox(
        f"Keep a copy of my results for research: {settings.purpose_of_copies}",
        value=False,
        help="Kept: label map, surfaces and measurements, under a random name, for "
        f"{settings.research_expiry_days:g} days. Deleted with the analysis, if you delete it. "
        "Never kept: the images themselves, file names, e-mail addresses.",
    )


def consent_details(settings: Settings) -> str:
    """What happens to the data, with and without consent."""
    text = (
        "The uploaded file is deleted when the analysis ends. Its voxels (without patient data) and the results are "
        f"deleted after {wording.duration(settings.results_expiry_hours * 3600)}. "
    )
    if not settings.purpose_of_copies:
        return text + "No copies are kept for research."
    return text + (
        "With the box ticked, the label map, surfaces and measurements stay on this server under a random name for "
        f"{settings.research_expiry_days:g} days; the images never do."
    )


def upload_details(settings: Settings) -> str:
    """Size limit of an upload, and what happens if its analysis is not started."""
    return (
        f"Up to {settings.max_upload_size_mb} MB. The analysis starts only when you confirm; "
        "an upload that is not started is deleted after an hour."
    )


def unavailable(models: list[service.ModelFacts], model_id: str) -> str:
    """Why a model cannot run; empty where it can."""
    for model in models:
        if model.card.id == model_id and not model.availability.available:
            return model.availability.reason or "Its weights are not installed."
    return ""


def _model_choice(item: Field[Any], models: list[service.ModelFacts]) -> str:
    titles = {
        model.card.id: model.card.title + ("" if model.availability.available else " (no weights installed)")
        for model in models
    }
    choices = list(titles)
    chosen = st.selectbox(
        item.metadata["title"],
        choices,
        index=choices.index(str(item.default)),
        format_func=titles.__getitem__,
        help=item.metadata["help"],
    )
    return str(chosen)


FEW: Final = 4
"""More choices are a list to open, not buttons."""


def _choice(value: str) -> str:
    """The empty choice is the only one of its kind, e.g. an image of one knee."""
    return wording.name(value) if value else "Only one"


def _code(value: str) -> str:
    return value or "As in the header, checked"


def _widget(item: Field[Any]) -> Any:
    """One option as a widget: closed vocabulary, yes or no, text, number within its bounds."""
    title, text = item.metadata["title"], item.metadata["help"]
    choices = CHOICES.get(item.name)
    if choices is not None and len(choices) > FEW:
        return st.selectbox(title, choices, index=choices.index(item.default), format_func=_code, help=text)
    if choices is not None:
        return st.segmented_control(title, choices, default=item.default, required=True, format_func=_choice, help=text)
    if isinstance(item.default, bool):
        return st.checkbox(title, value=item.default, help=text)
    if isinstance(item.default, str):
        return st.text_input(title, value=item.default, max_chars=14, help=text).strip()
    if not isinstance(item.default, (int, float)):
        raise TypeError(f"{item.name}: there is no widget for {item.default!r}")
    low, high = item.metadata.get("ge"), item.metadata.get("le")
    return st.number_input(
        title,
        min_value=None if low is None else float(low),
        max_value=None if high is None else float(high),
        value=float(item.default),
        format="%.4g",
        help=text,
    )
