"""The versions of an analysis: which one is shown, what it changed, the others, and the reader's judgement."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final
from urllib.parse import quote

import streamlit as st

from jobs import service
from jobs.intake.version_form import LONGEST_NOTE, ReviewForm, VersionNote
from jobs.state.model import JobView, Status
from pipeline.anatomy import TABLE_ORDER
from pipeline.edits import EditWay
from pipeline.errors import KneeError
from pipeline.quantities import THC
from pipeline.review_state import ReviewState
from pipeline.uses import Uses
from ui.analysis.version_table import changed_regions, edits_in_words
from ui.parts import tables, wording
from ui.parts.addresses import EDIT, address
from ui.parts.frame import ANALYSIS, COMPARE
from ui.parts.messages import escape as markdown
from ui.parts.messages import show_error
from ui.parts.usable import show_note

NEAR_EXPIRY: Final = timedelta(hours=3)
"""Time before the expiry at which the page offers to keep an analysis longer above its figures."""

_ICONS: Final = {
    ReviewState.ACCEPTED: ":material/check_circle:",
    ReviewState.TO_BE_CORRECTED: ":material/edit:",
    ReviewState.REJECTED: ":material/cancel:",
}
_NOT_REVIEWED: Final = "Not reviewed"


def show_versions(job: JobView, versions: tuple[service.Version, ...], *, mine: bool) -> None:
    """One line: the version shown, the list of all, and the review.

    versions  of this analysis, oldest first
    mine      whether who looks at it may change it
    """
    shown = next((version for version in versions if version.id == job.id), None)
    if shown is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="versions", gap="small"):
        if len(versions) > 1:
            st.html(f'<p class="ok-quiet">{_line(shown, versions)}</p>', width="content")
            with st.popover(f"Versions ({len(versions)})", icon=":material/history:"):
                for version in reversed(versions):
                    _show_one(version, shown, versions, mine=mine)
        state = job.review.get("state", "")
        known = ReviewState(state) if state in tuple(ReviewState) else None
        title = known.words.capitalize() if known else "Review"
        if mine:
            with st.popover(title, icon=_ICONS[known] if known else ":material/rate_review:"):
                _show_review(job, known)
        elif known:
            reason = f": {job.review['reason']}" if job.review.get("reason") else ""
            st.html(f'<p class="ok-quiet">Review: {known.words}{escape(reason)}</p>', width="content")
    newest = versions[-1]
    if newest.version > shown.version:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.html('<p class="ok-quiet">This is not the newest version.</p>', width="content")
            st.page_link(
                ANALYSIS.path,
                label=f"Open version {newest.version}",
                query_params={"job": newest.id},
                icon=ANALYSIS.icon,
            )
    if mine:
        _offer_longer(job)


def open_version(job_id: str) -> None:
    """Show another version instead of this one."""
    st.query_params["job"] = job_id
    st.query_params.pop(EDIT, None)
    st.rerun()


def show_changes(job: JobView, rows: tables.Rows, uses: Uses, versions: tuple[service.Version, ...]) -> None:
    """What a version changed: voxels per structure, and the figures of the regions before and now."""
    shown = next((version for version in versions if version.id == job.id), None)
    if shown is None or not shown.base:
        return
    base = next((version for version in versions if version.version == shown.base), None)
    with st.expander(f"What changed from version {shown.base}", expanded=True, icon=":material/difference:"):
        for text in edits_in_words(shown.edits):
            st.markdown(f"- {markdown(text)}")
        if base is None or base.status is not Status.COMPLETE:
            st.html('<p class="ok-quiet">That version no longer exists, so its figures are not shown.</p>')
            return
        frame = changed_regions(_measured(base.id), rows)
        if frame.empty:
            st.html('<p class="ok-quiet">Thickness and volume of every region are as before.</p>')
            return
        show_note(uses.ban(THC, TABLE_ORDER))
        st.dataframe(frame, hide_index=True, height="content", alt="Figures before and after the correction")
        st.html('<p class="ok-quiet">Mean thickness and volume; regions that are not listed are as before.</p>')


def _measured(job_id: str) -> tables.Rows:
    """The rows of another version; none if it has just been deleted."""
    try:
        return [asdict(row) for row in service.measurements(job_id)]
    except KneeError:
        return []


def _line(shown: service.Version, versions: tuple[service.Version, ...]) -> str:
    return " · ".join([f"Version {shown.version} of {versions[-1].version}", *map(escape, _facts(shown))])


def _facts(version: service.Version) -> list[str]:
    """How it was made, when, by whom, and the note."""
    way = EditWay(version.way).words if version.way in tuple(EditWay) else "first analysis"
    if version.base:
        way = f"{way}, from version {version.base}"
    facts = [way, wording.age(version.created_at, datetime.now(UTC)), version.initials]
    return [fact for fact in (*facts, f"“{version.note}”" if version.note else "") if fact]


def _show_one(
    version: service.Version, shown: service.Version, versions: tuple[service.Version, ...], *, mine: bool
) -> None:
    with st.container(key=f"version-{version.version}", gap=None):
        here = " (shown)" if version.id == shown.id else ""
        notes = "".join(f'<p class="ok-quiet">{escape(text)}</p>' for text in edits_in_words(version.edits))
        facts = " · ".join(map(escape, (*_facts(version), *_judged(version))))
        st.html(f'<p class="ok-name">Version {version.version}{here}</p><p class="ok-quiet">{facts}</p>{notes}')
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            if version.id != shown.id:
                st.page_link(
                    ANALYSIS.path, label="Open", query_params={"job": version.id}, icon=":material/arrow_forward:"
                )
            base = next((item for item in versions if item.version == version.base), None)
            complete = version.status is Status.COMPLETE
            if base is not None and complete and base.status is Status.COMPLETE:
                ids = {"a": base.id, "b": version.id}
                st.page_link(
                    COMPARE.path, label=f"Compare with version {base.version}", query_params=ids, icon=COMPARE.icon
                )
            if complete:
                href = address(f"/api/download/{quote(version.id)}")
                st.html(f'<a href="{href}" download class="ok-download">Download</a>', width="content")
            if (
                mine
                and complete
                and version is not versions[-1]
                and st.button(
                    "Make it the newest", key=f"restore-{version.id}", type="tertiary", icon=":material/restore:"
                )
            ):
                _restore(version.id, versions[-1].version)


def _judged(version: service.Version) -> list[str]:
    state = (version.review or {}).get("state", "")
    return [ReviewState(state).words] if state in tuple(ReviewState) else []


def _restore(job_id: str, newest: int) -> None:
    try:
        made = service.restore_version(job_id, VersionNote(newest=newest))
    except KneeError as error:
        show_error(error)
        return
    open_version(made.id)


def _show_review(job: JobView, known: ReviewState | None) -> None:
    with st.form(f"review-{job.id}", border=False):
        titles = {_NOT_REVIEWED: ""} | {state.words.capitalize(): state.value for state in ReviewState}
        chosen = st.radio(
            "This result is", list(titles), index=list(titles.values()).index(known.value if known else "")
        )
        reason = st.text_input("Reason", value=job.review.get("reason", ""), max_chars=LONGEST_NOTE)
        if st.form_submit_button("Save"):
            _judge(job.id, titles[str(chosen)], reason)


def _judge(job_id: str, state: str, reason: str) -> None:
    try:
        service.set_review(job_id, ReviewForm.model_validate({"state": state, "reason": reason}))
    except KneeError as error:
        show_error(error)
        return
    st.rerun()


def _offer_longer(job: JobView) -> None:
    """Near the expiry, a button that keeps the analysis longer."""
    moment = datetime.now(UTC)
    if job.expires_at is None or job.expires_at - moment > NEAR_EXPIRY:
        return
    until = service.longest_expiry(job.created_at, job.expires_at)
    if until is None:
        return
    left = wording.time_left(job.expires_at, moment)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.warning(f"This analysis is deleted {left}, with its scan and corrections.", icon=":material/timer:")
        if st.button("Keep longer", icon=":material/more_time:"):
            try:
                service.prolong(job.id)
            except KneeError as error:
                show_error(error)
                return
            st.rerun()
