"""Home: start a new analysis."""

from __future__ import annotations

import streamlit as st

from jobs import service
from jobs.errors import QueueUnavailable, ScanNotFound
from jobs.settings import load_settings
from pipeline.errors import KneeError
from ui.home import options_form
from ui.home.preflight import show_preflight
from ui.home.submission import start_sample, start_scan
from ui.home.upload import ask_for_scan
from ui.home.welcome import show_outcome, show_title
from ui.parts.frame import end_page, start_page
from ui.parts.messages import await_queue, show_error, show_unreachable
from ui.parts.preload import preload
from ui.parts.sharing import choose_owner
from ui.parts.usage_figures import show_usage


def wait_for_scan() -> None:
    """No scan yet: offer the upload and the sample knee."""
    if arrived := ask_for_scan(settings.max_upload_bytes):
        st.query_params["scan"] = arrived
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Try the sample knee", icon=":material/science:"):
            start_sample(options_form.defaults())
        st.html('<p class="ok-quiet">No scan available? Use the synthetic sample knee.</p>')
    st.html(f'<p class="ok-quiet">{options_form.upload_details(settings)}</p>')


def configure(scan_id: str) -> None:
    """A scan is uploaded: show what it contains, the options, and the start button."""
    upload = show_preflight(service.pending_scan(scan_id))
    if upload is not None:
        project = choose_owner()
        if chosen := options_form.draw_form(service.models(), upload, settings):
            start_scan(upload.scan, *chosen, project)
    if st.button("Choose another scan", icon=":material/undo:", type="tertiary"):
        service.discard_scan(scan_id)
        st.query_params.clear()
        st.rerun()


start_page("New analysis")
settings = load_settings()
show_title()
form, outcome = st.columns([1.7, 1], gap="large")
with form:
    try:
        waiting = st.query_params.get("scan", "")
        if waiting:
            configure(waiting)
        else:
            wait_for_scan()
    except ScanNotFound as error:
        show_error(error)
        if st.button("Start over", icon=":material/undo:"):
            st.query_params.clear()
            st.rerun()
    except KneeError as error:
        show_unreachable(error)
    try:
        with st.container(key="foot"):
            show_usage(service.stats())
    except QueueUnavailable:
        await_queue()
with outcome:
    show_outcome()
end_page()
preload("ui.analysis.results")  # charts, tables, the report
