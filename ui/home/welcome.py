"""Title and overview of the outputs on the home page."""

from __future__ import annotations

from typing import Final

import streamlit as st

from pipeline.relaxation import RELAXATIONS
from ui.parts.frame import ASSETS

PREVIEW: Final = ASSETS / "preview.jpg"
"""The 3D view of models/reference_knee, an average shape that belongs to no person."""

OUTCOME: Final = (
    ("Thickness", "of femoral, tibial and patellar cartilage, whole and by region, in mm"),
    ("Surfaces", "of the bones with thickness at every point, for 3D Slicer, ParaView or Python"),
    (" or ".join(known.title for known in RELAXATIONS), "by region and layer, where the scan has several echoes"),
    ("Outlines", "on the slices, with flags on results to check"),
    ("One zip", "with tables, label maps, report and provenance"),
)


def show_title() -> None:
    """Title and one sentence on what happens."""
    st.title("Measure a knee MRI")
    st.html(
        '<p class="ok-lead">From one scan to cartilage thickness by region, bone surfaces and T2. '
        "The scan is analysed on this server and is not sent anywhere else.</p>"
    )


def show_outcome() -> None:
    """The outputs of an analysis, with a picture."""
    if PREVIEW.exists():
        with st.container(key="preview"):
            st.image(
                str(PREVIEW),
                width="stretch",
                caption="Cartilage thickness of the reference knee",
                alt="3D view of femur, tibia and patella, coloured by cartilage thickness",
            )
    lines = "".join(f"<li><strong>{title}</strong> {text}</li>" for title, text in OUTCOME)
    st.markdown("**Outputs**")
    st.html(f'<ul class="ok-list">{lines}</ul>')
