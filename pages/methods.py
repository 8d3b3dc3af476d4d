"""What is measured and how, and the models that do it."""

from __future__ import annotations

from html import escape as html_escape
from typing import Any

import streamlit as st

from jobs import service
from pipeline.anatomy import REGIONS
from pipeline.report.colours import css
from pipeline.types import Sequence
from ui import model_limits, tables, wording
from ui.frame import end_page, narrow, start_page
from ui.messages import escape
from ui.preflight import SEQUENCES
from ui.provenance import TITLES, facts_list
from ui.repeatability import show_repeatability

STEPS = """
1. **Outlines.** A network outlines three bones, their cartilage and, where it was trained for them, the menisci.
2. **Side and axes.** The bones are laid over a reference knee and its mirror image; the better fit names the side.
3. **Surfaces.** Each bone becomes a triangulated surface of the smoothed outline.
4. **Thickness.** From every point of the bone surface a ray runs outwards along the normal, to the last crossing of
   the outer cartilage surface. Points where no cartilage is met within 2 mm are denuded.
5. **Regions.** The femoral plate is cut into anterior, weight-bearing and posterior parts, the tibial plate into
   medial and lateral.
6. **T2.** Where the scan has several echoes: a mono-exponential fit a voxel, summarised by region and layer.
"""


FACTS = (
    "sequences",
    "structures",
    "scope",
    "training_data",
    "measured_on",
    "licence",
    "citation",
    "weights_sha256",
    "source",
)


def show_card(card: dict[str, Any]) -> None:
    """One model: whether it can run, and what its card says."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"#### {escape(card['title'])}")
            if card["available"]:
                st.badge("Ready", color="green", icon=":material/check:")
            else:
                st.badge("No weights installed", color="gray", icon=":material/block:")
        st.write(escape(card.get("description", "")))
        if card.get("caution"):
            st.warning(escape(card["caution"]), icon=":material/flag:")
        missing = {} if card["available"] else {"Missing": card.get("reason")}
        named = card | {"sequences": [SEQUENCES[Sequence(name)] for name in card.get("sequences", ())]}
        st.html(facts_list(missing | {TITLES.get(key, wording.name(key)): named.get(key) for key in FACTS}))
        if card.get("accuracy"):
            with st.expander("Measured accuracy"):
                st.dataframe(tables.accuracy(card["accuracy"]), hide_index=True)
                show_limits(card)


def show_limits(card: dict[str, Any]) -> None:
    """When to distrust the answer."""
    slices = model_limits.slices_table(card)
    if not slices.empty:
        st.markdown("**Thick slices**")
        st.dataframe(slices, hide_index=True)
        st.caption(escape(model_limits.slices_words(card)))
    if words := model_limits.confidence_words(card):
        st.markdown("**Confidence flag**")
        st.caption(escape(words))


start_page("Methods")
with narrow():
    st.title("Methods")
    st.markdown(STEPS)
    st.subheader("Quantities")
    st.html(facts_list({wording.QUANTITIES[key]: text for key, text in wording.DEFINITIONS.items()}))
    st.subheader("Regions")
    swatches = "".join(
        f'<span><i style="background:{css(region.colour)}"></i>{html_escape(region.title)}</span>' for region in REGIONS
    )
    st.html(f'<div class="ok-keys">{swatches}</div>')
    models = service.models()
    st.subheader("Repeatability")
    show_repeatability(models)
    st.subheader("Models")
    for model in models:
        show_card(model)
    end_page()
