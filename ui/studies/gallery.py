"""Contact sheet of all knees, ranked by what looks wrong, and their review by keyboard."""

from __future__ import annotations

from typing import Final

import streamlit as st

from jobs import service
from pipeline.results_tree import OVERLAY, REPORT
from ui.parts.components import mount
from ui.studies.readers import show_readers

HTML: Final = """
<div class="gallery" role="group" aria-label="Knees of the study">
  <div class="bar">
    <button type="button" class="do" data-part="begin">Start review</button>
    <label data-owner>Initials <input type="text" data-part="reader" maxlength="20" size="5" autocomplete="off"></label>
    <progress max="1" value="0" aria-label="Reviewed"></progress>
    <span class="counts" role="status"></span>
  </div>
  <p class="problem" role="alert"></p>
  <ul class="sheet" aria-label="Knees, the most conspicuous first"></ul>
  <dialog aria-labelledby="knee-title">
    <h3 id="knee-title" data-part="title"></h3>
    <p class="state" data-part="state" role="status"></p>
    <p class="problem" data-part="problem" role="alert"></p>
    <img class="picture" alt="">
    <ul data-part="reasons"></ul>
    <div class="actions">
      <button type="button" class="do" data-do="accepted" data-owner><kbd>A</kbd>Accept</button>
      <button type="button" class="do" data-do="to_be_corrected" data-owner><kbd>C</kbd>To be corrected</button>
      <button type="button" class="do" data-do="rejected" data-owner><kbd>R</kbd>Reject</button>
      <button type="button" class="do" data-do="edit" data-owner><kbd>E</kbd>Edit outlines</button>
      <button type="button" class="do" data-do="undo" data-owner><kbd>U</kbd>Not reviewed</button>
      <button type="button" class="do" data-do="previous"><kbd>←</kbd>Previous</button>
      <button type="button" class="do" data-do="next"><kbd>→</kbd>Next</button>
      <a data-part="report" target="_blank" rel="noopener">Results</a>
      <button type="button" class="do" data-do="close">Close</button>
    </div>
  </dialog>
</div>
"""


def show_gallery(study: service.studies.StudyView) -> None:
    """The sheet, and the review for those who may change the study; a message before the first tables."""
    if not study.tables:
        st.info("The knees are ranked when the first rows have ended.", icon=":material/hourglass_empty:")
        return
    st.html(
        '<p class="ok-quiet">The most conspicuous knees first: by flags, by the distance of figures from the median of '
        "the study, by what is missing, and by bones that do not fit those of other visits. A severe case can come "
        "first, and a fault that all knees share is not seen here. Reviews are written to rows.csv; accepted and "
        "rejected knees stay in all tables. With initials, you see only your own reviews.</p>"
    )
    report = OVERLAY.path if study.compact else REPORT.path
    mount(
        "gallery",
        html=HTML,
        key=f"gallery-{study.id}",
        data={
            "study": study.id,
            "picture": OVERLAY.path,
            "report": report,
            "judging": service.may_change_study(study.id),
        },
    )
    show_readers(study)
