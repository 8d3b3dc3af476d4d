"""Voxels without a measured value: NaN outside a resampled field of view, padding, infinite or damaged values.

Voxels outside the field of view are background and are filled with the lowest value of the image, with a warning.
Voxels inside the image are damage: a few are set to 0, more are an error.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnreadableImage

MAX_BAD_FRACTION: Final = 1e-3
"""Maximum fraction of voxels inside the image that may be NaN or infinite; they are set to 0."""

MAX_OUTSIDE_FRACTION: Final = 0.9
"""Maximum fraction of an image outside the field of view (NaN)."""

MIN_PADDED_FRACTION: Final = 5e-3
"""A negative value with a smaller fraction of voxels is a measured value, not padding."""

PADDING_GAP: Final = 0.5
"""Minimum gap between a padding value and the next higher value, as a fraction of the range of all other values."""


def count_bad(piece: NDArray[np.float32]) -> int:
    """Number of NaN or infinite values."""
    # a single bad value makes the sum non-finite: ten times faster than isfinite for valid data
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(piece.sum(dtype=np.float64)):
            return 0
    return int((~np.isfinite(piece)).sum())


def fill_missing(echoes: NDArray[np.float32]) -> tuple[str, ...]:
    """Replace NaN and infinite voxels of `echoes` (e, z, y, x) in place; returns a warning for each kind found.

    Raises UnreadableImage if too many are inside the image.
    """
    if not sum(count_bad(image) for image in echoes.reshape(-1, *echoes.shape[2:])):
        return ()
    bad = ~np.isfinite(echoes)
    outside = outside_of(np.isnan(echoes))
    warnings = judge_missing(bad, outside)
    lowest = float(echoes[~bad].min())
    echoes[bad] = 0.0
    echoes[outside] = lowest
    return warnings


def judge_missing(bad: NDArray[np.bool_], outside: NDArray[np.bool_]) -> tuple[str, ...]:
    """Warnings about bad voxels, given all of them and those outside the field of view, both (e, z, y, x).

    Raises UnreadableImage if too many are inside the image, or too few valid voxels remain.
    """
    missing, inside = int(outside.sum()), int(bad.sum()) - int(outside.sum())
    found = f"{inside:,} of {bad.size:,} voxels are not a number or infinite"
    if inside >= MAX_BAD_FRACTION * bad.size:
        raise UnreadableImage(
            f"{found}; expected fewer than {MAX_BAD_FRACTION:.1%}.",
            hint="Values may be missing only outside the field of view: at the border of the image, as NaN.",
            bad_voxels=inside,
        )
    if missing > MAX_OUTSIDE_FRACTION * bad.size:
        raise UnreadableImage(
            f"{missing / bad.size:.0%} of the voxels are not a number; expected at most {MAX_OUTSIDE_FRACTION:.0%}.",
            hint="Export the image again, with its voxel values.",
            bad_voxels=missing,
        )
    warnings = []
    if missing:
        warnings.append(
            f"{missing / bad.size:.1%} of the voxels are not a number, at the border of the image; they were taken for "
            "background and filled with the lowest value."
        )
    if inside:
        warnings.append(f"{found}; they were set to 0.")
    return tuple(warnings)


def outside_of(missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of `missing` (e, z, y, x) that is background: connected to the border of its echo.

    Fewer than MAX_BAD_FRACTION of all voxels count as damage at any position: an empty mask is returned.
    """
    outside = np.zeros_like(missing)
    if int(missing.sum()) < MAX_BAD_FRACTION * missing.size:
        return outside
    from scipy import ndimage  # not needed to check a valid file

    for echo, found in zip(missing, outside, strict=True):
        parts, _ = ndimage.label(echo)
        faces = [np.unique(np.take(parts, edge, axis=axis)) for axis in range(3) for edge in (0, -1)]
        border = np.unique(np.concatenate(faces))
        found[...] = np.isin(parts, border[border > 0])
    return outside


def fill_padding(echoes: NDArray[np.float32]) -> tuple[str, ...]:
    """Replace a padding value of `echoes` (e, z, y, x) in place by the lowest other one; returns a warning if there was
    any. Padding is one negative value shared by many voxels and far below all others, which does not occur as MR
    signal.
    """
    lowest = float(echoes.min())
    if lowest >= 0:
        return ()
    padded = echoes == lowest
    if padded.mean() < MIN_PADDED_FRACTION or padded.all():
        return ()
    others = echoes[~padded]
    low, high = float(others.min()), float(others.max())
    if low - lowest < PADDING_GAP * (high - low) or low - lowest < 1.0:
        return ()
    echoes[padded] = low
    return (
        f"{padded.mean():.1%} of the voxels hold the value {lowest:g}, far below all others; they were taken for "
        "padding and filled with the lowest other value.",
    )
