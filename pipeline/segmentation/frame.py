"""A scan's grid in a network's axes, and the isotropic one that the network looks at."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.grid import FloatArray
from pipeline.segmentation.sampling import isotropic_shape, positions

Box = tuple[slice, slice, slice]
Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A box of a scan and the isotropic grid over it; both share their lower edges.

    shape, spacing_mm  of the scan in the network's axes
    box                voxels of the scan that the isotropic grid covers
    """

    shape: Shape
    spacing_mm: tuple[float, float, float]
    box: Box
    resolution_mm: float

    @property
    def isotropic(self) -> Shape:
        """Voxels of the isotropic grid."""
        a, b, c = (side.stop - side.start for side in self.box)
        return isotropic_shape((a, b, c), self.spacing_mm, self.resolution_mm)

    def of_scan(self, box: Box) -> tuple[FloatArray, FloatArray, FloatArray]:
        """For each axis (n,): where a box of the scan's voxels lies, in the isotropic index."""
        a, b, c = (
            positions(n, spacing, self.resolution_mm)[side] - own.start * spacing / self.resolution_mm
            for n, spacing, side, own in zip(self.shape, self.spacing_mm, box, self.box, strict=True)
        )
        return a, b, c


def whole(shape: Shape) -> Box:
    """Every voxel."""
    a, b, c = (slice(0, n) for n in shape)
    return a, b, c
