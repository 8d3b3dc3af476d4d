"""Bone surfaces from a label map: crop, separable Gaussian, iso-surface at 0.5. No repair, no temporary files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D

from pipeline.anatomy import BONES, Structure, Tissue
from pipeline.bone_mask import solid_bone
from pipeline.errors import EmptyStructure, SurfaceFailed
from pipeline.grid import FloatArray, Grid
from pipeline.parts import COMPUTED, Parts
from pipeline.types import Segmentation, Surface

SMOOTHING_VARIANCE_MM2: Final = 0.5
"""Variance of the Gaussian applied to every label before its boundary is computed: SD 0.71 mm, one voxel at 0.7 mm
slices. The same for bone and for bone-or-cartilage, so that its bias on curved surfaces cancels in their distance."""

NORMAL_VARIANCE_MM2: Final = 0.5
"""Variance of the box average applied before computing normals: the voxel staircase tilts them by 2.0 degrees without
it and by 0.9 with it, on spheres at 0.7 mm slices. A box of width w voxels has the variance (w² - 1) / 12."""

LEVEL: Final = 0.5
"""The boundary of a smoothed label: exact for a flat surface at any width of the Gaussian."""

TRUNCATE: Final = 3.0
"""The Gaussian is truncated at this many SDs; 0.3 % of it is outside."""

MARGIN_MM: Final = 3.0
"""Empty border around the structure: more than four SDs of the Gaussian."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """A scalar field (z, y, x) float32 with its grid, sampled by trilinear interpolation; 0 outside."""

    values: NDArray[np.float32]
    grid: Grid

    def at_index(self, index: FloatArray) -> FloatArray:
        """(3, n) voxel indices (z, y, x), fractions allowed -> (n,) values."""
        sampled: FloatArray = ndimage.map_coordinates(
            self.values, index, output=np.float64, order=1, mode="constant", cval=0.0, prefilter=False
        )
        return sampled


def smoothed(mask: NDArray[np.bool_], grid: Grid, variance_mm2: float) -> Field:
    """The mask (z, y, x), with an empty margin around it, convolved with a Gaussian of the given variance."""
    pad = [int(np.ceil(MARGIN_MM / spacing)) for spacing in grid.spacing_mm]
    values = np.pad(mask.astype(np.float32), [(p, p) for p in pad])
    padded = Grid(
        shape=(values.shape[0], values.shape[1], values.shape[2]),
        spacing_mm=grid.spacing_mm,
        origin_mm=grid.to_mm([[-p for p in pad]])[0],
        direction=grid.direction,
    )
    if variance_mm2 > 0:
        sigma = [np.sqrt(variance_mm2) / spacing for spacing in grid.spacing_mm]
        values = ndimage.gaussian_filter(values, sigma, mode="constant", truncate=TRUNCATE)
    return Field(values=values, grid=padded)


def contour(field: Field) -> tuple[FloatArray, NDArray[np.int64]]:
    """The iso-surface of the field at LEVEL: points (n, 3) in mm along the grid's (x, y, z), and triangles (m, 3)."""
    image = vtkImageData()
    image.SetDimensions(*field.grid.shape[::-1])
    image.SetSpacing(*field.grid.spacing_mm[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(field.values.reshape(-1)))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, LEVEL)
    edges.ComputeNormalsOff()
    edges.ComputeScalarsOff()
    edges.ComputeGradientsOff()
    edges.Update()
    mesh = edges.GetOutput()
    if mesh.GetNumberOfPolys() == 0:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    points = vtk_to_numpy(mesh.GetPoints().GetData()).astype(np.float64)
    return points, vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)


def iso_surface(field: Field, structure: Structure) -> Surface:
    """The iso-surface at LEVEL with outward unit normals. Raises SurfaceFailed if there is none."""
    grid = field.grid
    local, faces = contour(field)
    if not len(faces):
        raise SurfaceFailed(
            f"{structure.title}: too small for a surface; expected a structure wider than 1.5 mm.",
            hint="Check the label map: the structure may be cut off or have only a few voxels.",
        )
    points = local @ grid.direction.T + grid.origin_mm
    index = (local / np.array(grid.spacing_mm[::-1]))[:, ::-1]
    outward = _outward_normals(field, index)
    normals = outward[:, ::-1] @ grid.direction.T
    return Surface(
        points_mm=points,
        faces=_turned_out(points, faces, normals),
        normals=normals,
        vertex_areas_mm2=_vertex_areas(index, outward, grid),
        structure=structure,
    )


def _outward_normals(field: Field, index: FloatArray) -> FloatArray:
    """(n, 3) unit vectors along the grid's (z, y, x): along the negative gradient of the smoothed field."""
    spacing = field.grid.spacing_mm
    widths = [2 * round((np.sqrt(12 * NORMAL_VARIANCE_MM2 / s**2 + 1) - 1) / 2) + 1 for s in spacing]
    averaged = Field(values=ndimage.uniform_filter(field.values, widths, mode="constant"), grid=field.grid)
    slope = np.empty_like(index)
    for axis, step in enumerate(np.eye(3)):
        before, after = averaged.at_index((index - step).T), averaged.at_index((index + step).T)
        slope[:, axis] = (before - after) / spacing[axis]
    unit: FloatArray = slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-12)
    return unit


def _vertex_areas(index: FloatArray, normals: FloatArray, grid: Grid) -> FloatArray:
    """(n,) mm2: the area that each vertex represents.

    Every vertex is on an edge of the grid. Lines along axis k, one per cell of cross-section A_k, meet a surface of
    normal n with density |n_k| / A_k; weighing each crossing by A_k |n_k| over all three axes sums to the area, because
    n_1² + n_2² + n_3² = 1 (Cauchy-Crofton). Unlike fractions of triangles, this does not depend on the triangulation,
    so a knee and its mirror image have equal weights.
    """
    axis = np.argmax(np.abs(index - np.rint(index)), axis=1)
    section = grid.voxel_volume_mm3 / np.array(grid.spacing_mm)
    areas: FloatArray = section[axis] * np.abs(normals[np.arange(len(axis)), axis])
    return areas


def _turned_out(points: FloatArray, faces: NDArray[np.int64], normals: FloatArray) -> NDArray[np.int64]:
    """Reverse faces whose right-hand normal disagrees with that of the field (left-handed grids)."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    agreement = np.einsum("ij,ij->", np.cross(b - a, c - a), normals[faces[:, 0]])
    return faces if agreement >= 0 else np.ascontiguousarray(faces[:, ::-1])


def bone_surface(segmentation: Segmentation, structure: Structure, parts: Parts = COMPUTED) -> Surface:
    """The outer surface of one bone (or, for the shape model, of a plate of cartilage) in LPS mm.

    Cavities of a bone have no surface and crumbs are left out (bone_mask.py). A structure cut by the field of view is
    closed with a flat cap. Raises EmptyStructure or SurfaceFailed.
    """
    box = segmentation.boxes.get(structure)
    if box is None:
        raise EmptyStructure(
            f"{structure.title} was not found in the segmentation; expected at least one piece.",
            hint="Check that the scan shows a knee and that the field of view contains the whole joint.",
            structure=structure.key,
        )
    grid = segmentation.grid.part(box)
    is_bone = structure.tissue is Tissue.BONE
    mask = solid_bone(segmentation, structure) if is_bone else segmentation.labels[box] == structure
    return parts.value(surface_of, mask, grid, structure)


def surface_of(mask: NDArray[np.bool_], grid: Grid, structure: Structure) -> Surface:
    """The surface of a mask (z, y, x). Raises SurfaceFailed."""
    return iso_surface(smoothed(mask, grid, SMOOTHING_VARIANCE_MM2), structure)


def bone_surfaces(
    segmentation: Segmentation, required: tuple[Structure, ...] = (), parts: Parts = COMPUTED
) -> tuple[Surface, ...]:
    """The surface of every bone that is present, in LPS mm.

    Raises EmptyStructure without a bone or without one of the required ones, SurfaceFailed.
    """
    bones = [bone for bone in BONES if bone in segmentation.boxes or bone in required]
    if not bones:
        raise EmptyStructure("No bone was found; expected femur, tibia or patella.")
    with ThreadPoolExecutor() as bone_by_bone:
        return tuple(bone_by_bone.map(partial(bone_surface, segmentation, parts=parts), bones))
