"""A knee of two ellipsoids with a bright rim, as an MR image on a given grid: bone is known analytically."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from pipeline.grid import Grid
from pipeline.types import Scan

TILT = np.radians(8.0)
TO_RAS = np.array([[-np.cos(TILT), np.sin(TILT), 0.0], [-np.sin(TILT), -np.cos(TILT), 0.0], [0.0, 0.0, 1.0]])
"""Columns: LPS directions of a tilted x (right), y (front), z (up)."""


def two_bones(
    shape: tuple[int, int, int] = (72, 80, 72), spacing_mm: tuple[float, float, float] = (0.9, 0.8, 1.0)
) -> tuple[Scan, np.ndarray, np.ndarray]:
    """Scan on an oblique, anisotropic grid (z, y, x), and the masks of the upper and the lower bone."""
    axes = [(np.arange(n) - n / 2 + 0.5) * s for n, s in zip(shape, spacing_mm, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    upper = np.sqrt((x / 26) ** 2 + (y / 24) ** 2 + ((z - 24) / 22) ** 2)
    lower = np.sqrt((x / 26) ** 2 + (y / 22) ** 2 + ((z + 24) / 20) ** 2)
    image = np.full(shape, 0.38)
    image[(upper < 1.1) | (lower < 1.08)] = 0.62
    image[(upper < 1) | (lower < 1)] = 0.2
    image = gaussian_filter(image, 0.5) + 0.03 * np.random.default_rng(0).standard_normal(shape)
    grid = Grid(shape=shape, spacing_mm=spacing_mm, origin_mm=np.array([12.0, -40.0, 77.0]), direction=TO_RAS)
    return Scan(echoes=image[None].astype(np.float32), grid=grid), upper < 1, lower < 1


def stored_otherwise(scan: Scan, order: tuple[int, int, int], flips: tuple[int, ...]) -> Scan:
    """The same scan with its array axes permuted and some of them reversed."""
    grid = scan.grid
    echoes = np.flip(scan.echoes.transpose(0, *(axis + 1 for axis in order)), [axis + 1 for axis in flips])
    columns = grid.direction[:, ::-1][:, order]
    columns[:, list(flips)] *= -1
    spacing = tuple(grid.spacing_mm[axis] for axis in order)
    first = [grid.shape[axis] - 1 if order.index(axis) in flips else 0 for axis in range(3)]
    return Scan(
        echoes=np.ascontiguousarray(echoes),
        grid=Grid(
            shape=echoes.shape[1:],
            spacing_mm=spacing,
            origin_mm=grid.to_mm([first])[0],
            direction=columns[:, ::-1],
        ),
    )
