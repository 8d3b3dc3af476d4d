"""How pages show numbers that must not be used: grey and struck through, with the reason in words."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

import pandas as pd
import streamlit as st

from pipeline.flags import QualityFlag
from pipeline.uses import Uses

GREY: Final = {"light": "#66727d", "dark": "#94a1ac"}
"""Text of excluded numbers: at least 4.5 : 1 on the background of each theme."""


def uses_of(document: Mapping[str, object]) -> Uses:
    """From a results document, or from one side of a comparison."""
    flags: Any = document.get("flags", [])
    return Uses(flags=tuple(QualityFlag.from_dict(flag) for flag in flags))


def show_note(text: str) -> None:
    """Why something must not be used, or needs caution; nothing for an empty text."""
    if text:
        st.html(f'<p class="ok-reason">{escape(text)}.</p>')


def excluded_figure(title: str, value: str, reason: str) -> str:
    """A headline figure that must not be used, as HTML."""
    return (
        f'<div class="ok-excluded"><p class="ok-quiet">{escape(title)}</p><p class="ok-reason">{escape(reason)}</p>'
        f"<p><s>{escape(value)}</s></p></div>"
    )


def greyed(frame: pd.DataFrame, excluded: pd.DataFrame) -> Any:  # Any: a frame, or pandas' Styler, which is not typed
    """The frame with the text of excluded cells in grey; excluded: True where a cell must not be used."""
    if not excluded.to_numpy().any():
        return frame
    grey = GREY["dark" if st.context.theme.type == "dark" else "light"]
    css = excluded.reindex(columns=frame.columns, fill_value=False).map(lambda out: f"color: {grey}" if out else "")
    return frame.style.apply(lambda _: css, axis=None)
