"""A wrong voxel size in the header is recognised from the shape and size of the bones."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from pipeline.alignment import align_knee
from pipeline.anatomy import Structure
from pipeline.errors import ImplausibleAnatomy
from pipeline.knee_size import size_flags
from pipeline.surface import bone_surface
from pipeline.types import Alignment, Segmentation
from tests.support.knees import coarse_knee

pytestmark = pytest.mark.slow

AXES = {"z": (0,), "y": (1,), "x": (2,), "all": (0, 1, 2)}


@lru_cache(maxsize=1)
def aligned() -> Alignment:
    """Of the knee with its true voxel size."""
    return align_knee(bone_surface(coarse_knee(), Structure.FEMUR))


def scaled(factors: np.ndarray) -> tuple[Segmentation, Alignment]:
    """The knee with other voxel sizes, in a pose that fits it before: the fit must find the rest."""
    knee = coarse_knee()
    grid = replace(knee.grid, spacing_mm=tuple(np.array(knee.grid.spacing_mm) * factors))
    back = knee.grid.affine @ np.linalg.inv(grid.affine)
    u, _, vt = np.linalg.svd((aligned().matrix @ back)[:3, :3])
    matrix = np.eye(4)
    matrix[:3, :3] = np.cbrt(abs(np.linalg.det((aligned().matrix @ back)[:3, :3]))) * (u @ vt)
    middle = grid.to_mm([[n / 2 for n in grid.shape]])[0]
    matrix[:3, 3] = (aligned().matrix @ back @ np.append(middle, 1.0))[:3] - matrix[:3, :3] @ middle
    return replace(knee, grid=grid), replace(aligned(), matrix=matrix)


def test_the_true_voxel_size_is_not_flagged() -> None:
    assert size_flags(coarse_knee(), aligned()) == []


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("factor", [0.5, 0.75, 1.25, 2.0])
def test_a_wrong_voxel_size_is_flagged(factor: float, axis: str) -> None:
    factors = np.ones(3)
    factors[list(AXES[axis])] = factor
    (flag,) = size_flags(*scaled(factors))
    assert flag.code == ("UNUSUAL_SIZE" if axis == "all" else "WRONG_VOXEL_SIZE")


@pytest.mark.parametrize(("axis", "factor"), [("x", 0.75), ("y", 1.25)])
def test_a_knee_of_a_wrong_voxel_size_is_flagged_or_refused_by_the_alignment(factor: float, axis: str) -> None:
    knee = coarse_knee()
    spacing = list(knee.grid.spacing_mm)
    for index in AXES[axis]:
        spacing[index] *= factor
    wrong = replace(knee, grid=replace(knee.grid, spacing_mm=tuple(spacing)))
    try:
        alignment = align_knee(bone_surface(wrong, Structure.FEMUR))
    except ImplausibleAnatomy:
        return
    assert size_flags(wrong, alignment)
