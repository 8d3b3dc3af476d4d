"""A bone of which a model found a few voxels does not stop the analysis of the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.anatomy import CARTILAGE_OF, Structure
from pipeline.errors import SurfaceFailed
from pipeline.segmentation.crumbs import without_crumbs
from pipeline.surface import bone_surfaces
from pipeline.types import Segmentation
from tests.support.knees import coarse_knee


def with_a_crumb_of(bone: Structure, voxels: int) -> Segmentation:
    """The coarse knee with only some voxels of a bone in a row; its cartilage is kept."""
    knee = coarse_knee()
    labels = knee.labels.copy()
    middle = np.argwhere(labels == bone).mean(axis=0).astype(int)
    labels[labels == bone] = 0
    labels[middle[0], middle[1], middle[2] : middle[2] + voxels] = bone
    return replace(knee, labels=labels)


@pytest.mark.parametrize("bone", [Structure.PATELLA, Structure.TIBIA])
def test_a_crumb_is_left_out_with_its_cartilage_and_stated(bone: Structure) -> None:
    knee = with_a_crumb_of(bone, 1)
    with pytest.raises(SurfaceFailed):
        bone_surfaces(knee)
    found = without_crumbs(knee)
    assert not set(found.boxes) & {bone, *CARTILAGE_OF[bone]}
    others = ~np.isin(knee.labels, [bone, *CARTILAGE_OF[bone]])
    assert np.array_equal(found.labels[others], knee.labels[others])
    (warning,) = found.warnings
    assert bone.title.lower() in warning
    assert "mm³" in warning
    assert len(bone_surfaces(found)) == 2


def test_a_whole_knee_and_a_small_bone_with_a_surface_are_unchanged() -> None:
    whole = coarse_knee()
    assert without_crumbs(whole) is whole
    small = with_a_crumb_of(Structure.PATELLA, 0)
    labels = small.labels.copy()
    z, y, x = np.argwhere(whole.labels == Structure.PATELLA).mean(axis=0).astype(int)
    labels[z - 1 : z + 2, y - 2 : y + 3, x - 2 : x + 3] = Structure.PATELLA
    small = replace(small, labels=labels)
    assert without_crumbs(small) is small


def test_a_crumb_of_a_femur_is_kept_for_the_error_of_a_scan_without_a_knee() -> None:
    knee = with_a_crumb_of(Structure.FEMUR, 1)
    assert without_crumbs(knee) is knee
