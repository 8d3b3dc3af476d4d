"""Reconstructs the surfaces of a latent vector of the built-in model."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import Structure
from pipeline.errors import FitDiverged
from pipeline.grid import FloatArray, Grid
from pipeline.shape.built_in.decoder import FieldDecoder
from pipeline.surface import LEVEL, Field, iso_surface
from pipeline.types import Surface

STEP_MM: Final = 0.7
"""Grid step for cartilage; bone is smooth and uses every second node."""

ABOVE_MM: Final = 3.0
"""The shaft ends this far below the top of the model's box, slightly above the standard cut of every training knee."""

SMALLEST_MM3: Final = 15.0
"""Smaller components of cartilage are removed."""


def surfaces_of(decoder: FieldDecoder, latent: FloatArray, unit_mm: float, *, cartilage: bool) -> tuple[Surface, ...]:
    """Bone, and optionally cartilage, in the model's axes; `unit_mm`: millimetres per unit of the model.

    Raises FitDiverged if a surface is empty.
    """
    box = decoder.fine
    axes = tuple(
        np.arange(low, low + box.cell_mm * (count - 1) + 1e-9, STEP_MM)
        for low, count in zip(box.low, box.counts, strict=True)
    )
    bone, thickness = decoder.on_axes(latent, axes)
    cap = (axes[2] - (axes[2][-1] - ABOVE_MM)).astype(np.float32)
    solids = [(Structure.FEMUR, _largest(np.maximum(bone, cap)[::2, ::2, ::2]), 2 * STEP_MM)]
    if cartilage:
        plate = np.maximum(np.maximum(-bone, bone - thickness), cap)
        solids.append((Structure.FEMORAL_CARTILAGE, _without_crumbs(plate), STEP_MM))
    origin = np.array([axis[0] for axis in axes]) * unit_mm
    return tuple(_surface(solid, step * unit_mm, origin, structure) for structure, solid, step in solids)


def _surface(solid: NDArray[np.float32], spacing: float, origin: FloatArray, structure: Structure) -> Surface:
    """Signed distances (x, y, z) in the model's mm -> their zero surface."""
    if not (solid < 0).any():
        raise FitDiverged(
            f"The shape model found no {structure.title.lower()}; expected distances that are negative inside.",
            structure=structure.key,
        )
    values = np.pad(np.clip(LEVEL - solid.T / (4 * STEP_MM), 0, 1), 1)
    grid = Grid(
        shape=(values.shape[0], values.shape[1], values.shape[2]),
        spacing_mm=(spacing,) * 3,
        origin_mm=origin - spacing,
        direction=np.eye(3),
    )
    return iso_surface(Field(values=values.astype(np.float32), grid=grid), structure)


def _largest(solid: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep only the largest component."""
    pieces, count = ndimage.label(solid < 0)
    if count < 2:
        return solid
    largest = 1 + int(np.argmax(np.bincount(pieces.reshape(-1))[1:]))
    return np.where((pieces > 0) & (pieces != largest), np.float32(STEP_MM), solid)


def _without_crumbs(solid: NDArray[np.float32]) -> NDArray[np.float32]:
    pieces, _ = ndimage.label(solid < 0)
    small = np.bincount(pieces.reshape(-1)) * STEP_MM**3 < SMALLEST_MM3
    small[0] = False
    return np.where(small[pieces], np.float32(STEP_MM), solid)
