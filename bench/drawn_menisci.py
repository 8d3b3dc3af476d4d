"""Menisci drawn into a label map that has none, on its own grid."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from pipeline.anatomy import Structure
from pipeline.types import Segmentation
from training.generator.anatomy import isotropic
from training.generator.materials import MENISCI
from training.generator.menisci import PLATE_UNDER, draw_meniscus, draw_shape
from training.generator.space import box_around, is_any
from training.limb import limb_frame

AROUND_MM: Final = 16.0
"""Around the tibial plates; beyond it no meniscus is drawn."""


def with_drawn_menisci(knee: Segmentation, extruded: frozenset[Structure], seed: int) -> Segmentation:
    """The knee with both menisci, drawn at its finest voxel size; only background voxels change.

    knee: canonical labels with separate tibial plates and without menisci. Deterministic for a seed. Raises ValueError
    if femur, tibia or a tibial plate is missing.
    """
    frame = limb_frame(knee.labels, knee.grid)
    box = box_around(is_any(knee.labels, tuple(PLATE_UNDER.values())), round(AROUND_MM / min(knee.grid.spacing_mm)))
    assert box is not None, "limb_frame found both plates"
    here, part = knee.labels[box], knee.grid.part(box)
    fine, grid = isotropic(here, part, min(part.spacing_mm))
    rng = np.random.default_rng(seed)
    for meniscus in MENISCI:
        shape = draw_shape(rng, meniscus, extruded=meniscus in extruded)
        fine = draw_meniscus(fine, grid, frame, meniscus, shape, rng)
    # both grids have the same lower edges and axes
    nearest = [
        np.clip(np.floor((np.arange(n) + 0.5) * s / grid.spacing_mm[0]).astype(np.intp), 0, m - 1)
        for n, s, m in zip(part.shape, part.spacing_mm, grid.shape, strict=True)
    ]
    drawn = fine[np.ix_(*nearest)]
    labels = knee.labels.copy()
    labels[box] = np.where((here == 0) & is_any(drawn, MENISCI), drawn, here)
    return replace(knee, labels=labels)
