"""The options of an analysis as widgets, generated from AnalysisOptions, so that a new one appears by itself."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any, Final

import streamlit as st

from jobs import service
from pipeline.options import CHOICES, AnalysisOptions
from ui.parts import wording

CONSENT: Final = "retain_results"
MODEL: Final = "segmentation_model"


# Any: values of options have the types of the fields of AnalysisOptions, which checks them.
def draw_options(models: list[service.ModelFacts]) -> dict[str, Any]:
    """The basic options, next to each other. Returns the value of each option. Without models, none is chosen."""
    values: dict[str, Any] = {}
    for item in fields(AnalysisOptions):
        if item.metadata["advanced"] or item.metadata["preflight"] or item.name == CONSENT:
            continue
        if item.name != MODEL:
            values[item.name] = _widget(item)
        elif models:
            values[item.name] = _model_choice(item, models)
    return values


def advanced_options() -> dict[str, object]:
    """The advanced options. -> value of each option"""
    return {item.name: _widget(item) for item in fields(AnalysisOptions) if item.metadata["advanced"]}


def unavailable(models: list[service.ModelFacts], model_id: str) -> str:
    """Why a model cannot run; empty where it can."""
    for model in models:
        if model.card.id == model_id and not model.availability.available:
            return model.availability.reason or "Its weights are not installed."
    return ""


def _model_choice(item: Field[Any], models: list[service.ModelFacts]) -> str:
    titles = {
        model.card.id: model.card.title + ("" if model.availability.available else " (no weights installed)")
        for model in models
    }
    choices = list(titles)
    chosen = st.selectbox(
        item.metadata["title"],
        choices,
        index=choices.index(str(item.default)),
        format_func=titles.__getitem__,
        help=item.metadata["help"],
    )
    return str(chosen)


FEW: Final = 4
"""More choices are a list to open, not buttons."""


def _choice(value: str) -> str:
    """The empty choice is the only one of its kind, e.g. an image of one knee."""
    return wording.name(value) if value else "Only one"


def _code(value: str) -> str:
    return value or "As in the header, checked"


def _widget(item: Field[Any]) -> Any:
    """One option as a widget: closed vocabulary, yes or no, text, number within its bounds."""
    title, text = item.metadata["title"], item.metadata["help"]
    choices = CHOICES.get(item.name)
    if choices is not None and len(choices) > FEW:
        return st.selectbox(title, choices, index=choices.index(item.default), format_func=_code, help=text)
    if choices is not None:
        return st.segmented_control(title, choices, default=item.default, required=True, format_func=_choice, help=text)
    if isinstance(item.default, bool):
        return st.checkbox(title, value=item.default, help=text)
    if isinstance(item.default, str):
        return st.text_input(title, value=item.default, max_chars=14, help=text).strip()
    if not isinstance(item.default, (int, float)):
        raise TypeError(f"{item.name}: there is no widget for {item.default!r}")
    low, high = item.metadata.get("ge"), item.metadata.get("le")
    return st.number_input(
        title,
        min_value=None if low is None else float(low),
        max_value=None if high is None else float(high),
        value=float(item.default),
        format="%.4g",
        help=text,
    )
