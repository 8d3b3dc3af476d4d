"""Home: start a new analysis."""

from __future__ import annotations

import streamlit as st

from jobs import service
from jobs.settings import load_settings
from pipeline.errors import KneeError
from pipeline.options import AnalysisOptions
from ui import options_form
from ui.frame import end_page, start_page
from ui.messages import show_error, show_failure, show_unreachable
from ui.statistics import show_statistics
from ui.submission import SAMPLE, submit, submit_sample
from ui.welcome import show_outcome, show_title

start_page("New analysis")
settings = load_settings()
show_title()
form, outcome = st.columns([1.7, 1], gap="large")
with form:
    models = service.models()
    with st.form("analysis"):
        upload = st.file_uploader(
            f"Scan: NIfTI, NRRD, DICOM, or a zip of one DICOM series (up to {settings.max_upload_size_mb} MB)",
            type=["nii", "gz", "nrrd", "dcm", "zip"],
            max_upload_size=settings.max_upload_size_mb,
        )
        chosen = options_form.draw_options(models)
        advanced, email = options_form.draw_advanced()
        consent = options_form.draw_consent()
        st.html(f'<p class="ok-quiet">{options_form.consent_details(settings.results_expiry_hours)}</p>')
        with st.container(horizontal=True):
            start = st.form_submit_button("Start analysis", type="primary", icon=":material/play_arrow:")
            sample = st.form_submit_button("Try the sample knee", icon=":material/science:")
    answer = st.container()
    try:
        show_statistics(service.stats())
    except KneeError as error:
        show_unreachable(error)
with outcome:
    show_outcome()

if start or sample:
    with answer:
        try:
            options = AnalysisOptions(**chosen, **advanced, retain_results=consent)
            if reason := options_form.unavailable(models, options.segmentation_model):
                show_failure(reason, "Choose another model.")
            elif sample and not SAMPLE.exists():
                show_failure("The sample knee is not there.", "Make it with: make sample")
            elif sample:
                submit_sample(options, email)
            elif upload is None:
                show_failure("No scan was chosen.", "Put a file into the field above, or try the sample knee.")
            else:
                submit(upload, upload.name, options, email)
        except KneeError as error:
            show_error(error)
end_page()
