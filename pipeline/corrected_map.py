"""A label map that was corrected in another program, on the grid of the outlines that it replaces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.anatomy import AUTO, CANONICAL
from pipeline.errors import UnsupportedImage
from pipeline.grid import NO_PLANES, Grid, Planes
from pipeline.label_grid import on_grid
from pipeline.labels import given_segmentation
from pipeline.regions import split_compartments
from pipeline.types import Alignment, LabelMap, Segmentation


def corrected_map(
    label_map: LabelMap, grid: Grid, padding: Planes, alignment: Alignment, numbering: str, *, resample: bool
) -> Segmentation:
    """The map in canonical labels on the grid, with separate compartments.

    grid, padding  of the outlines that it replaces: the map may be on this grid, a part of it, or that of the scan
    alignment      of the knee, which separates compartments that share a label
    numbering, resample   as for given_segmentation; a map whose numbering is not recognised is read as canonical

    Raises UnsupportedImage, EmptyImage.
    """
    placed = _placed(label_map, grid, padding, resample=resample)
    return split_compartments(_named(placed, numbering), alignment)


def _named(placed: LabelMap, numbering: str) -> Segmentation:
    try:
        return given_segmentation(placed, numbering, placed.grid)
    except UnsupportedImage as error:
        if numbering != AUTO:
            raise
        try:
            return given_segmentation(placed, CANONICAL, placed.grid)
        except UnsupportedImage:
            raise error from None


def _placed(label_map: LabelMap, grid: Grid, padding: Planes, *, resample: bool) -> LabelMap:
    """On the grid of the outlines. Raises UnsupportedImage."""
    known = len(label_map.warnings)
    try:
        placed = on_grid(label_map, grid)
        if len(placed.warnings) == known or padding == NO_PLANES:
            return placed
    except UnsupportedImage:
        if padding == NO_PLANES and not resample:
            raise
    whole = on_grid(label_map, grid.extended(padding), resample=resample)
    box = tuple(slice(before, before + n) for (before, _), n in zip(padding, grid.shape, strict=True))
    labels = np.ascontiguousarray(whole.labels[box])
    if np.count_nonzero(labels) != np.count_nonzero(whole.labels):
        raise UnsupportedImage(
            "The label map has labels in a part of the scan that shows no image; expected none there.",
            hint="Remove what was painted outside the image.",
        )
    return replace(whole, labels=labels, grid=grid)
