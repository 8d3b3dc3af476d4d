"""One segmentation model: whether it can run here, what its card says, and when to distrust it."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from jobs import service
from pipeline.acquisition import PulseSequence
from ui.methods import model_limits
from ui.parts import tables, wording
from ui.parts.facts import MODEL_FACT_TITLES, facts_list
from ui.parts.messages import escape

FACTS: Final = (
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
        named = card | {"sequences": [PulseSequence(name).words for name in card.get("sequences", ())]}
        st.html(facts_list(missing | {MODEL_FACT_TITLES.get(key, wording.name(key)): named.get(key) for key in FACTS}))
        if card.get("accuracy"):
            with st.expander("Measured accuracy"):
                st.dataframe(tables.accuracy(card["accuracy"]), hide_index=True)
                _show_thickness(card)
                _show_limits(card)
                _show_training_renderer(card)
        picture = service.model_picture(card["id"]) if card.get("real_scan") else None
        if picture is not None:
            with st.expander("On a real scan"):
                st.write(escape(card["real_scan"]))
                st.image(picture.read_bytes(), caption="Bones and cartilage as outlined, slice by slice.")


def _show_thickness(card: dict[str, Any]) -> None:
    """How far regional thickness is off."""
    errors = tables.thickness_errors(card.get("thickness") or {})
    if not errors.empty:
        st.markdown("**Thickness (ThC), region means against the experts' maps**")
        st.dataframe(errors, hide_index=True)


def _show_training_renderer(card: dict[str, Any]) -> None:
    """The same knees as the renderer of training makes them: how much of an error is due to the renderer."""
    if figures := card.get("training_renderer"):
        st.markdown("**Images of the training renderer**")
        st.caption(escape(f"Measured on {figures['measured_on']}."))
        st.dataframe(tables.accuracy(figures["accuracy"]), hide_index=True)
        _show_thickness(figures)


def _show_limits(card: dict[str, Any]) -> None:
    """When to distrust the answer."""
    slices = model_limits.slices_table(card)
    if not slices.empty:
        st.markdown("**Thick slices**")
        st.dataframe(slices, hide_index=True)
        st.caption(escape(model_limits.slices_words(card)))
    if words := model_limits.confidence_words(card):
        st.markdown("**Confidence flag**")
        st.caption(escape(words))
