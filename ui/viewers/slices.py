"""The slice viewer on a page: scan, labels and T2 in three linked planes."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from pipeline.results_tree import ViewFile
from ui.parts.addresses import address

HEIGHT_PX: Final = 640
FILES: Final = (ViewFile.SLICES, ViewFile.SCAN, ViewFile.LABELS, ViewFile.SUBREGIONS, ViewFile.T2)

# The page's own module is a blob without an address, so that it has to name the server.
_MODULE: Final = """
const code = import(new URL("SCRIPT", window.location.origin).href);

export default function ({ data, parentElement }) {
  let viewer = null;
  code.then(({ mount }) => { viewer = mount(parentElement, data); });
  return () => setTimeout(() => { if (viewer && !viewer.root.isConnected) viewer.end(); }, 0);
}
"""


@st.cache_resource
def _component() -> Any:
    """Registered once a process: registering again replaces what is on the pages."""
    module = _MODULE.replace("SCRIPT", address("/assets/viewers/slices.js"))
    return st.components.v2.component("kneebox.slices", js=module)


def show_slices(base_url: str, key: str, *, height_px: int = HEIGHT_PX) -> None:
    """Show the slices of a finished analysis.

    base_url   where its viewer data are served, `/api/jobs/<id>/view`; the browser fetches them once
    key        unique on the page; with the same key a rerun keeps the viewer unchanged
    height_px  of the three pictures together, on a wide page
    """
    addresses = {file.name.lower(): f"{base_url}/{file}" for file in FILES}
    _component()(key=key, data={"base": base_url, "addresses": addresses, "height": height_px})
