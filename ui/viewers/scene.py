"""The 3D viewer on a page: a component that loads its scene once, by address, and keeps it over reruns."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import streamlit as st

from ui.parts.addresses import address

HEIGHT_PX: Final = 600

_MODULE: Final = """
const own = new URL("ASSETS", location.origin);

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector("[data-ok3d]");
  if (root.shownUrl === data.url) return root.leave;
  root.viewer?.dispose();
  root.shownUrl = data.url;
  const asked = fetch(data.url);
  const link = parentElement.querySelector("link");
  const styled = new Promise((done) => (link.sheet ? done() : (link.onload = link.onerror = done)));
  asked.catch(() => {});  // reported where it is awaited
  const failed = () => setStateValue("failed", true);
  import(new URL("scene.js", own)).then(({ Viewer }) => {
    root.viewer = new Viewer(root, { height: data.height, failed });
    return root.viewer.open(asked, styled);
  }).catch(() => {
    root.dataset.state = "failed";
    root.textContent = "The 3D view could not be loaded.";
    failed();
  });
  // a rerun calls this again: only a root that has left the page disposes of its scene
  root.leave = () => setTimeout(() => root.isConnected || root.viewer?.dispose());
  return root.leave;
}
"""

_HTML: Final = """
<link rel="stylesheet" href="ASSETSscene.css">
<div data-ok3d data-state="loading"></div>
"""


@st.cache_resource
def _component() -> Any:
    """Registered once a process: registering again replaces what is on the pages."""
    html, module = (text.replace("ASSETS", address("/assets/viewers/")) for text in (_HTML, _MODULE))
    return st.components.v2.component("kneebox.scene", html=html, js=module)


def show_scene(url: str, key: str, *, height_px: int = HEIGHT_PX, fallback: Path | None = None) -> None:
    """Draw the scene at `url` (a scene.bin of pipeline.report.scene), which the browser asks for itself.

    `fallback` is a still picture, sent only to a browser that cannot show the scene.
    """
    shown = _component()(key=key, data={"url": url, "height": height_px}, on_failed_change=lambda: None)
    if shown.failed and fallback is not None and fallback.is_file():
        st.image(str(fallback), width="stretch", alt="The bones with cartilage thickness as colour, from four sides")
