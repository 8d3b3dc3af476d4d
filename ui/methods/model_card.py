"""One model of *Methods*: whether it can run, the facts of its card, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd
import streamlit as st

from jobs import service
from pipeline.segmentation.card import Figures, ThicknessError
from pipeline.segmentation.identity import named_digests
from ui.methods import model_limits
from ui.parts import tables, wording
from ui.parts.facts import MODEL_FACT_TITLES, facts_list
from ui.parts.messages import escape


def show_model(model: service.ModelFacts) -> None:
    """A segmentation model."""
    card, state = model.card, model.availability
    with st.container(border=True):
        _show_head(card.title, card.description, card.caution, available=state.available)
        facts = {
            "sequences": [sequence.words for sequence in card.sequences],
            "structures": [structure.key for structure in card.structures],
            "scope": card.scope,
            "training_data": card.training_data,
            "measured_on": card.figures.measured_on,
            "licence": card.licence,
            "citation": card.citation,
            "weights_sha256": named_digests(model.identity.digests)["weights_sha256"],
            "source": card.source,
        }
        _show_facts(facts, "" if state.available else state.reason)
        if card.figures.accuracy:
            with st.expander("Measured accuracy"):
                st.dataframe(_accuracy(card.figures), hide_index=True)
                _show_thickness(card.figures.thickness)
                _show_limits(model)
                _show_training_renderer(card.training_renderer)
        picture = service.model_picture(card.id) if card.real_scan else None
        if picture is not None:
            with st.expander("On a real scan"):
                st.write(escape(card.real_scan))
                st.image(picture.read_bytes(), caption="Bones and cartilage as outlined, slice by slice.")


def show_shape_model(model: service.ShapeModelFacts) -> None:
    """A shape model."""
    with st.container(border=True):
        _show_head(model.title, model.description, model.caution, available=model.available)
        facts = {
            "structures": model.structures,
            "training_data": model.training_data,
            "measured_on": model.measured_on,
            "licence": model.licence,
            "citation": model.citation,
            "weights_sha256": model.weights_sha256,
            "source": model.source,
        }
        _show_facts(facts, "" if model.available else model.reason)
        if model.accuracy:
            with st.expander("Measured accuracy"):
                st.dataframe(tables.accuracy(model.accuracy), hide_index=True)


def _show_head(title: str, description: str, caution: str, *, available: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"#### {escape(title)}")
        if available:
            st.badge("Ready", color="green", icon=":material/check:")
        else:
            st.badge("No weights installed", color="gray", icon=":material/block:")
    st.write(escape(description))
    if caution:
        st.warning(escape(caution), icon=":material/flag:")


def _show_facts(facts: Mapping[str, object], missing: str) -> None:
    named = {MODEL_FACT_TITLES.get(key, wording.name(key)): value for key, value in facts.items()}
    st.html(facts_list({"Missing": missing} | named))


def _accuracy(figures: Figures) -> pd.DataFrame:
    return tables.accuracy({structure: asdict(accuracy) for structure, accuracy in figures.accuracy.items()})


def _show_thickness(thickness: Mapping[str, ThicknessError]) -> None:
    """Error of regional thickness."""
    errors = tables.thickness_errors({region: asdict(error) for region, error in thickness.items()})
    if not errors.empty:
        st.markdown("**Thickness (ThC), region means against the experts' maps**")
        st.dataframe(errors, hide_index=True)


def _show_training_renderer(figures: Figures | None) -> None:
    """The same knees rendered as in training: how much of an error is due to the renderer."""
    if figures is not None:
        st.markdown("**Images of the training renderer**")
        st.caption(escape(f"Measured on {figures.measured_on}."))
        st.dataframe(_accuracy(figures), hide_index=True)
        _show_thickness(figures.thickness)


def _show_limits(model: service.ModelFacts) -> None:
    """When to distrust the answer."""
    slices = model_limits.slices_table(model.card.thick_slices)
    if not slices.empty:
        st.markdown("**Thick slices**")
        st.dataframe(slices, hide_index=True)
        st.caption(escape(model_limits.slices_words(model.card.thick_slices)))
    contrasts = model_limits.contrasts_table(model.card.contrasts)
    if not contrasts.empty:
        st.markdown("**Sequences**")
        st.dataframe(contrasts, hide_index=True)
        st.caption(escape(model_limits.CONTRAST_WORDS))
    if words := model_limits.confidence_words(model.card.confidence_flag):
        st.markdown("**Confidence flag**")
        st.caption(escape(words))
