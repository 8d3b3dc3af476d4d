"""Finished analyses compared, by their addresses: two (?a=ID&b=ID), as two time points or left against right; or three
and more visits of one knee (?job=ID&time=YEARS&job=ID&time=YEARS...).
"""

from __future__ import annotations

from typing import Final

import streamlit as st

from jobs.errors import QueueUnavailable
from pipeline.errors import KneeError
from ui.compare.comparison import show_comparison
from ui.compare.comparison_choice import choose
from ui.compare.series import show_series
from ui.compare.series_choice import choose_visits
from ui.parts.frame import Visitors, end_page, start_page
from ui.parts.messages import await_queue, show_error

# what is compared -> the title of the page. Not a docstring: Streamlit shows it
TITLES: Final = {"Two analyses": "Compare two analyses", "Visits over time": "Follow one knee over time"}

start_page("Compare", Visitors.SHOWN)
first, second = (st.query_params.get(key, "") for key in ("a", "b"))
visits, times = (st.query_params.get_all(key) for key in ("job", "time"))
two, several = TITLES
title = st.empty()
kind = st.segmented_control(
    "What is compared", list(TITLES), default=several if visits else two, required=True, label_visibility="collapsed"
)
title.title(TITLES[str(kind)])
try:
    if kind == several:
        choose_visits(visits or [job_id for job_id in (first, second) if job_id], times)
        if visits:
            show_series(visits, times)
    else:
        choose(first, second)
        if first and first == second:
            st.info("Choose two different analyses.", icon=":material/info:")
        elif first and second:
            show_comparison(first, second)
except QueueUnavailable:
    await_queue()
except KneeError as error:
    show_error(error)
end_page()
