"""Which of the ways to divide the plates a chart and its table show."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from pipeline.anatomy import Scheme


def choose_scheme(schemes: Sequence[Scheme], key: str = "scheme") -> Scheme:
    """The first scheme unless another is chosen; nothing to choose where there is only one.

    key: distinguishes the choices of one page
    """
    by_id = {scheme.id: scheme for scheme in schemes}
    chosen: str | None = schemes[0].id
    if len(schemes) > 1:
        chosen = st.segmented_control(
            "Regions of the plates", by_id, default=chosen, key=key, format_func=lambda item: by_id[item].title
        )
    scheme = by_id.get(chosen or "", schemes[0])
    st.html(f'<p class="ok-quiet">{escape(scheme.definition)}</p>')
    return scheme
