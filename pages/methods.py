"""What is measured and how, and the models that do it."""

from __future__ import annotations

from html import escape as html_escape

import streamlit as st

from jobs import service
from pipeline.anatomy import SCHEMES
from pipeline.quantities import QUANTITIES
from pipeline.report.colours import css
from ui.methods.model_card import show_model, show_shape_model
from ui.methods.repeatability import show_repeatability
from ui.methods.validations import show_validations
from ui.parts.facts import facts_list
from ui.parts.frame import Visitors, end_page, narrow, start_page

STEPS = """
1. **Outlines.** A network outlines three bones, their cartilage and, where it was trained for them, the menisci.
2. **Side and axes.** The bones are aligned to a reference knee and its mirror image; the better fit determines the
side.
3. **Surfaces.** Each bone becomes a triangulated surface of the smoothed outline.
4. **Thickness.** From every point of the bone surface a ray runs outwards along the normal, to the last crossing of
   the outer cartilage surface. Points where no cartilage is met within 2 mm are denuded.
5. **Regions.** The femoral plate is cut into anterior, weight-bearing and posterior parts, the tibial plate into
   medial and lateral. On the bone surface, all plates are also cut into the subregions of osteoarthritis imaging.
6. **T2, T1rho.** Where the scan has several echoes, or images with spin-lock times: a mono-exponential fit a voxel,
   summarised by region and layer.
"""

start_page("Methods", Visitors.SHOWN)
with narrow():
    st.title("Methods")
    st.markdown(STEPS)
    st.subheader("Quantities")
    st.html(facts_list({quantity.title: quantity.explained for quantity in QUANTITIES.values()}))
    st.subheader("Regions")
    for scheme in SCHEMES:
        st.markdown(f"**{scheme.title}.** {scheme.definition}")
        swatches = "".join(
            f'<span><i style="background:{css(region.colour)}"></i>{html_escape(region.title)}</span>'
            for region in scheme.numbered
        )
        st.html(f'<div class="ok-keys">{swatches}</div>')
    models = service.models()
    st.subheader("Repeatability")
    show_repeatability(models)
    st.subheader("Labelled sets")
    show_validations(models)
    st.subheader("Models")
    for model in models:
        show_model(model)
    for shape_model in service.shape_models():
        show_shape_model(shape_model)
    end_page()
