"""Expert label maps prepared for registration: canonical labels, a grid, and points on the bones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import BONES, CARTILAGE_OF, NUMBERINGS, Structure
from pipeline.grid import Grid
from training.registration import FloatArray, Points

PLATE_OF = {bone: plates[0] for bone, plates in CARTILAGE_OF.items()}
"""The medial label represents both tibial plates until the average is split."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Knee:
    """An expert's label map and the points of its bones, LPS mm.

    points: (bone, True) where cartilage covers the bone, (bone, False) where the bone is denuded.
    """

    name: str
    labels: NDArray[np.uint8]
    grid: Grid
    points: Points


def read_knee(path: Path) -> Knee:
    """Read a label map in the numbering `oai`; both tibial plates become MEDIAL_TIBIAL_CARTILAGE."""
    image = sitk.ReadImage(str(path))
    native = sitk.GetArrayViewFromImage(image)
    table = np.zeros(256, np.uint8)
    for label, structure in NUMBERINGS["oai"].to_canonical.items():
        table[label] = structure or 0
    labels = table[native]
    grid = Grid(
        shape=labels.shape,
        spacing_mm=image.GetSpacing()[::-1],
        origin_mm=np.array(image.GetOrigin()),
        direction=np.array(image.GetDirection()).reshape(3, 3),
    )
    return Knee(name=path.name.split("_")[0], labels=labels, grid=grid, points=bone_points(labels, grid, count=2500))


def bone_points(labels: NDArray[np.uint8], grid: Grid, *, count: int, border: int = 3) -> Points:
    """At most `count` boundary points per bone and kind: (bone, covered) -> (n, 3) mm.

    Voxels within `border` of the edge of the image are excluded: a cut shaft is not a surface.
    """
    rng = np.random.default_rng(0)
    inner = np.zeros(labels.shape, bool)
    inner[(slice(border, -border),) * 3] = True
    points: dict[tuple[Structure, bool], FloatArray] = {}
    for bone in BONES:
        box = ndimage.find_objects((labels == bone).view(np.uint8))[0]
        box = tuple(slice(max(0, s.start - 2), s.stop + 2) for s in box)
        mask = labels[box] == bone
        edge = mask & ~ndimage.binary_erosion(mask, border_value=1) & inner[box]
        near = ndimage.binary_dilation(labels[box] == PLATE_OF[bone], iterations=2)
        start = np.array([s.start for s in box])
        for covered in (True, False):
            index = np.argwhere(edge & (near == covered)) + start
            chosen = rng.permutation(len(index))[:count]
            points[bone, covered] = grid.to_mm(index[chosen])
    return points


def one_visit_each(folder: Path) -> list[Path]:
    """The first visit of every knee in the folder."""
    first: dict[str, Path] = {}
    for path in sorted(folder.glob("*.nii.gz")):
        first.setdefault(path.name.split("_")[0], path)
    return list(first.values())
