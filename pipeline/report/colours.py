"""Colour scales: the same scale for thickness in every picture, chart and surface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import TISSUE_COLOURS, Tissue
from pipeline.grid import FloatArray

RgbArray = NDArray[np.uint8]

THICKNESS_RANGE_MM: Final = (0.0, 5.0)
"""Fixed, so that two knees can be compared visually; thicker cartilage has the last colour."""

VIRIDIS: Final = (
    (68, 1, 84),
    (72, 40, 120),
    (62, 73, 137),
    (49, 104, 142),
    (38, 130, 142),
    (31, 158, 137),
    (53, 183, 121),
    (110, 206, 88),
    (181, 222, 43),
    (253, 231, 37),
)
"""Ten equidistant stops of viridis (van der Walt and Smith, CC0): uniform in lightness, suitable for colour-blind
readers.
"""

GREYS: Final = ((70, 74, 78), (222, 225, 228))
"""Scale of values that must not be used: never that of a measurement."""

CHANGE_RANGE_MM: Final = (-1.0, 1.0)
"""Range of differences between two analyses; fixed, as above."""

DIVERGING: Final = (
    (158, 57, 20),
    (185, 103, 71),
    (208, 148, 124),
    (227, 193, 179),
    (240, 240, 238),
    (192, 198, 216),
    (144, 158, 194),
    (93, 120, 172),
    (24, 84, 150),
)
"""Rust for loss, blue for gain, light grey for none: nine stops, equidistant on straight lines through CIELAB, so that
both sides have the same lightness at the same distance; colour-blind readers can distinguish the hues.
"""

BONE: Final = TISSUE_COLOURS[Tissue.BONE]


def value_rgb(
    values: FloatArray, ends: tuple[float, float], scale: Sequence[tuple[int, int, int]], missing: tuple[int, int, int]
) -> RgbArray:
    """(n,) -> (n, 3) sRGB. ends: values of the first and the last stop; scale: equidistant stops; missing: of NaN."""
    position = np.clip((np.nan_to_num(values) - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0) * (len(scale) - 1)
    stops = np.array(scale, dtype=np.float64)
    channels = [np.interp(position, np.arange(len(stops)), stops[:, k]) for k in range(3)]
    rgb = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    rgb[np.isnan(values)] = missing
    return rgb


def thickness_rgb(thickness_mm: FloatArray, scale: Sequence[tuple[int, int, int]] = VIRIDIS) -> RgbArray:
    """(n,) mm -> (n, 3) sRGB; NaN (no cartilage plate) has the colour of bone. scale: equidistant stops."""
    return value_rgb(thickness_mm, THICKNESS_RANGE_MM, scale, BONE)


def css(rgb: tuple[int, int, int]) -> str:
    """`#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def thickness_css(thickness_mm: float) -> str:
    """One thickness as `#rrggbb`."""
    red, green, blue = (int(c) for c in thickness_rgb(np.array([thickness_mm]))[0])
    return css((red, green, blue))
