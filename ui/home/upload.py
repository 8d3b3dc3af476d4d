"""Upload of a scan. Its bytes go from the browser to the REST interface, not through Streamlit."""

from __future__ import annotations

from typing import Final

from pipeline.file_kinds import COMPACT_EXTENSIONS, UNNAMED, UPLOAD_WORDS, FileKind
from ui.parts.components import mount

HTML: Final = f"""
<div class="upload" role="group" aria-label="Scan">
  <div class="zone" data-part="zone">
    <div class="ask">
      <svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8"
        stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
        <path d="M12 15V4m0 0L7.5 8.5M12 4l4.5 4.5M4 15v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3"/>
      </svg>
      <p class="lead">Drop a knee MRI here</p>
      <p class="note">{UPLOAD_WORDS}<br>To measure a label map, drop it alone or together with its scan.</p>
      <div class="row">
        <button type="button" data-part="files-button">Choose files</button>
        <button type="button" data-part="folder-button">Choose a {FileKind.DICOM} folder</button>
      </div>
    </div>
    <div class="way">
      <p class="title" data-part="title"></p>
      <p class="detail" data-part="detail" role="status"></p>
      <progress data-part="bar" max="1" value="0" aria-label="Upload"></progress>
      <div class="busy"></div>
      <button type="button" data-part="cancel">Cancel</button>
    </div>
  </div>
  <p class="problem" data-part="problem" role="alert"></p>
  <button type="button" data-part="again" hidden>Try again</button>
  <input type="file" multiple data-part="files" aria-label="Files of the scan" tabindex="-1">
  <input type="file" multiple webkitdirectory data-part="folder" aria-label="Folder of the scan" tabindex="-1">
</div>
"""

ENDINGS: Final = {
    "compact": COMPACT_EXTENSIONS,
    "archive": FileKind.ZIP.extensions[0],
    "unnamed": UNNAMED,
}
"""What the script needs of the table of file kinds."""


def ask_for_scan(limit_bytes: int) -> str | None:
    """The upload area. -> ID of the scan once it is uploaded and accepted, else None"""
    state = mount(
        "upload",
        html=HTML,
        key="upload",
        data={"limit_bytes": limit_bytes, "endings": ENDINGS},
        default={"scan": None},
        on_scan_change=_ignore,
    )
    scan: str | None = state.scan
    return scan


def _ignore() -> None:
    """A state that can be set needs a callback; the run that follows reads it."""
