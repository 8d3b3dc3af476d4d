"""Two knees in one image, and objects beside a knee, made from the averaged knee."""

from __future__ import annotations

import numpy as np

from pipeline.grid import Grid
from pipeline.types import Segmentation
from tests.support.knees import turned_knee

GAP_MM = 20.0
"""Background between the knees."""


def on_longer_grid(labels: np.ndarray, grid: Grid) -> Segmentation:
    """Labels with more slices at the end than the grid has."""
    longer = Grid(
        shape=(labels.shape[0], labels.shape[1], labels.shape[2]),
        spacing_mm=grid.spacing_mm,
        origin_mm=grid.origin_mm,
        direction=grid.direction,
    )
    return Segmentation(labels=labels.astype(np.uint8), grid=longer, model_id="two knees")


def two_knees(
    *, kept: float = 1.0, knee: Segmentation | None = None
) -> tuple[Segmentation, Segmentation, Segmentation]:
    """Both knees in one image, and each of them alone on the same grid: the right one, the left one.

    kept: fraction of the slices of the left knee inside the image; knee: the right one, default the turned knee
    """
    knee = knee or turned_knee()
    # slices run from the patient's left to the right: the left knee comes first
    left = knee.labels[::-1]
    left = left[round(len(left) * (1 - kept)) :]
    slices = round(GAP_MM / knee.grid.spacing_mm[0])
    gap = np.zeros((slices, *knee.grid.shape[1:]), np.uint8)
    both = np.concatenate([left, gap, knee.labels])
    here = np.arange(len(both)) < len(left) + slices // 2
    return (
        on_longer_grid(both, knee.grid),
        on_longer_grid(np.where(here[:, None, None], 0, both), knee.grid),
        on_longer_grid(np.where(here[:, None, None], both, 0), knee.grid),
    )


def beside(knee: Segmentation, width_mm: float = 90.0) -> tuple[np.ndarray, slice]:
    """Labels with empty slices at the end, and where these are."""
    more = np.zeros((round(width_mm / knee.grid.spacing_mm[0]), *knee.grid.shape[1:]), np.uint8)
    return np.concatenate([knee.labels, more]), slice(len(knee.labels), None)
