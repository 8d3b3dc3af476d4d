"""The slice viewer on a page: scan, labels and T2 in three linked planes, and its edit mode."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import streamlit as st

from pipeline.results_tree import ViewFile
from ui.parts.addresses import address

HEIGHT_PX: Final = 640
FILES: Final = (ViewFile.SLICES, ViewFile.SCAN, ViewFile.LABELS, ViewFile.SUBREGIONS, ViewFile.T2)

# The page's own module is a blob without an address, so that it has to name the server.
_MODULE: Final = """
const code = import(new URL("SCRIPT", window.location.origin).href);

export default function ({ data, parentElement, setTriggerValue }) {
  let viewer = null;
  const saved = (id) => setTriggerValue("saved", id);
  code.then(({ mount }) => { viewer = mount(parentElement, { ...data, saved }); });
  return () => setTimeout(() => { if (viewer && !viewer.root.isConnected) viewer.end(); }, 0);
}
"""


@dataclass(frozen=True, kw_only=True)
class Editing:
    """What the edit mode needs to know.

    job      id of the analysis, for the address that a new version is sent to
    version  that is shown
    newest   version of the analysis
    begin    the edit mode is open from the beginning
    """

    job: str
    version: int
    newest: int
    begin: bool = False


@st.cache_resource
def _component() -> Any:
    """Registered once a process: registering again replaces what is on the pages."""
    module = _MODULE.replace("SCRIPT", address("/assets/viewers/slices.js"))
    return st.components.v2.component("kneebox.slices", js=module)


def show_slices(base_url: str, key: str, *, height_px: int = HEIGHT_PX, editing: Editing | None = None) -> str | None:
    """Show the slices of a finished analysis.

    base_url   where its viewer data are served, `/api/jobs/<id>/view`; the browser fetches them once. It differs
               between versions of an analysis.
    key        unique on the page; with the same key a rerun keeps the viewer unchanged
    height_px  of the three pictures together, on a wide page
    editing    allows the user to edit the outlines

    Returns the id of a new version, once, in the run after the user has saved it or has asked for the newest.
    """
    addresses = {file.name.lower(): f"{base_url}/{file}" for file in FILES}
    data: dict[str, Any] = {"base": base_url, "addresses": addresses, "height": height_px}
    if editing is not None:
        data |= {"editable": True} | asdict(editing)
    shown = _component()(key=key, data=data, on_saved_change=_nothing)
    return shown.saved or None


def _nothing() -> None:
    """Streamlit reports a value only if it has a function to call."""
