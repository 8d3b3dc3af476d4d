"""Cartilage thickness along the normals of the bone, without a cartilage mesh.

Two methods, both along the outward normal at every vertex of the bone surface:

union         from the bone surface to the last crossing of the smoothed field of bone-or-cartilage. Bone and union have
the same smoothing, so thin cartilage, which a Gaussian on its label alone would remove, keeps its thickness.
two_crossing  from the first to the last crossing of the smoothed field of the cartilage alone: the measure of pymskt
between two intersections with a cartilage mesh. It misses cartilage thinner than the Gaussian.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from pipeline.anatomy import CARTILAGE_OF, Structure
from pipeline.bone_mask import solid_bone
from pipeline.grid import Box, FloatArray, Grid
from pipeline.parts import COMPUTED, Parts
from pipeline.quantities import Method
from pipeline.surface import LEVEL, SMOOTHING_VARIANCE_MM2, TRUNCATE, Field, smoothed
from pipeline.types import LabelArray, Segmentation, Surface, ThicknessMap

MEET_MM: Final = 2.0
"""Maximum distance between bone surface and cartilage label for cartilage in contact with the bone."""

OFF_SURFACE_MM: Final = 0.02
"""Start of the search for contact: on flat faces along the grid the surface is exactly between two voxels, where the
last bit of the geometry would determine which of them is sampled."""

BORDER_MM: Final = TRUNCATE * SMOOTHING_VARIANCE_MM2**0.5
"""Surface this close to the border of the image (2.1 mm, the Gaussian's reach) is the cap that closes a cut bone, or
surface that the cap bends."""

REACH_MM: Final = 10.0
"""Length of the search: the thickest patellar cartilage known is about 8 mm."""

REACH_SHORT_MM: Final = 4.0
GAP_MM: Final = 1.0
"""A ray that leaves the tissue and re-enters it within this distance has crossed a gap in the label, not the joint
space."""

UNION_STEP_MM: Final = 0.25
TWO_CROSSING_STEP_MM: Final = 0.1
INWARD_MM: Final = 1.0
"""two_crossing starts this far inside the bone: the smoothed edge of the cartilage may be below the bone surface."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contact:
    """Which vertices have cartilage. met (n,) bool; label (n,) uint8, of the first cartilage voxel (0: none)."""

    met: NDArray[np.bool_]
    label: LabelArray


@dataclass(frozen=True, kw_only=True, eq=False)
class CartilageCrop:
    """The part of a segmentation around one bone's cartilage.

    bone, cartilage (z, y, x) bool and regions (z, y, x) uint8, 0 outside its cartilage, all on `grid`.
    """

    bone: NDArray[np.bool_]
    cartilage: NDArray[np.bool_]
    regions: LabelArray
    grid: Grid


def crop_to_cartilage(structure: Structure, segmentation: Segmentation, regions: LabelArray) -> CartilageCrop | None:
    """Crop to the cartilage of a bone, with a margin that contains all rays; None without cartilage."""
    found = [segmentation.boxes[part] for part in CARTILAGE_OF[structure] if part in segmentation.boxes]
    if not found:
        return None
    margin = [int(np.ceil(2 * MEET_MM / spacing)) for spacing in segmentation.grid.spacing_mm]
    start = [max(0, min(box[k].start for box in found) - margin[k]) for k in range(3)]
    stop = [min(segmentation.grid.shape[k], max(box[k].stop for box in found) + margin[k]) for k in range(3)]
    z, y, x = (slice(low, high) for low, high in zip(start, stop, strict=True))
    box = (z, y, x)
    cartilage = np.isin(segmentation.labels[box], CARTILAGE_OF[structure], kind="table")
    return CartilageCrop(
        bone=_bone_in(box, structure, segmentation),
        cartilage=cartilage,
        regions=np.where(cartilage, regions[box], np.uint8(0)),
        grid=segmentation.grid.crop((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])),
    )


def _bone_in(box: Box, structure: Structure, segmentation: Segmentation) -> NDArray[np.bool_]:
    """The solid bone inside another box."""
    bone = np.zeros(segmentation.grid.shape, dtype=bool)
    if structure in segmentation.boxes:
        bone[segmentation.boxes[structure]] = solid_bone(segmentation, structure)
    inside: NDArray[np.bool_] = bone[box]
    return inside


def find_contact(surface: Surface, crop: CartilageCrop) -> Contact:
    """Follow each normal for MEET_MM and record the region of the first cartilage voxel of this bone."""
    label = np.zeros(len(surface.points_mm), dtype=np.uint8)
    near = _near(surface, crop.grid)
    start, step = _rays(surface, crop.grid, near)
    waiting = np.arange(len(near))
    for distance in np.arange(OFF_SURFACE_MM, MEET_MM + 1e-9, UNION_STEP_MM):
        index = np.rint(start[waiting] + distance * step[waiting]).astype(np.int64)
        inside = ((index >= 0) & (index < crop.grid.shape)).all(axis=1)
        hit = np.zeros(len(waiting), dtype=np.uint8)
        z, y, x = index[inside].T
        hit[inside] = crop.regions[z, y, x]
        label[near[waiting]] = hit
        waiting = waiting[hit == 0]
    return Contact(met=label > 0, label=label)


def _near(surface: Surface, grid: Grid) -> NDArray[np.int64]:
    """Vertices inside the grid, or close enough that their rays reach it."""
    index = grid.to_index(surface.points_mm)
    margin = MEET_MM / np.array(grid.spacing_mm)
    return np.flatnonzero(((index >= -margin) & (index <= grid.shape + margin)).all(axis=1))


def _rays(surface: Surface, grid: Grid, rows: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Start (n, 3) and step per mm (n, 3) of the rays in voxel indices of the grid."""
    start = grid.to_index(surface.points_mm[rows])
    return start, grid.to_index(surface.points_mm[rows] + surface.normals[rows]) - start


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rays:
    """Rays through a field. start (n, 3), step per mm (n, 3): voxel indices."""

    field: Field
    start: FloatArray
    step: FloatArray

    def chosen(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> _Rays:
        return _Rays(field=self.field, start=self.start[rows], step=self.step[rows])

    def profiles(self, distances: FloatArray) -> FloatArray:
        """(n, k): the field at each distance (mm)."""
        index = np.multiply(self.step.T[:, :, None], distances)
        index += self.start.T[:, :, None]
        return self.field.at_index(index.reshape(3, -1)).reshape(len(self.start), len(distances))

    def crossing(self, profiles: FloatArray, distances: FloatArray, k: NDArray[np.int64]) -> FloatArray:
        """(n,) mm: position between samples k and k + 1 where the field crosses LEVEL.

        An additional sample in the middle selects the half, in which the crossing is interpolated linearly.
        """
        n = np.arange(len(k))
        low, high = distances[k], distances[k + 1]
        at_low, at_high = profiles[n, k], profiles[n, k + 1]
        middle = (low + high) / 2
        at_middle = self.field.at_index((self.start + self.step * middle[:, None]).T)
        first_half = (at_low >= LEVEL) != (at_middle >= LEVEL)
        low, high = np.where(first_half, low, middle), np.where(first_half, middle, high)
        at_low, at_high = np.where(first_half, at_low, at_middle), np.where(first_half, at_middle, at_high)
        place: FloatArray = low + (high - low) * (at_low - LEVEL) / np.where(at_low == at_high, 1.0, at_low - at_high)
        return place


def _follow(
    field: Field, surface: Surface, rows: NDArray[np.int64], first_mm: float, step_mm: float
) -> tuple[FloatArray, FloatArray]:
    """(entry, exit) in mm along the normals of the chosen vertices, linear between samples step_mm apart.  entry: first
    upward crossing of LEVEL, or first_mm if the ray starts inside; exit: last downward crossing; NaN if there is none.
    Rays are sampled at twice the step, and again at crossings. Most cartilage is thin, so rays are followed for
    REACH_SHORT_MM, and only those still inside for REACH_MM.
    """
    entry, end = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    start, step = _rays(surface, field.grid, rows)
    every = _Rays(field=field, start=start, step=step)
    waiting = np.arange(len(rows))
    for reach in (REACH_SHORT_MM, REACH_MM):
        rays = every.chosen(waiting)
        distances = np.arange(first_mm, reach + 1e-9, 2 * step_mm)
        profiles = rays.profiles(distances)
        inside = profiles >= LEVEL
        first = np.argmax(inside, axis=1)
        some = inside.any(axis=1)
        rising = np.flatnonzero(some & (first > 0))
        entry[waiting] = np.where(some, first_mm, np.nan)
        entry[waiting[rising]] = rays.chosen(rising).crossing(profiles[rising], distances, first[rising] - 1)
        last = _last_inside(inside, first, max(1, round(GAP_MM / (2 * step_mm))))
        over = np.flatnonzero(some & (last < len(distances) - 1))
        end[waiting[over]] = rays.chosen(over).crossing(profiles[over], distances, last[over])
        # a ray is complete when enough empty samples follow its last sample inside
        waiting = waiting[some & (distances[last] + GAP_MM + 2 * step_mm > reach)]
        if not len(waiting):
            break
    return entry, end


def _last_inside(inside: NDArray[np.bool_], start: NDArray[np.int64], gap: int) -> NDArray[np.int64]:
    """(n,): the last sample of the first run of True in each row; gaps of up to `gap` samples are ignored."""
    last = start.copy()
    for column in range(inside.shape[1]):
        step = inside[:, column] & (column > last) & (column - last <= gap)
        last[step] = column
    return last


def union_thickness(surface: Surface, crop: CartilageCrop, contact: Contact) -> FloatArray:
    """(n,) mm at each vertex: bone surface to the last crossing of bone-or-cartilage; NaN without contact."""
    thickness = np.full(len(contact.met), np.nan)
    rows = np.flatnonzero(contact.met)
    field = smoothed(crop.bone | crop.cartilage, crop.grid, SMOOTHING_VARIANCE_MM2)
    entry, end = _follow(field, surface, rows, 0.0, UNION_STEP_MM)
    # a ray that starts below 0.5 is on an edge rounded by the Gaussian: its thickness is 0
    thickness[rows] = np.where(entry > 0.0, 0.0, np.nan_to_num(end, nan=0.0))
    return thickness


def two_crossing_thickness(surface: Surface, crop: CartilageCrop, contact: Contact, variance_mm2: float) -> FloatArray:
    """(n,) mm: first to last crossing of the smoothed cartilage field; NaN without two crossings."""
    thickness = np.full(len(contact.met), np.nan)
    rows = np.flatnonzero(contact.met)
    field = smoothed(crop.cartilage, crop.grid, variance_mm2)
    entry, end = _follow(field, surface, rows, -INWARD_MM, TWO_CROSSING_STEP_MM)
    thickness[rows] = np.where(entry > -INWARD_MM, end - entry, np.nan)
    return thickness


def at_border(surface: Surface, grid: Grid, box: Box) -> NDArray[np.bool_]:
    """(n,): vertices of the flat caps that close a bone where the border of the image cuts it, and of their rims.

    box: around the bone's voxels; a border that the bone does not touch cuts nothing
    """
    index = grid.to_index(surface.points_mm)
    last = np.array(grid.shape) - 1.0
    reach = BORDER_MM / np.array(grid.spacing_mm)
    low = np.array([part.start == 0 for part in box])
    high = np.array([part.stop == count for part, count in zip(box, grid.shape, strict=True)])
    near = (low & (index < reach - 0.5)) | (high & (index > last + 0.5 - reach))
    return np.asarray(near.any(axis=1), dtype=bool)


def plate_vertices(
    surface: Surface, contact: Contact, border: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], LabelArray]:
    """The cartilage plate on a bone: (n,) bool, and the region of each of its vertices (n,) uint8.

    The plate consists of covered vertices and the denuded patches enclosed by them: of the uncovered components of a
    surface the largest is the bone outside the plate, every other one is denuded bone. A denuded patch that reaches the
    edge of the plate cannot be distinguished from bone without cartilage, and is not counted. Neither is one that
    reaches `border` (n,), where the image ends, nor a component of the bone without any cartilage, such as a shaft
    beyond an open growth plate.
    """
    bare = ~contact.met
    region = contact.label.copy()
    if not contact.met.any():
        return contact.met, region
    edges = np.concatenate([surface.faces[:, [0, 1]], surface.faces[:, [1, 2]], surface.faces[:, [2, 0]]])
    part = _connected(edges, len(bare))
    piece = _connected(edges[bare[edges].all(axis=1)], len(bare))
    area = np.bincount(piece[bare], weights=surface.vertex_areas_mm2[bare], minlength=int(piece.max()) + 1)
    outside = np.zeros(len(area), dtype=bool)
    outside[piece[border & bare]] = True
    carries = np.bincount(part, weights=contact.met) > 0
    for number in np.flatnonzero(carries):
        pieces = np.unique(piece[bare & (part == number)])
        if len(pieces):
            outside[pieces[np.argmax(area[pieces])]] = True
    denuded = bare & carries[part] & ~outside[piece]
    if denuded.any():
        region[denuded] = _nearest_region(surface, contact, denuded)
    return contact.met | denuded, region


def _connected(edges: NDArray[np.int64], n: int) -> NDArray[np.int32]:
    """(n,): the number of the connected component of each vertex."""
    graph = sparse.coo_matrix((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(n, n))
    number: NDArray[np.int32] = csgraph.connected_components(graph, directed=False)[1]
    return number


def _nearest_region(surface: Surface, contact: Contact, denuded: NDArray[np.bool_]) -> LabelArray:
    """The region of the closest covered vertex for each denuded one."""
    covered = np.flatnonzero(contact.met)
    _, nearest = cKDTree(surface.points_mm[covered]).query(surface.points_mm[denuded])
    labels: LabelArray = contact.label[covered[nearest]]
    return labels


def thickness_maps(
    surface: Surface,
    segmentation: Segmentation,
    subregions: LabelArray,
    cartilage_variance_mm2: float,
    parts: Parts = COMPUTED,
) -> tuple[ThicknessMap, ThicknessMap]:
    """Both methods on one bone: (union, two_crossing).

    subregions (z, y, x) uint8: the region label of each cartilage voxel. cartilage_variance_mm2: see AnalysisOptions.
    """
    crop = crop_to_cartilage(surface.structure, segmentation, subregions)
    if crop is None:
        nowhere = np.full(len(surface.points_mm), np.nan)
        none = np.zeros(len(surface.points_mm), dtype=np.uint8)
        bare = ThicknessMap(surface=surface, thickness_mm=nowhere, region=none, method=Method.UNION)
        return bare, replace(bare, method=Method.TWO_CROSSING)
    border = at_border(surface, segmentation.grid, segmentation.boxes[surface.structure])
    found = parts.value(plate_thickness, surface, crop, border, cartilage_variance_mm2)
    maps = tuple(
        ThicknessMap(surface=surface, thickness_mm=values, region=found.region, method=method)
        for method, values in ((Method.UNION, found.union_mm), (Method.TWO_CROSSING, found.two_crossing_mm))
    )
    return maps[0], maps[1]


@dataclass(frozen=True, kw_only=True, eq=False)
class PlateThickness:
    """(n,) each at the vertices of a bone, as in ThicknessMap: mm by both methods, and the regions."""

    union_mm: FloatArray
    two_crossing_mm: FloatArray
    region: LabelArray


def plate_thickness(
    surface: Surface, crop: CartilageCrop, border: NDArray[np.bool_], cartilage_variance_mm2: float
) -> PlateThickness:
    """Both methods on one bone with cartilage. border (n,): of `at_border`."""
    contact = find_contact(surface, crop)
    union = union_thickness(surface, crop, contact)
    inside, labels = plate_vertices(surface, contact, border)
    inside &= ~(border & (union == 0.0))  # the rim of a cap: the image does not show whether it is bare
    two_crossing = two_crossing_thickness(surface, crop, contact, cartilage_variance_mm2)
    return PlateThickness(
        union_mm=np.where(inside, np.nan_to_num(union, nan=0.0), np.nan),
        two_crossing_mm=np.where(inside, np.nan_to_num(two_crossing, nan=0.0), np.nan),
        region=np.where(inside, labels, 0).astype(np.uint8),
    )


def thickness_of_bones(
    surfaces: tuple[Surface, ...],
    segmentation: Segmentation,
    subregions: LabelArray,
    cartilage_variance_mm2: float,
    parts: Parts = COMPUTED,
) -> tuple[ThicknessMap, ...]:
    """Both estimators on every bone, bone after bone; see `thickness_maps`."""
    with ThreadPoolExecutor() as bone_by_bone:
        maps = bone_by_bone.map(
            lambda surface: thickness_maps(surface, segmentation, subregions, cartilage_variance_mm2, parts), surfaces
        )
        return tuple(chain.from_iterable(maps))
