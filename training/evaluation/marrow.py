"""Changes inside bone for the second renderer: oedema and open growth plates. Labels stay."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.grid import Grid
from pipeline.types import LabelArray
from training.canvas import Insert, Lattice
from training.generator.marrow import PHYSIS_LEVEL_MM
from training.generator.materials import BONES, PLATES
from training.generator.space import box_around, is_any, limb_coordinates
from training.limb import limb_frame
from training.signal import TISSUES, Kind, Properties

OEDEMA: Final = Properties(density=0.90, t1_ms=1700.0, t2_ms=85.0, fat=0.30)
"""Most of the fat is replaced by water."""
PHYSIS: Final = Properties(density=0.88, t1_ms=1300.0, t2_ms=50.0, fat=0.05)
"""Cartilage of a growth plate."""
LESIONS: Final = 5
RADIUS_MM: Final = (9.0, 16.0)
HALF_MM: Final = 1.4
LINE_MM: Final = 0.8
"""Half the thickness of a growth plate, and the dark line of bone on both sides."""


def oedema(labels: LabelArray, grid: Grid, rng: np.random.Generator) -> tuple[Insert, ...]:
    """Diffuse lesions under the cartilage of all bones; labels: canonical, on an isotropic grid."""
    voxel_mm = grid.spacing_mm[0]
    under = np.argwhere(is_any(labels, PLATES))
    found = []
    for place in under[rng.integers(len(under), size=LESIONS)]:
        radius = float(rng.uniform(*RADIUS_MM))
        reach = round(1.6 * radius / voxel_mm)
        z, y, x = (slice(max(0, p - reach), min(n, p + reach + 1)) for p, n in zip(place, labels.shape, strict=True))
        axes = np.ix_(*(np.arange(s.start, s.stop) - p for s, p in zip((z, y, x), place, strict=True)))
        square = sum((axis * voxel_mm / radius).astype(np.float32) ** 2 for axis in axes)
        share = np.float32(0.85) * np.exp(-(np.asarray(square) ** 2)) * is_any(labels[z, y, x], BONES)
        found.append(Insert(box=(z, y, x), share=np.asarray(share, np.float32), tissue=OEDEMA, texture=0.25))
    return tuple(found)


def open_growth_plates(labels: LabelArray, grid: Grid, rng: np.random.Generator) -> tuple[Insert, ...]:
    """Undulating plates of cartilage through femur and tibia, between dark lines."""
    lattice = Lattice(grid)
    level = limb_coordinates(lattice, limb_frame(labels, grid), lambda straight: straight)[..., 2]
    level = level + 2.0 * lattice.noise(rng, 14.0)
    found = []
    for bone, height in PHYSIS_LEVEL_MM.items():
        box = box_around(labels == bone, 1)
        if box is None:
            continue
        away = np.abs(lattice.to_grid(np.asarray(level, np.float32), box) - np.float32(height))
        inside = (labels[box] == bone).astype(np.float32)
        for thickness, tissue in ((HALF_MM + LINE_MM, TISSUES[Kind.CORTEX]), (HALF_MM, PHYSIS)):
            share = np.clip(0.5 + (thickness - away) / 0.6, 0.0, 1.0) * inside
            found.append(Insert(box=box, share=np.asarray(share, np.float32), tissue=tissue))
    return tuple(found)
