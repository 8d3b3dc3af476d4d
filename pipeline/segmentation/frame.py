"""A scan's grid in a network's axes, and the isotropic grid of the network's input."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.grid import FloatArray
from pipeline.segmentation.sampling import isotropic_shape, positions

Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A scan's voxels and the isotropic grid over them; both share their lower edges.

    shape, spacing_mm  of the scan in the network's axes
    """

    shape: Shape
    spacing_mm: tuple[float, float, float]
    resolution_mm: float

    @property
    def isotropic(self) -> Shape:
        """Voxels of the isotropic grid."""
        return isotropic_shape(self.shape, self.spacing_mm, self.resolution_mm)

    @property
    def places(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """For each axis (n,): positions of the scan's voxels in the isotropic index."""
        a, b, c = (
            positions(n, spacing, self.resolution_mm) for n, spacing in zip(self.shape, self.spacing_mm, strict=True)
        )
        return a, b, c
