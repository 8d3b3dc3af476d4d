"""Upload of many scans: each file, and each folder, becomes one scan. The bytes go to the REST interface."""

from __future__ import annotations

from typing import Final

from pipeline.file_kinds import COMPACT_EXTENSIONS, FileKind
from ui.parts.components import mount

HTML: Final = f"""
<div class="drop" role="group" aria-label="Scans">
  <div class="zone" data-part="zone">
    <p class="lead">Drop scans here</p>
    <p class="note">Each file is one scan ({", ".join(COMPACT_EXTENSIONS)}); so is each
      folder of {FileKind.DICOM} files.</p>
    <div class="buttons"><button type="button" data-part="choose">Choose files</button></div>
    <p class="detail" data-part="detail" role="status"></p>
    <progress data-part="bar" max="1" value="0" aria-label="Upload" hidden></progress>
  </div>
  <ul class="problems" data-part="problems" role="alert"></ul>
  <input type="file" multiple data-part="files" aria-label="Files of the scans" tabindex="-1">
</div>
"""


# what the script sends: [{"scan_id": ..., "filename": ...}]
def ask_for_scans(limit_bytes: int) -> list[dict[str, str]]:
    """The area, and the scans that were uploaded and accepted so far."""
    state = mount(
        "drop",
        html=HTML,
        key="drop",
        data={"limit_bytes": limit_bytes, "archive": FileKind.ZIP.extensions[0]},
        default={"scans": []},
        on_scans_change=_ignore,
    )
    found: list[dict[str, str]] = list(state.scans or [])
    return found


def _ignore() -> None:
    """A state that can be set needs a callback; the run that follows reads it."""
