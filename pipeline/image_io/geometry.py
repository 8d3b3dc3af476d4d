"""From a header's affine to a Grid, with the checks common to all formats."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableImage, UnsupportedImage
from pipeline.grid import FloatArray, Grid

MIN_SLICES: Final = 10
"""Fewer slices cannot show a knee: 10 slices of 4 mm are 40 mm."""

MIN_SPACING_MM: Final = 0.05
MAX_SPACING_MM: Final = 10.0

SHEAR_TOLERANCE: Final = 2e-3
"""Maximum cosine between two axes attributed to rounding in the header: 0.15 mm at 75 mm from the centre."""

KNEE_EXTENT_MM: Final = (50.0, 350.0)
"""Expected field of view of a knee scan along any axis; outside this range there is a warning, not an error."""


def make_grid(shape: tuple[int, ...], steps_mm: FloatArray, origin_mm: FloatArray) -> Grid:
    """Grid of an image.

    shape     (z, y, x)
    steps_mm  (3, 3) LPS; column 0 is the step from one voxel to the next along x, column 2 along z
    origin_mm (3,) LPS, centre of voxel [0, 0, 0]

    Axes that are not quite at right angles because of rounding in the header are replaced by the nearest rotation
    (polar decomposition, Higham 1986). Raises UnreadableImage for non-numeric geometry, UnsupportedImage for
    spacing outside 0.05 to 10 mm, axes not at right angles, or fewer than 10 voxels along an axis.
    """
    if not (np.isfinite(steps_mm).all() and np.isfinite(origin_mm).all()):
        raise UnreadableImage(
            "Header holds no usable geometry (not a number); expected position, spacing, orientation."
        )
    spacing: FloatArray = np.linalg.norm(steps_mm, axis=0)
    _check_spacing(spacing)
    _check_shape(shape)
    direction = steps_mm / spacing
    shear = float(np.abs(direction.T @ direction - np.eye(3)).max())
    if shear > SHEAR_TOLERANCE:
        raise UnsupportedImage(
            f"Image axes are not at right angles (found a cosine of {shear:.3g} between two of them, "
            f"expected 0 within {SHEAR_TOLERANCE:g}).",
            hint="Resample the image onto a grid with right angles.",
        )
    left, _, right = np.linalg.svd(direction)
    z, y, x = shape
    return Grid(
        shape=(z, y, x),
        spacing_mm=(float(spacing[2]), float(spacing[1]), float(spacing[0])),
        origin_mm=origin_mm,
        direction=left @ right,
    )


def _check_spacing(spacing_xyz: FloatArray) -> None:
    if spacing_xyz.min() < MIN_SPACING_MM or spacing_xyz.max() > MAX_SPACING_MM:
        found = " x ".join(f"{value:.4g}" for value in spacing_xyz)
        raise UnsupportedImage(
            f"Voxel spacing is {found} mm; expected {MIN_SPACING_MM:g} to {MAX_SPACING_MM:g} mm along each axis.",
            hint="The header may use another unit of length than it declares.",
        )


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or min(shape) < 2:
        raise UnsupportedImage(
            f"Image is not three-dimensional ({describe_shape(shape)} voxels found); expected a 3D MR image.",
            hint="Export the whole series, not a single picture.",
        )
    if min(shape) < MIN_SLICES:
        raise UnsupportedImage(
            f"Image has {min(shape)} slices ({describe_shape(shape)} voxels); expected at least {MIN_SLICES}.",
            hint="Export the whole series.",
        )


def describe_shape(shape: tuple[int, ...]) -> str:
    """`160 x 384 x 384`."""
    return " x ".join(str(n) for n in shape)


def lps_from_ras(affine: NDArray[np.floating]) -> FloatArray:
    """(4, 4) index -> RAS mm, as (4, 4) index -> LPS mm: the first two axes change sign."""
    flipped = np.array(affine, dtype=np.float64)
    flipped[:2] *= -1.0
    return flipped


def extent_warnings(grid: Grid) -> tuple[str, ...]:
    """A warning if the field of view is not that of a knee scan."""
    low, high = KNEE_EXTENT_MM
    if all(low <= length <= high for length in grid.extent_mm):
        return ()
    found = " x ".join(f"{length:.0f}" for length in grid.extent_mm)
    return (f"Field of view is {found} mm; a knee scan usually covers {low:g} to {high:g} mm along each axis.",)
