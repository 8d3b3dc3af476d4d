"""The same bones through stpyvista's public call. The second command-line argument is the folder with {bone}.vtp."""

from __future__ import annotations

import sys
from pathlib import Path

import pyvista as pv
import streamlit as st
from stpyvista import stpyvista

from pipeline.anatomy import BONES
from pipeline.report.colours import THICKNESS_RANGE_MM

st.set_page_config(page_title="stpyvista", layout="wide")
st.title("stpyvista")
plotter = pv.Plotter(off_screen=True, window_size=[1200, 600])
for bone in BONES:
    path = Path(sys.argv[2]) / f"{bone.key}.vtp"
    if path.exists():
        plotter.add_mesh(
            pv.read(path), scalars="thickness_mm", clim=list(THICKNESS_RANGE_MM), smooth_shading=True, nan_color="wheat"
        )
plotter.view_xz()
stpyvista(plotter, key="knee")
