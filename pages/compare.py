"""Two finished analyses compared, by their addresses (?a=ID&b=ID): two time points, or left against right."""

from __future__ import annotations

import streamlit as st

from jobs.errors import QueueUnavailable
from pipeline.errors import KneeError
from ui.compare.comparison import show_comparison
from ui.compare.comparison_choice import choose
from ui.parts.frame import end_page, start_page
from ui.parts.messages import await_queue, show_error

start_page("Compare")
st.title("Compare two analyses")
first, second = (st.query_params.get(key, "") for key in ("a", "b"))
try:
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
