"""What a first visitor of the home page sees beside the form."""

from __future__ import annotations

from typing import Final

import streamlit as st

from pipeline.quantities import T2
from ui.parts.frame import ASSETS

PREVIEW: Final = ASSETS / "preview.jpg"
"""The 3D view of models/reference_knee, an averaged shape and nobody's knee."""

OUTCOME: Final = (
    ("Thickness", "of femoral, tibial and patellar cartilage, whole and by region, in mm"),
    ("Surfaces", "of the bones with thickness at every point, for 3D Slicer, ParaView or Python"),
    (T2.title, "by region and layer, where the scan has several echoes"),
    ("Outlines", "on the slices to check, and flags where to look twice"),
    ("One zip", "with tables, label maps, report and how it was made"),
)


def show_title() -> None:
    """Title and one sentence on what happens."""
    st.title("Measure a knee MRI")
    st.html(
        '<p class="ok-lead">From one scan to cartilage thickness by region, bone surfaces and T2. '
        "The scan is measured on this server and goes nowhere else.</p>"
    )


def show_outcome() -> None:
    """What an analysis gives, with a picture of it."""
    if PREVIEW.exists():
        with st.container(key="preview"):
            st.image(
                str(PREVIEW),
                width="stretch",
                caption="Cartilage thickness of the reference knee",
                alt="3D view of femur, tibia and patella, coloured by cartilage thickness",
            )
    lines = "".join(f"<li><strong>{title}</strong> {text}</li>" for title, text in OUTCOME)
    st.markdown("**What you get**")
    st.html(f'<ul class="ok-list">{lines}</ul>')
