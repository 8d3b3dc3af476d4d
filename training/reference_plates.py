"""The bones of the reference knee as surfaces with numbered vertices, for flat maps and values of many knees.

    python -m training.reference_plates

reads models/reference_knee/labels.nrrd and writes models/reference_knee/plates.npz (pipeline/flat_maps/reference.py
states its arrays). Other programs refer to the vertices by number: with other vertices, maps of earlier versions would
no longer fit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.alignment import POINTS, REFERENCE_PATH, near_joint
from pipeline.anatomy import Side
from pipeline.flat_maps.reference import PLATES_PATH
from pipeline.grid import Grid
from pipeline.image_io import read_label_map
from pipeline.options import AnalysisOptions
from pipeline.quantities import PRIMARY
from pipeline.regions import subregions
from pipeline.registration import chosen_rows
from pipeline.subregions import divide_plates
from pipeline.surface import bone_surfaces
from pipeline.thickness import thickness_of_bones
from pipeline.types import Alignment, Segmentation, ThicknessMap

EVERY = 2
"""Every second voxel of the reference: vertices 1 mm apart."""

MARGIN_MM = 8.0
"""Bone this far beyond the edge of the plate is kept: plates of other knees are larger."""


def reference_maps() -> tuple[ThicknessMap, ...]:
    """Thickness, regions and subregions of the reference itself, bone after bone."""
    label_map = read_label_map(REFERENCE_PATH)
    labels = label_map.labels[::EVERY, ::EVERY, ::EVERY].astype(np.uint8)
    spacing = [EVERY * size for size in label_map.grid.spacing_mm]
    grid = Grid(
        shape=(labels.shape[0], labels.shape[1], labels.shape[2]),
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
        origin_mm=label_map.grid.origin_mm,
        direction=label_map.grid.direction,
    )
    knee = Segmentation(labels=labels, grid=grid, model_id="reference_knee")
    itself = Alignment(matrix=np.eye(4), side=Side.RIGHT, residual_mm=0.0, residual_other_mm=0.0)
    options = AnalysisOptions()
    maps = thickness_of_bones(bone_surfaces(knee), knee, subregions(knee, itself), options.cartilage_smoothing)
    maps, _ = divide_plates(maps, knee, itself, options.weight_bearing_share)
    return tuple(item for item in maps if item.method is PRIMARY)


def arrays_of(item: ThicknessMap) -> dict[str, NDArray[np.generic]]:
    """The arrays of one bone, without its name."""
    surface, plate = item.surface, item.in_plate
    points = surface.points_mm
    kept = cKDTree(points[plate]).query(points, distance_upper_bound=MARGIN_MM)[0] < MARGIN_MM
    number = np.cumsum(kept) - 1
    faces = surface.faces[kept[surface.faces].all(axis=1)]
    near = np.flatnonzero(near_joint(surface.structure, points))
    few, many = (near[chosen_rows(points[near], count)] for count in POINTS)
    return {
        "points_mm": points[kept].astype(np.float32),
        "normals": surface.normals[kept].astype(np.float32),
        "areas_mm2": surface.vertex_areas_mm2[kept].astype(np.float32),
        "faces": number[faces].astype(np.int32),
        "thickness_mm": item.thickness_mm[kept].astype(np.float32),
        "region": item.region[kept],
        "subregion": item.subregion[kept],
        "few_mm": points[few].astype(np.float32),
        "many_mm": points[many].astype(np.float32),
        "many_normals": surface.normals[many].astype(np.float32),
    }


def main() -> None:
    """Write the file."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for item in reference_maps():
        name = item.surface.structure.key
        arrays |= {f"{name}_{key}": values for key, values in arrays_of(item).items()}
        # a changed number of vertices breaks maps of earlier versions
        print(f"{name}: {len(arrays[f'{name}_points_mm'])} vertices")
    np.savez_compressed(PLATES_PATH, allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
