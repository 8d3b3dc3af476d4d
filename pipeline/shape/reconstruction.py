"""Reconstructs the surfaces of a latent vector from signed distances on a grid that is refined near the surfaces."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkDoubleArray, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkImplicitPolyDataDistance

from pipeline.anatomy import BONES, Structure
from pipeline.errors import FitDiverged
from pipeline.grid import FloatArray, Grid
from pipeline.shape.decoder import ShapeDecoder
from pipeline.surface import LEVEL, Field, iso_surface
from pipeline.types import Surface

REACH: Final = 1.08
"""Half the side of the sampled cube, in the model's units; shapes have a maximum radius of 1."""

CELLS: Final = 32
"""Cells per side of the cube at the coarsest level, 3.7 mm each."""

STRUCTURES: Final = (Structure.FEMUR, Structure.FEMORAL_CARTILAGE)
"""The surfaces of a model, in its order."""


def surfaces_of(
    decoder: ShapeDecoder, latent: NDArray[np.float64], unit_mm: float, halvings: int = 2
) -> tuple[Surface, ...]:
    """Surfaces in the model's axes, in mm from its centre (`unit_mm` per unit), one per column of the network.

    The cells are 2 * REACH / CELLS wide, halved `halvings` times (0.9 mm by default).
    Raises FitDiverged if a surface is empty or inverted.
    """
    values = _sampled(decoder, latent, halvings)
    n = values.shape[1]
    spacing = 2 * REACH * unit_mm / (n - 1)
    grid = Grid(shape=(n, n, n), spacing_mm=(spacing,) * 3, origin_mm=np.full(3, -REACH * unit_mm), direction=np.eye(3))
    found = []
    for structure, distance in zip(STRUCTURES, values, strict=False):
        border = (distance[0], distance[-1], distance[:, 0], distance[:, -1], distance[:, :, 0], distance[:, :, -1])
        if np.median([np.median(face) for face in border]) <= 0 or not (distance < 0).any():
            raise FitDiverged(
                f"The shape model's {structure.title.lower()} is not a surface in its cube; "
                "expected distances that are negative inside and positive at the border.",
                structure=structure.key,
            )
        solid = _solid(distance, structure)
        # converted to occupancy around LEVEL, from which surfaces are built
        inside = np.clip(LEVEL - solid * np.float32(unit_mm / (4 * spacing)), 0, 1)
        found.append(iso_surface(Field(values=inside.astype(np.float32), grid=grid), structure))
    return tuple(found)


def _sampled(decoder: ShapeDecoder, latent: NDArray[np.float64], halvings: int) -> NDArray[np.float32]:
    """(surfaces, z, y, x) signed distances in the model's units; interpolated from coarser cells far from surfaces."""
    n, count = CELLS + 1, decoder.settings.objects
    values = decoder.distances(latent, _nodes(n, np.arange(n**3))).T.reshape(count, n, n, n)
    for _ in range(halvings):
        cell = 2 * REACH / (n - 1)
        n = 2 * n - 1
        values = np.stack([ndimage.zoom(value, n / ((n + 1) // 2), order=1) for value in values])
        # a node within half a cell of a surface has corners within sqrt(3) cells of it
        near = np.flatnonzero((np.abs(values) < np.sqrt(3) * cell).any(axis=0))
        values.reshape(count, -1)[:, near] = decoder.distances(latent, _nodes(n, near)).T
    return values


def _solid(distance: NDArray[np.float32], structure: Structure) -> NDArray[np.float32]:
    """The same distances (z, y, x) without artefacts in regions without training points. Everything outside the sphere
    of radius REACH is removed, and of a bone only the largest component is kept (cartilage may have several).
    """
    axis = np.linspace(-REACH, REACH, len(distance), dtype=np.float32)
    radius = np.sqrt(axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2)
    solid = np.maximum(distance, radius - np.float32(REACH))
    if structure in BONES:
        pieces, count = ndimage.label(solid < 0)
        if count > 1:
            sizes = np.bincount(pieces.reshape(-1))
            largest = 1 + int(np.argmax(sizes[1:]))
            solid = np.where((pieces > 0) & (pieces != largest), np.float32(REACH), solid)
    return np.asarray(solid, dtype=np.float32)


def _nodes(n: int, index: NDArray[np.int64]) -> NDArray[np.float32]:
    """Flat indices into an (z, y, x) grid with n nodes per side -> their (x, y, z) in the model's units, (m, 3)."""
    z, y, x = np.unravel_index(index, (n, n, n))
    return (np.stack([x, y, z], axis=1) * np.float32(2 * REACH / (n - 1)) - np.float32(REACH)).astype(np.float32)


def distances_to(surface: Surface, points_mm: FloatArray) -> FloatArray:
    """(n,) mm from each point (n, 3) to the closest point of a surface."""
    points = vtkPoints()
    points.SetData(numpy_to_vtk(surface.points_mm))
    corners = np.ascontiguousarray(surface.faces.reshape(-1), dtype=np.int64)
    offsets = np.arange(0, len(corners) + 1, 3, dtype=np.int64)
    faces = vtkCellArray()
    faces.SetData(numpy_to_vtkIdTypeArray(offsets), numpy_to_vtkIdTypeArray(corners))
    mesh = vtkPolyData()
    mesh.SetPoints(points)
    mesh.SetPolys(faces)
    measure = vtkImplicitPolyDataDistance()
    measure.SetInput(mesh)
    found = vtkDoubleArray()
    measure.FunctionValue(numpy_to_vtk(np.ascontiguousarray(points_mm)), found)
    far: FloatArray = np.abs(vtk_to_numpy(found))
    return far
