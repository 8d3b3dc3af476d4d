"""The form for one analysis, generated from AnalysisOptions: a new option appears here by being defined there."""

from __future__ import annotations

from typing import Any

import streamlit as st

from jobs import service
from jobs.settings import Settings
from pipeline.options import AnalysisOptions
from ui.home.preflight import Checked
from ui.parts import wording
from ui.parts.messages import show_failure
from ui.parts.option_fields import CONSENT, MODEL, advanced_options, draw_options, unavailable


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


# Any: as in `draw_options`
def draw_advanced() -> tuple[dict[str, Any], str | None]:
    """The advanced options, collapsed, and the e-mail address."""
    with st.expander("More options"):
        values = advanced_options()
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
