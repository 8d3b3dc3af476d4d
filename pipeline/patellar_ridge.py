"""The median ridge of the patella: where two surfaces that slope to either side meet best.

No published rule parts the facets on an MR surface; this one is ours. It uses the whole plate, so that it depends
neither on single points nor on the voxel grid.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.grid import FloatArray

WIDTH_SHARE: Final = 0.7
"""Central fraction of the plate's width in which the ridge is searched."""

STEEPEST: Final = 0.5
"""Largest slope of the ridge against the long axis of the patella (27 degrees)."""

STEPS: Final = 9
"""Candidates along each axis of the search."""

ENOUGH: Final = 4000
"""Of more vertices only every second, third, ... is used: products of longer arrays start threads that cost seconds."""

ROUNDS: Final = 4
"""Each round searches around the best candidate, in steps a quarter as long."""


def ridge_of(x: FloatArray, y: FloatArray, height: FloatArray, areas_mm2: FloatArray) -> tuple[float, float]:
    """(offset, slope): the ridge is at x = offset + slope * y, mm.

    x, y, height (n,) mm: of the bone under the plate, across and along it, above its plane; the ridge is high. Least
    squares, weighted by area, of height = a + b y + c y^2 - m max(t, 0) - l max(-t, 0), t = x - offset - slope y; the
    ridge is searched, the rest is linear.
    """
    every = max(1, len(x) // ENOUGH)
    x, y, height, areas_mm2 = (values[::every] for values in (x, y, height, areas_mm2))
    low, high = np.quantile(x, [0.0, 1.0])
    middle, half = (low + high) / 2, WIDTH_SHARE * (high - low) / 2
    centre, reach = np.array([middle, 0.0]), np.array([half, STEEPEST])
    weights = np.sqrt(areas_mm2)
    smooth = np.stack([np.ones_like(y), y, y**2])
    for _ in range(ROUNDS):
        steps = np.linspace(-1.0, 1.0, STEPS)
        candidates = [centre + reach * (a, b) for a in steps for b in steps]
        inside = [
            (float(offset), float(slope))
            for offset, slope in candidates
            if abs(offset - middle) <= half and abs(slope) <= STEEPEST
        ]
        best = min(inside, key=lambda place: _misfit(place, x, y, height * weights, weights, smooth))
        centre, reach = np.array(best), reach / 4
    return float(centre[0]), float(centre[1])


def _misfit(
    place: tuple[float, float],
    x: FloatArray,
    y: FloatArray,
    weighted: FloatArray,
    weights: FloatArray,
    smooth: FloatArray,
) -> float:
    """Weighted sum of squares that the best roof with this ridge leaves."""
    beyond = x - place[0] - place[1] * y
    columns = np.vstack([smooth, np.maximum(beyond, 0.0), np.maximum(-beyond, 0.0)]) * weights
    solution = np.linalg.lstsq(columns @ columns.T, columns @ weighted, rcond=None)[0]
    return float(weighted @ weighted - solution @ (columns @ weighted))
