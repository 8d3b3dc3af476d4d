"""Correct the outlines in another program: the zip with scan and labels, and the way back. The bytes of the map go from
the browser to the REST interface.
"""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import quote

import streamlit as st

from jobs.intake.version_form import LONGEST_INITIALS, LONGEST_NOTE
from jobs.state.model import JobView
from pipeline.anatomy import AUTO
from pipeline.file_kinds import VOLUMES, FileKind, either
from pipeline.options import CHOICES
from ui.parts.addresses import address
from ui.parts.components import mount

_NUMBERINGS: Final = "".join(
    f'<option value="{escape(name)}">{"recognised" if name == AUTO else escape(name)}</option>'
    for name in CHOICES["numbering"]
)

HTML: Final = f"""
<form class="correct" aria-label="Corrected label map">
  <label>Corrected label map <input type="file" name="labels" required></label>
  <div class="row">
    <label>Numbering <select name="numbering">{_NUMBERINGS}</select></label>
    <label>Note <input type="text" name="note" maxlength="{LONGEST_NOTE}"></label>
    <label>Initials <input type="text" name="initials" maxlength="{LONGEST_INITIALS}" size="6"></label>
  </div>
  <label class="check"><input type="checkbox" name="resample_labels" value="true">
    Resample it if its voxels do not coincide</label>
  <div class="row">
    <button type="submit">Save as a new version</button>
    <button type="button" data-part="anyway" hidden>Save all the same</button>
    <span role="status" data-part="state"></span>
  </div>
  <p class="problem" role="alert"></p>
</form>
"""


def offer_other_program(job: JobView, newest: int) -> str | None:
    """The zip, and the form for the corrected map. newest: number of the newest version. -> id of a new version."""
    st.subheader("Correct in another program")
    kinds = either([*VOLUMES, "a segmentation of 3D Slicer", f"{FileKind.DICOM} segmentation"])
    href = address(f"/api/jobs/{quote(job.id)}/for-editing{FileKind.ZIP.extensions[0]}")
    st.html(
        f'<p><a href="{href}" download style="color: inherit !important">Scan and labels for 3D Slicer and ITK-SNAP</a>'
        "</p>"
        f'<p class="ok-quiet">Correct the labels there, and send them back here: {escape(kinds)}. The corrected map '
        "becomes a new version; this one stays as it is.</p>"
    )
    state = mount(
        "correct",
        html=HTML,
        key=f"correct-{job.id}",
        data={"job": job.id, "newest": newest},
        on_saved_change=_ignore,
    )
    saved: str | None = state.saved
    return saved


def _ignore() -> None:
    """Streamlit reports a value only if it has a function to call."""
