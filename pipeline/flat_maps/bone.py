"""The flat map of one bone of a knee, and the knee's values at the vertices of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.anatomy import Structure
from pipeline.flat_maps.cells import Cells, cells_of
from pipeline.flat_maps.frame import Frame
from pipeline.flat_maps.reference import ReferencePlate, pose_of, reference_plate
from pipeline.grid import FloatArray
from pipeline.registration import FACING, scale_of
from pipeline.types import Alignment, LabelArray, Surface, ThicknessMap

FAR_MM: Final = 5.0
"""A vertex of the reference further from the registered bone than this has no counterpart. Bones of healthy and
osteoarthritic knees are 0.7 to 1.2 mm from the reference on average."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FlatMap:
    """One bone, in the cells that are the same for all knees (pipeline/flat_maps/cells.py).

    values, at_reference  name -> (r, c) per cell; (m,) at the reference's vertices; NaN: none
    region, subregion     (r, c) uint8: labels of both schemes, 0 outside the plate
    vertex                (m,) int32: for each vertex of the reference the nearest of this bone, -1: none
    pose                  of this bone in the frame of the reference
    """

    structure: Structure
    pose: Alignment
    cells: Cells
    values: Mapping[str, FloatArray]
    region: LabelArray
    subregion: LabelArray
    vertex: NDArray[np.int32]
    at_reference: Mapping[str, FloatArray]

    @property
    def reference(self) -> ReferencePlate:
        """The same bone of the reference knee."""
        return reference_plate(self.structure)

    @property
    def frame(self) -> Frame:
        """How the plate is unrolled."""
        return self.reference.frame

    @property
    def scale(self) -> float:
        """Millimetres of the map per millimetre of the knee."""
        return scale_of(self.pose.matrix)


def flat_map(item: ThicknessMap, alignment: Alignment, values: Mapping[str, FloatArray]) -> FlatMap | None:
    """Unroll one bone. values: name -> (n,) at its vertices, NaN: none.

    None without a plate, or if the bone does not fit the reference.
    """
    surface, plate = item.surface, item.in_plate
    pose = pose_of(surface, alignment) if plate.any() else None
    if pose is None:
        return None
    reference = reference_plate(surface.structure)
    points = pose.to_reference(surface.points_mm)
    cells = cells_of(surface, plate, reference.frame.coordinates(points), reference.frame)
    vertex = counterparts(reference, surface, points, pose)
    return FlatMap(
        structure=surface.structure,
        pose=pose,
        cells=replace(cells, samples=None),
        values={name: cells.mean_of(at_vertices) for name, at_vertices in values.items()},
        region=np.where(cells.vertex >= 0, item.region[cells.vertex], 0).astype(np.uint8),
        subregion=np.where(cells.vertex >= 0, item.subregion[cells.vertex], 0).astype(np.uint8),
        vertex=vertex,
        at_reference={name: np.where(vertex >= 0, known[vertex], np.nan) for name, known in values.items()},
    )


def counterparts(
    reference: ReferencePlate, surface: Surface, points_ref: FloatArray, pose: Alignment
) -> NDArray[np.int32]:
    """(m,): for each vertex of the reference the nearest of a bone; -1 beyond FAR_MM or where it faces elsewhere.

    points_ref (n, 3): the bone's vertices in the frame of the reference
    """
    there = reference.surface
    tree = cKDTree(points_ref, balanced_tree=False, compact_nodes=False)
    distance, nearest = tree.query(there.points_mm, distance_upper_bound=FAR_MM)
    met = np.isfinite(distance)
    nearest = np.where(met, nearest, 0)
    turn = pose.matrix[:3, :3] / scale_of(pose.matrix)
    facing = np.einsum("ij,ij->i", surface.normals[nearest] @ turn.T, there.normals)
    return np.where(met & (facing > FACING), nearest, -1).astype(np.int32)
