"""Which visits are followed: chosen from this browser's list or given by their addresses, with the time of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import streamlit as st

from pipeline.comparison.visits import LEAST_VISITS, years_of
from ui.compare.analyses import caption
from ui.compare.comparison_choice import finished, id_in, known, label

EXAMPLE: Final = "2021-05-31 or 1.02"
FIELD_PX: Final = 250
TIME_HELP: Final = (
    "The date of the scan, or the years after any date. Dates are not read from scans, because analyses keep none; of "
    "the dates given here, only the times between the visits are kept."
)


def choose_visits(job_ids: Sequence[str], times: Sequence[str]) -> None:
    """One field for the analyses, and one for the time of each; what they say goes into the page's address.

    In the address, times are years after the earliest visit. Raises NotComparable for a time that is missing or cannot
    be read.
    """
    jobs = finished() | {job_id: job for job_id in job_ids if (job := known(job_id)) is not None}
    ids = list(dict.fromkeys([*jobs, *job_ids]))
    # Streamlit distinguishes entries by name
    names = _distinct({job_id: label(job_id, jobs) for job_id in ids})
    chosen = st.multiselect(
        "Visits",
        ids,
        default=list(job_ids),
        format_func=lambda text: names.get(text, text),
        placeholder=f"Choose {LEAST_VISITS} or more analyses of one knee, or paste their addresses",
        accept_new_options=True,
        help="In any order. All are registered to the earliest one.",
    )
    visits = list(dict.fromkeys(id_in(text) for text in chosen))
    if len(visits) < LEAST_VISITS:
        st.info(
            f"Follow one knee over {LEAST_VISITS} or more visits: the slope of each region in µm a year, and its "
            "error. Two visits are compared as two analyses.",
            icon=":material/timeline:",
        )
        return
    given = dict(zip(job_ids, times, strict=False))
    with st.form("visits", border=False):
        caption(TIME_HELP)
        with st.container(horizontal=True):
            texts = [_ask_time(title, job_id, given.get(job_id, "")) for job_id, title in _titles(visits).items()]
        follow = st.form_submit_button("Follow", type="primary", icon=":material/timeline:")
    if follow:
        ordered = sorted(zip(years_of(texts), visits, strict=True))
        first = ordered[0][0]
        address = {
            "job": [job_id for _, job_id in ordered],
            "time": [f"{years - first:.6g}" for years, _ in ordered],
        }
        st.query_params.from_dict(address)
        st.rerun()


def _titles(job_ids: Sequence[str]) -> dict[str, str]:
    """Id -> the name of its upload, with a part of the id where two have the same; the id of an unknown job."""
    jobs = {job_id: known(job_id) for job_id in job_ids}
    plain = {job_id: job_id if job is None else job.input_filename for job_id, job in jobs.items()}
    return _distinct(plain)


def _distinct(names: dict[str, str]) -> dict[str, str]:
    """Id -> its name; equal names get a part of the id."""
    equal = Counter(names.values())
    return {job_id: name if equal[name] == 1 else f"{name} · {job_id[:8]}" for job_id, name in names.items()}


def _ask_time(title: str, job_id: str, value: str) -> str:
    return st.text_input(f"Date of {title}", value=value, key=f"time-{job_id}", placeholder=EXAMPLE, width=FIELD_PX)
