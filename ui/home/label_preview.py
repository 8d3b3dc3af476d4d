"""A label map before its analysis: coloured slices, and the structures that its numbers stand for, to be confirmed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from html import escape
from typing import Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from pipeline.anatomy import AUTO, DISTINCT_COLOURS, LATERAL_OF, NAMES, NUMBERINGS, Structure
from pipeline.labels import Reading
from pipeline.options import AnalysisOptions
from pipeline.report.colours import css
from pipeline.report.contact_sheet import outline
from pipeline.upload_facts import LabelMapFacts, LabelSlice
from ui.parts.messages import listed

PICTURE_PX: Final = 420
"""Longest side of a picture."""

FILL: Final = 0.35
"""Opacity of a structure over the scan; without a scan it is drawn at FILL_ALONE."""
FILL_ALONE: Final = 0.75

BLACK: Final = 16
"""Grey level behind a label map without a scan."""


def confirm_labels(labels: LabelMapFacts) -> str | None:
    """Show what the numbers stand for. -> the numbering, once the user has confirmed it; else None"""
    reading = _choose(labels)
    if reading is None:
        return None
    columns = st.columns([item.labels.shape[1] * item.spacing_mm[1] for item in labels.slices])  # equal heights
    for column, item in zip(columns, labels.slices, strict=True):
        column.image(
            draw_slice(item, reading.structures),
            width="stretch",
            caption=item.title,
            alt=f"{item.title} slice with the structures in the colours of the list below",
        )
    st.html(legend(labels, reading))
    if notes := [*labels.warnings, *(reading.warnings if reading.requested != AUTO else ())]:
        st.warning(listed(notes), icon=":material/flag:")
    right = st.checkbox("Each colour is on the structure that the list names", key="labels-confirmed")
    return reading.requested if right else None


def _choose(labels: LabelMapFacts) -> Reading | None:
    """The reading by the names in the file, or with the numbering that the user chooses; None until one is chosen."""
    recognised = labels.readings[0]
    if recognised.decided == NAMES:
        st.html('<p class="ok-outlook">The structures are named in the file.</p>')
        return recognised
    usable = {r.requested: r for r in labels.readings[1:] if not r.refusal}
    names = list(usable)
    metadata = AnalysisOptions.__dataclass_fields__["numbering"].metadata
    chosen = st.selectbox(
        metadata["title"],
        names,
        index=names.index(recognised.decided) if recognised.decided in names else None,
        format_func=lambda name: f"{name}: {NUMBERINGS[name].title}",
        placeholder="Choose the numbering",
        help="Numberings that contradict the anatomy of this map are not offered.",
    )
    if recognised.decided:
        st.html('<p class="ok-quiet">Recognised from the anatomy of the map.</p>')
    else:
        st.html(f'<p class="ok-quiet">{escape(recognised.refusal)}</p>')
    return None if chosen is None else usable[chosen]


def draw_slice(item: LabelSlice, structures: Mapping[int, Structure | None]) -> bytes:
    """A PNG with square pixels: each structure filled and outlined in its own colour."""
    rows, columns = item.labels.shape
    down, right = rows * item.spacing_mm[0], columns * item.spacing_mm[1]
    scale = PICTURE_PX / max(down, right)
    size = (max(round(right * scale), 1), max(round(down * scale), 1))
    canvas = np.full((size[1], size[0], 3), BLACK, dtype=np.float32)
    if item.image is not None:
        canvas[:] = _resized(item.image.astype(np.float32), size)[..., None]
    fill = np.float32(FILL_ALONE if item.image is None else FILL)
    for label, structure in structures.items():
        mask = item.labels == label
        if structure is None or not mask.any():
            continue
        inside = _resized(mask.astype(np.float32), size)
        colour = np.array(DISTINCT_COLOURS[structure], dtype=np.float32)
        canvas += ((inside >= 0.5) * fill)[..., None] * (colour - canvas)
        canvas += outline(inside)[..., None] * (colour - canvas)
    picture = io.BytesIO()
    Image.fromarray(np.rint(np.clip(canvas, 0, 255)).astype(np.uint8), "RGB").save(picture, "PNG")
    return picture.getvalue()


def _resized(array: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(np.ascontiguousarray(array)).resize(size, Image.Resampling.BILINEAR))


def legend(labels: LabelMapFacts, reading: Reading) -> str:
    """Colour, number, structure and volume of every label, as an HTML list."""
    lines = []
    for label, volume in labels.volume_mm3.items():
        structure = reading.structures.get(label)
        colour = "transparent" if structure is None else css(DISTINCT_COLOURS[structure])
        title = "background" if structure is None else _title(structure, reading)
        lines.append(
            f'<li><i style="background:{colour}"></i><span class="number">{label}</span>'
            f'<span>{escape(title)}</span><span class="size">{volume / 1000:.1f} cm³</span></li>'
        )
    return f'<ul class="ok-legend">{"".join(lines)}</ul>'


def _title(structure: Structure, reading: Reading) -> str:
    """Its name; a number for both compartments is split by anatomy later."""
    lateral = LATERAL_OF.get(structure)
    both = lateral is not None and not reading.compartments_apart and lateral not in reading.structures.values()
    shared = structure.title.removeprefix("Medial ").capitalize()
    return f"{shared}, medial and lateral" if both else structure.title
