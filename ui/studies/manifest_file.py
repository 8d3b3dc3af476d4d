"""Choice of a manifest. The browser reads the file and gives its bytes to the page: Streamlit gets no uploads here."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

import streamlit as st

from ui.parts.components import mount

EXAMPLE: Final = "path,subject,visit,side,group\nbaseline/9001104,9001104,V00,right,case"

HTML: Final = f"""
<div class="manifest" role="group" aria-label="Manifest">
  <div class="zone" data-part="zone">
    <p class="lead">Drop a CSV manifest here</p>
    <p class="note">A line for each scan, with paths relative to the folder. Comma, semicolon or tab. For example:</p>
    <pre>{EXAMPLE}</pre>
    <button type="button" data-part="choose">Choose a file</button>
  </div>
  <p class="problem" data-part="problem" role="alert"></p>
  <input type="file" accept=".csv,.tsv,.txt,text/csv" data-part="file" aria-label="Manifest file" tabindex="-1">
</div>
"""

_KEPT: Final = "chosen-manifest"


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """The name of a file, and its bytes."""

    name: str
    content: bytes


def ask_for_manifest(limit_bytes: int) -> ManifestFile | None:
    """The area, and the file that was chosen last in this browser tab."""
    sent = mount("manifest", html=HTML, key="manifest", data={"limit_bytes": limit_bytes}, on_sent_change=_ignore).sent
    if sent:
        st.session_state[_KEPT] = ManifestFile(name=str(sent["name"]), content=base64.b64decode(sent["content"]))
    kept: ManifestFile | None = st.session_state.get(_KEPT)
    return kept


def _ignore() -> None:
    """Streamlit reports a value only if it has a function to call."""
