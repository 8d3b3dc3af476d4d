"""The second 3D view, for users of PyVista: created on demand by a separate process and shown in stpyvista's frame.
If that fails, the page shows a message and continues.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import streamlit as st

from pipeline.report.colours import BONE, THICKNESS_RANGE_MM, VIRIDIS, css
from pipeline.results_tree import SURFACE_PLY, SURFACE_VTP
from ui.parts.addresses import address

EXPORT_TIMEOUT_S: Final = 60.0
HEIGHT_PX: Final = 560
FOREIGN_ICONS: Final = re.compile(r"<link[^>]*https?://[^>]*>")
"""An export names icons on a server of VTK's makers."""

ROOT: Final = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A scene as a self-contained page, or the reason why there is none."""

    html: str = ""
    failure: str = ""


@st.cache_data(max_entries=6, ttl=3600, show_spinner=False)
def export_scene(folder: str, side: str) -> Exported:
    """The surfaces of a results tree, `folder`, as HTML. Never raises and never takes longer than EXPORT_TIMEOUT_S."""
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "scene.html"
        command = [sys.executable, "-m", "ui.viewers.pyvista_export", folder, str(output), "--side", side]
        try:
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=EXPORT_TIMEOUT_S)
            return Exported(html=output.read_text(encoding="utf-8"))
        except subprocess.TimeoutExpired:
            return Exported(failure=f"the export took longer than {EXPORT_TIMEOUT_S:.0f} s")
        except subprocess.CalledProcessError as error:
            crashed = error.returncode < 0
            return Exported(failure="this server has no OpenGL" if crashed else "the export failed")
        except OSError as error:
            return Exported(failure=f"the export could not be started ({type(error).__name__})")


@st.fragment
def offer_pyvista(files_dir: Path, side: str, key: str) -> None:
    """A switch, and below it the view while the switch is on. A fragment: the switch does not run the page again."""
    if st.toggle("PyVista view", key=f"{key}-wanted", help="The same bones, drawn by PyVista and stpyvista."):
        show_pyvista(files_dir, side, key)


def show_pyvista(files_dir: Path, side: str, key: str) -> None:
    """Draw the bones with cartilage thickness as colour, its scale below. `files_dir` is the results tree."""
    if not SURFACE_VTP.found(files_dir):
        st.info("This analysis has no surfaces to show.", icon=":material/view_in_ar:")
        return
    with st.spinner("Preparing the PyVista view"):
        scene = export_scene(str(files_dir), side)
    if scene.failure:
        st.warning(
            f"No PyVista view: {scene.failure}. The download has them as {SURFACE_VTP.path} and {SURFACE_PLY.path}.",
            icon=":material/view_in_ar:",
        )
        return
    with st.container(key="pyvista"):
        _mount(scene.html, key)
    _show_scale()


def _mount(html: str, key: str) -> None:
    """Put the page into stpyvista's frame.

    Its public call exports in a fork of this server and waits for it without limit (a fork that dies hangs the page
    for ever), so the component is given the finished export instead.
    """
    try:
        from stpyvista import _stpv_component as component
    except ImportError:
        st.warning("No PyVista view: stpyvista is not installed, or has changed.", icon=":material/view_in_ar:")
        return
    data = {"_html": _framed(html), "backend": "trame", "height": HEIGHT_PX, "width": 900, "use_container_width": True}
    component(key=key, data=data)


def _framed(html: str) -> str:
    """A page without scripts that shows the export in a separate frame.

    stpyvista's frame follows the Content-Security-Policy of the page around it, which allows no scripts inside a page.
    """
    frame = f'<iframe src="{address("/assets/viewers/export.html")}" title="3D view of the knee"></iframe>'
    style = "<style>html,body,iframe{margin:0;width:100%;height:100%;border:0}textarea{display:none}</style>"
    return f"<!doctype html>{style}<textarea>{escape(FOREIGN_ICONS.sub('', html))}</textarea>{frame}"


def _show_scale() -> None:
    low, high = THICKNESS_RANGE_MM
    stops = ",".join(css(stop) for stop in VIRIDIS)
    ticks = "".join(f"<span>{value:g}</span>" for value in range(int(low), int(high) + 1))
    bar = f'<div class="bar" style="background:linear-gradient(90deg,{stops})"></div>'
    st.html(
        f'<div class="ok-scale"><span>Thickness</span>{bar}<span>mm</span><div class="ticks">{ticks}</div></div>'
        f'<div class="ok-keys"><span><i style="background:{css(BONE)}"></i>Bone outside the plates</span></div>'
        '<p class="ok-quiet">Each bone is turned so that its joint surface faces you: femur from below, tibia from '
        "above, patella from behind. Drag to turn, wheel to zoom.</p>"
    )
