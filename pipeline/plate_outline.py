"""The outline of a healthy plate, carried from the reference bone: finds bone that was bared from the rim inwards.

Cartilage that is lost from the rim of a plate leaves no trace in the outlines: the bone looks as if it had never been
covered. So the mean outline of many plates, and the ways in which outlines vary, are placed on the patient's bone and
fitted to the rim that is left. After Wirth and Eckstein, Osteoarthritis and Cartilage Open 2025, 100645, whose
registration and statistics differ.

An outline is given by signed distances: at each vertex of the reference, how far inside (+) or outside (-) the plate it
lies, in mm of the reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pipeline.anatomy import CARTILAGE_OF, PLATE_ON, REGION_SCHEME, Structure
from pipeline.flat_maps.reference import pose_of, reference_plate
from pipeline.grid import FloatArray
from pipeline.parts import COMPUTED, Parts
from pipeline.quantities import DAB_OUTLINE, PRIMARY, TAB_OUTLINE
from pipeline.registration import affine_fit
from pipeline.subregions import LEAST_VERTICES, REGIONS_IN
from pipeline.types import Alignment, LabelArray, Measurement, ThicknessMap

OUTLINES_PATH: Final = Path(__file__).parent.parent / "models" / "reference_knee" / "outlines.npz"
"""Made by training/plate_outlines.py. Per cartilage, `femoral_cartilage_rows` and so on: rows (k,) of the vertices of
the reference; mean_mm (k,); modes_mm (k, m), each one standard deviation."""

BAND_MM: Final = 8.0
"""Distances are limited to this: the reference's vertices end there."""

NEAR_MM: Final = 2.5
"""Weights of vertices decrease with their distance from the outline: exp(-d^2 / 2 NEAR_MM^2)."""

LOST_MM: Final = 3.0
"""Where the rim lies this far inside the outline, cartilage is taken to be lost. None of 48 tibial plates, of 24 of the
maps that the outlines were made from, had such a place."""

AROUND_MM: Final = 5.0
"""The rim this close to a lost place is not trusted in the fit, and bone this close to it is part of the lost area."""

UNMOVED: Final = 1.0
"""Weight of the prior (each mode has unit variance) against EVIDENCE."""
EVIDENCE: Final = 200.0
"""Number of independent observations of a whole outline: neighbouring vertices repeat one another."""

FIRST_MODES: Final = 3
LOST_AT_FIRST_MM: Final = (8.0, 6.0, 4.5)
"""The same in the first iterations: a small plate lies everywhere inside the mean outline."""
ITERATIONS: Final = 8
"""The number of modes grows by FIRST_MODES in each iteration: first size and position, then details."""

NEIGHBOURS: Final = 3
"""Vertices of the reference from which a distance is interpolated."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PlateOutline:
    """rows (k,): vertices of the reference; mean_mm (k,) and modes_mm (k, m) of the signed distances there."""

    rows: NDArray[np.int64]
    mean_mm: FloatArray
    modes_mm: FloatArray


@lru_cache(maxsize=1)
def outlines() -> Mapping[Structure, PlateOutline]:
    """Of every plate, by its cartilage; read once per process."""
    with np.load(OUTLINES_PATH, allow_pickle=False) as stored:
        return MappingProxyType(
            {
                structure: PlateOutline(
                    rows=stored[f"{structure.key}_rows"].astype(np.int64),
                    mean_mm=stored[f"{structure.key}_mean_mm"].astype(np.float64),
                    modes_mm=stored[f"{structure.key}_modes_mm"].astype(np.float64),
                )
                for structure in REGIONS_IN
            }
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedBone:
    """A bone whose vertices were brought onto the reference bone, each axis stretched to fit.

    points (n, 3): the patient's vertices, reference frame; nearest (m,): of each vertex of the reference the nearest of
    them; edges (e, 2): pairs of the patient's vertices, each direction of an edge once
    """

    points: FloatArray
    nearest: NDArray[np.int64]
    edges: NDArray[np.int64]

    @classmethod
    def of(cls, item: ThicknessMap, pose: Alignment) -> FittedBone:
        """pose: of this bone in the frame of the reference."""
        reference = reference_plate(item.surface.structure)
        points, faces = pose.to_reference(item.surface.points_mm), item.surface.faces
        back = np.linalg.inv(affine_fit(reference.registered.many.points, points))
        points = points @ back[:3, :3].T + back[:3, 3]
        return cls(
            points=points,
            nearest=np.asarray(cKDTree(points).query(reference.surface.points_mm)[1], dtype=np.int64),
            edges=np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]),
        )

    def signed_distances(self, inside: NDArray[np.bool_]) -> FloatArray:
        """(m,) mm at the vertices of the reference, limited to BAND_MM; inside (n,): the plate's vertices."""
        here = self.points[self.nearest]
        leaving = self.edges[inside[self.edges[:, 0]] & ~inside[self.edges[:, 1]]]
        if not len(leaving):
            return np.full(len(here), -BAND_MM)
        rim = self.points[leaving].mean(axis=1)
        distance = np.minimum(cKDTree(rim).query(here, distance_upper_bound=BAND_MM)[0], BAND_MM)
        signed: FloatArray = np.where(inside[self.nearest], distance, -distance)
        return signed


def with_worn_rims(
    maps: Iterable[ThicknessMap], alignment: Alignment, parts: Parts = COMPUTED
) -> tuple[ThicknessMap, ...]:
    """The maps of the primary method with their worn rims, and the others. That of a bone that does not fit the
    reference remains unknown.

    maps: one per bone and method; alignment: of the knee
    """
    return tuple(
        replace(item, worn=parts.value(_worn_rim_of, item, alignment)) if item.method is PRIMARY else item
        for item in maps
    )


def _worn_rim_of(item: ThicknessMap, alignment: Alignment) -> LabelArray | None:
    pose = pose_of(item.surface, alignment) if item.in_plate.any() else None
    return None if pose is None else worn_rim(item, pose)


def measure_outlines(maps: Iterable[ThicknessMap]) -> tuple[Measurement, ...]:
    """Total and denuded area within the outline, of every region and of whole plates; none where worn rims are unknown.

    maps: with worn rims, see `with_worn_rims`
    """
    return tuple(row for item in maps if item.worn is not None for row in _rows_of(item, item.worn))


def _rows_of(item: ThicknessMap, worn: LabelArray) -> Iterator[Measurement]:
    areas, plate = item.surface.vertex_areas_mm2, item.in_plate
    for region in REGION_SCHEME.regions:
        inside = plate & np.isin(item.region, region.numbers)
        if region.plate is not PLATE_ON[item.surface.structure] or np.count_nonzero(inside) < LEAST_VERTICES:
            continue
        inside |= np.isin(worn, region.numbers)
        total = float(areas[inside].sum())
        bare = float(areas[inside & ~(item.thickness_mm > 0)].sum())
        for quantity, value in ((TAB_OUTLINE, total), (DAB_OUTLINE, 100.0 * bare / total)):
            yield Measurement.of(
                quantity,
                method=item.method,
                structure=region.plate,
                region=region.name,
                statistic=quantity.main,
                value=value,
                n=int(inside.sum()),
            )


def worn_rim(item: ThicknessMap, pose: Alignment) -> LabelArray:
    """(n,) uint8: the region of bone that the outline of a healthy plate covers and the plate does not; 0 elsewhere.

    pose: of this bone in the frame of the reference. A plate of fewer than LEAST_VERTICES vertices has no outline.
    """
    worn = np.zeros(len(item.region), dtype=np.uint8)
    fitted: FittedBone | None = None
    for structure in CARTILAGE_OF[item.surface.structure]:
        plate = item.in_plate & np.isin(item.region, REGIONS_IN[structure])
        if np.count_nonzero(plate) < LEAST_VERTICES:
            continue
        fitted = fitted or FittedBone.of(item, pose)
        lost = _lost(outlines()[structure], fitted, item, plate) & ~item.in_plate
        rows = np.flatnonzero(plate)
        nearest = cKDTree(item.surface.points_mm[rows]).query(item.surface.points_mm[lost])[1]
        worn[lost] = item.region[rows[nearest]]
    return worn


def _lost(outline: PlateOutline, fitted: FittedBone, item: ThicknessMap, plate: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,): bone between the rim and the outline, around places where they are LOST_MM apart."""
    reference = reference_plate(item.surface.structure).surface.points_mm[outline.rows]
    distances = fitted.signed_distances(plate)[outline.rows]
    carried = fit_outline(outline, reference, distances)
    apart, nearest = cKDTree(reference).query(fitted.points, k=NEIGHBOURS, distance_upper_bound=BAND_MM)
    known = np.isfinite(apart)
    weights = np.where(known, 1.0 / (apart + 0.2) ** 2, 0.0)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    here = (carried[np.where(known, nearest, 0)] * weights).sum(axis=1)
    beyond = ~plate & known[:, 0] & (here > 0)
    deep = beyond & (here > LOST_MM)
    lost = np.zeros(len(plate), dtype=bool)
    if deep.any():
        rows = np.flatnonzero(beyond)
        distance = cKDTree(fitted.points[deep]).query(fitted.points[rows], distance_upper_bound=AROUND_MM)[0]
        lost[rows[np.isfinite(distance)]] = True
    return lost


def fit_outline(outline: PlateOutline, points: FloatArray, distances: FloatArray) -> FloatArray:
    """(k,) signed distances of the outline that fits a plate's rim, ignoring the rim where cartilage is lost.

    points (k, 3): the vertices; distances (k,): signed, of the plate's rim. Ridge regression on the modes; the rim
    around places that lie LOST_MM inside the present outline has no weight in the next iteration.
    """
    coefficients = np.zeros(outline.modes_mm.shape[1])
    for iteration in range(ITERATIONS):
        carried = outline.mean_mm + outline.modes_mm @ coefficients
        near = np.minimum(np.abs(carried), np.abs(distances))
        weights = np.exp(-0.5 * (near / NEAR_MM) ** 2)
        limit = LOST_AT_FIRST_MM[iteration] if iteration < len(LOST_AT_FIRST_MM) else LOST_MM
        lost = (distances - carried < -limit) & (near < AROUND_MM)
        if lost.any():
            weights[np.isfinite(cKDTree(points[lost]).query(points, distance_upper_bound=AROUND_MM)[0])] = 0.0
        modes = outline.modes_mm[:, : FIRST_MODES * (1 + iteration)]
        weighted = modes * (weights * EVIDENCE / len(points))[:, None]
        coefficients = np.zeros_like(coefficients)
        coefficients[: modes.shape[1]] = np.linalg.solve(
            weighted.T @ modes + UNMOVED * np.eye(modes.shape[1]), weighted.T @ (distances - outline.mean_mm)
        )
    fitted: FloatArray = outline.mean_mm + outline.modes_mm @ coefficients
    return fitted
