"""Subregions of the plates (anatomy.SUBREGION_SCHEME), determined on the bone surface in the frame of the knee itself.

Sources: Eckstein et al., Osteoarthritis and Cartilage 2006; 14: 974-983 (names); Wirth and Eckstein, IEEE Trans Med
Imaging 2008; 27: 737-744 (subregions of tibia and weight-bearing femur). Rules that are ours are called so.

Boundaries are found from the vertices of a plate, weighted by the area that each stands for, and then applied to
vertices and voxels alike. All points are in the frame of the reference knee (types.Alignment), which is that of a right
knee: a left knee is divided as its mirror image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import CARTILAGE_OF, PATELLA_WHOLE, TIBIA_LATERAL, TIBIA_MEDIAL, Plate, Structure
from pipeline.anatomy.subregions import ANTERIOR, CENTRAL, CONDYLE, LP, LTR, MP, MTR, PLF, PMF, TIBIA
from pipeline.grid import FloatArray
from pipeline.patellar_ridge import ridge_of
from pipeline.quantities import PRIMARY
from pipeline.regions import MEDIAL, POSTERIOR, SLICE_MM, notch_of, tilted
from pipeline.types import Alignment, LabelArray, Segmentation, ThicknessMap

SUPERIOR: Final = 2
"""Axis of the reference frame."""

CENTRAL_SHARE: Final = 0.2
"""Share of a tibial plate's area in its central subregion."""

LEAST_VERTICES: Final = 50
"""A plate of fewer vertices is a fragment, and is not divided."""

REGIONS_IN: Final[Mapping[Structure, tuple[int, ...]]] = MappingProxyType(
    {
        Structure.FEMORAL_CARTILAGE: Plate.FEMORAL.labels,
        Structure.MEDIAL_TIBIAL_CARTILAGE: (TIBIA_MEDIAL.label,),
        Structure.LATERAL_TIBIAL_CARTILAGE: (TIBIA_LATERAL.label,),
        Structure.PATELLAR_CARTILAGE: (PATELLA_WHOLE.label,),
    }
)
"""Cartilage -> the regions of the vertices under it."""

_TIBIAL: Final = CARTILAGE_OF[Structure.TIBIA]

NOTCH_MM: Final = 4.0
NOTCH_STEP_MM: Final = 0.5
"""The edge of the plate is followed this far to either side of the notch, in these steps."""

LEAST_EDGE: Final = 6
"""Points of the edge for a parabola."""

END_MM: Final = 0.5
"""Bone this close to the posterior end of a condyle determines the height of that end."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PlateSample:
    """The bone under one plate. points (n, 3) mm and normals (n, 3), reference frame; areas_mm2 (n,) of the patient."""

    points: FloatArray
    normals: FloatArray
    areas_mm2: FloatArray

    @property
    def centroid(self) -> FloatArray:
        """(3,) mm, weighted by area."""
        centroid: FloatArray = np.average(self.points, axis=0, weights=self.areas_mm2)
        return centroid

    def principal_axes(self) -> FloatArray:
        """(3, 3): rows from the shortest (the normal of the plane of best fit) to the longest axis, unit vectors."""
        offset = self.points - self.centroid
        spread = (offset * self.areas_mm2[:, None]).T @ offset
        axes: FloatArray = np.linalg.eigh(spread)[1].T
        return axes


@dataclass(frozen=True, kw_only=True, eq=False)
class TibialDivision:
    """An ellipse about the centroid, and two lines through it at 45 degrees to the line between the plates.

    centroid (3,); outward, backward (3,): unit vectors in the plane of the plate, away from the other plate and
    posterior; shape (2, 2): inverse of the covariance along them; limit: of the squared distance that it measures
    """

    side: int
    centroid: FloatArray
    outward: FloatArray
    backward: FloatArray
    shape: FloatArray
    limit: float

    @classmethod
    def of(cls, plate: PlateSample, side: int, other: FloatArray | None) -> TibialDivision:
        """side: 0 medial, 1 lateral; other (3,): the centroid of the other plate, None where it is missing."""
        normal, centroid = plate.principal_axes()[0], plate.centroid
        medial = np.eye(3)[MEDIAL]
        outward = _in_plane(medial * (1 - 2 * side) if other is None else centroid - other, normal)
        backward = np.cross(normal, outward)
        backward *= np.sign(backward[POSTERIOR])
        flat = (plate.points - centroid) @ np.stack([outward, backward], axis=1)
        covariance = (flat * plate.areas_mm2[:, None]).T @ flat / plate.areas_mm2.sum()
        shape = np.linalg.inv(covariance)
        distance = np.einsum("ij,jk,ik->i", flat, shape, flat)
        limit = _weighted_quantile(distance, plate.areas_mm2, CENTRAL_SHARE)
        return cls(side=side, centroid=centroid, outward=outward, backward=backward, shape=shape, limit=limit)

    def labels(self, points: FloatArray) -> LabelArray:
        """(n,) of points of this plate."""
        flat = (points - self.centroid) @ np.stack([self.outward, self.backward], axis=1)
        out, back = flat.T
        region = TIBIA[self.side]
        return np.select(
            [
                np.einsum("ij,jk,ik->i", flat, self.shape, flat) < self.limit,
                out >= np.abs(back),
                -out >= np.abs(back),
                back > 0,
            ],
            [region[part].label for part in (CENTRAL, "external", "internal", "posterior")],
            region[ANTERIOR].label,
        ).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Condyle:
    """Boundaries on one femoral condyle, mm in the tilted reference frame.

    boundary: where weight bearing ends; end_height: of its posterior end; thirds: of weight bearing, along the medial
    axis, ascending
    """

    boundary: float
    end_height: float
    thirds: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class FemoralDivision:
    """notch: (medial, posterior) mm in the tilted reference frame; condyles: medial, lateral."""

    notch: tuple[float, float]
    condyles: tuple[Condyle, Condyle]

    @classmethod
    def of(cls, plate: PlateSample, share: float, bin_mm: float) -> FemoralDivision | None:
        """share: of the way from the notch to the posterior end; bin_mm: least width of sagittal bins.

        None where there is no bone behind the notch on both sides.
        """
        points = tilted(plate.points)
        notch = _notch(points[:, MEDIAL], points[:, POSTERIOR], max(SLICE_MM, bin_mm))
        behind = points[:, POSTERIOR] >= notch[1]
        medial = points[:, MEDIAL] > notch[0]
        found = [_condyle(points[here], plate.areas_mm2[here], notch[1], share) for here in _both(medial, behind)]
        first, second = found
        return None if first is None or second is None else cls(notch=notch, condyles=(first, second))

    def labels(self, points: FloatArray) -> LabelArray:
        """(n,) of points of the femoral plate."""
        points = tilted(points)
        medial, behind = points[:, MEDIAL] > self.notch[0], points[:, POSTERIOR] >= self.notch[1]
        labels = np.where(medial, MTR.label, LTR.label).astype(np.uint8)
        for condyle, regions, posterior, here in zip(
            self.condyles, CONDYLE, (PMF, PLF), _both(medial, behind), strict=True
        ):
            across = points[here, MEDIAL]
            low, high = condyle.thirds
            names = ("internal", "external") if regions is CONDYLE[0] else ("external", "internal")
            labels[here] = np.select(
                [_bears_no_weight(points[here], condyle), across < low, across >= high],
                [posterior.label, regions[names[0]].label, regions[names[1]].label],
                regions[CENTRAL].label,
            )
        return labels


@dataclass(frozen=True, kw_only=True, eq=False)
class PatellarDivision:
    """Both facets, parted at the median ridge (pipeline/patellar_ridge.py; the rule is ours).

    centroid, across, along (3,): unit vectors in the plane of the plate, medial and superior; ridge: across = offset +
    slope * along, mm
    """

    centroid: FloatArray
    across: FloatArray
    along: FloatArray
    offset: float
    slope: float

    @classmethod
    def of(cls, plate: PlateSample) -> PatellarDivision:
        """The ridge is searched in heights above the plane of the plate."""
        centroid, normal = plate.centroid, plate.principal_axes()[0]
        normal = normal * np.sign(np.average(plate.normals @ normal, weights=plate.areas_mm2))
        along = _in_plane(np.eye(3)[SUPERIOR], normal)
        across = np.cross(along, normal)
        across *= np.sign(across[MEDIAL])
        x, y, height = ((plate.points - centroid) @ np.stack([across, along, normal], axis=1)).T
        offset, slope = ridge_of(x, y, height, plate.areas_mm2)
        return cls(centroid=centroid, across=across, along=along, offset=offset, slope=slope)

    def labels(self, points: FloatArray) -> LabelArray:
        """(n,) of points of the patellar plate."""
        offset = points - self.centroid
        beyond = offset @ self.across - self.offset - self.slope * (offset @ self.along)
        return np.where(beyond > 0, MP.label, LP.label).astype(np.uint8)


Division = TibialDivision | FemoralDivision | PatellarDivision


def divide_plates(
    maps: tuple[ThicknessMap, ...],
    segmentation: Segmentation,
    alignment: Alignment,
    weight_bearing_share: float,
) -> tuple[tuple[ThicknessMap, ...], LabelArray]:
    """The maps with the subregion of every vertex, and (z, y, x) uint8: that of every cartilage voxel, 0 elsewhere.

    maps: one per bone and method; the primary one determines the boundaries. weight_bearing_share: of the way from the
    notch to the posterior end of a condyle, 0 to 1. Requires separate compartments. A missing plate has no subregion.
    """
    divisions = dict(_divisions(maps, segmentation, alignment, weight_bearing_share))
    divided = tuple(replace(item, subregion=_of_vertices(item, divisions, alignment)) for item in maps)
    voxels = np.zeros(segmentation.grid.shape, dtype=np.uint8)
    for structure, division in divisions.items():
        box = segmentation.boxes[structure]
        here = segmentation.labels[box] == structure
        index = np.argwhere(here) + [side.start for side in box]
        voxels[box][here] = division.labels(alignment.to_reference(segmentation.grid.to_mm(index)))
    return divided, voxels


def _divisions(
    maps: Iterable[ThicknessMap], segmentation: Segmentation, alignment: Alignment, share: float
) -> Iterator[tuple[Structure, Division]]:
    """The boundaries on every plate that was found."""
    plates = {
        structure: _sample(item, structure, alignment)
        for item in maps
        if item.method is PRIMARY
        for structure in CARTILAGE_OF[item.surface.structure]
    }
    found = {structure: plate for structure, plate in plates.items() if len(plate.points) >= LEAST_VERTICES}
    for side, (structure, other) in enumerate((_TIBIAL, _TIBIAL[::-1])):
        if structure in found:
            beside = found[other].centroid if other in found else None
            yield structure, TibialDivision.of(found[structure], side, beside)
    if Structure.FEMORAL_CARTILAGE in found:
        edges = np.abs(alignment.matrix[:3, :3] @ segmentation.grid.affine[:3, :3])
        femoral = FemoralDivision.of(found[Structure.FEMORAL_CARTILAGE], share, float(edges[MEDIAL].max()))
        if femoral is not None:
            yield Structure.FEMORAL_CARTILAGE, femoral
    if Structure.PATELLAR_CARTILAGE in found:
        yield Structure.PATELLAR_CARTILAGE, PatellarDivision.of(found[Structure.PATELLAR_CARTILAGE])


def _rows(item: ThicknessMap, structure: Structure) -> NDArray[np.bool_]:
    """(n,): the vertices under a structure of cartilage."""
    return item.in_plate & np.isin(item.region, REGIONS_IN[structure])


def _sample(item: ThicknessMap, structure: Structure, alignment: Alignment) -> PlateSample:
    rows, turn = _rows(item, structure), alignment.matrix[:3, :3]
    return PlateSample(
        points=alignment.to_reference(item.surface.points_mm[rows]),
        normals=item.surface.normals[rows] @ turn.T / np.cbrt(np.abs(np.linalg.det(turn))),
        areas_mm2=item.surface.vertex_areas_mm2[rows],
    )


def _of_vertices(item: ThicknessMap, divisions: Mapping[Structure, Division], alignment: Alignment) -> LabelArray:
    """(n,): the subregion of every vertex, 0 outside the plate."""
    labels = np.zeros(len(item.region), dtype=np.uint8)
    for structure in CARTILAGE_OF[item.surface.structure]:
        if structure in divisions:
            rows = _rows(item, structure)
            labels[rows] = divisions[structure].labels(alignment.to_reference(item.surface.points_mm[rows]))
    return labels


def _notch(medial: FloatArray, posterior: FloatArray, slice_mm: float) -> tuple[float, float]:
    """(medial, posterior) mm of the notch: vertex of the parabola through the posterior edge of the plate around it.

    The single slice of regions.notch_of moves by half a millimetre with the voxel grid, and cMF by 4 % of its area;
    the parabola through the edge in NOTCH_MM on either side moves by a tenth or two.
    """
    start, depth = notch_of(medial, posterior, slice_mm)
    centres = start + np.arange(-NOTCH_MM, NOTCH_MM + 1e-9, NOTCH_STEP_MM)
    slices = [np.abs(medial - centre) < slice_mm / 2 for centre in centres]
    edge = [(centre - start, posterior[here].max()) for centre, here in zip(centres, slices, strict=True) if here.any()]
    if len(edge) < LEAST_EDGE:
        return start, depth
    across, reach = np.array(edge).T
    curvature, slope, level = np.polyfit(across, reach, 2)
    if curvature <= 0:
        return start, float(np.median(reach))
    offset = float(np.clip(-slope / (2 * curvature), -NOTCH_MM, NOTCH_MM))
    return start + offset, float(curvature * offset**2 + slope * offset + level)


def _both(medial: NDArray[np.bool_], behind: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n,) each: bone behind the notch, medial and lateral."""
    return medial & behind, ~medial & behind


def _condyle(points: FloatArray, areas_mm2: FloatArray, notch: float, share: float) -> Condyle | None:
    """Points (n, 3): tilted, all bone of one condyle behind the notch (mm). None without any."""
    if not len(points):
        return None
    end = float(points[:, POSTERIOR].max())
    last = points[:, POSTERIOR] >= end - END_MM
    height = float(np.average(points[last, SUPERIOR], weights=areas_mm2[last]))
    whole = Condyle(boundary=notch + share * (end - notch), end_height=height, thirds=(0.0, 0.0))
    bears = ~_bears_no_weight(points, whole)
    if not bears.any():
        return None
    low, high = (_weighted_quantile(points[bears, MEDIAL], areas_mm2[bears], third) for third in (1 / 3, 2 / 3))
    return replace(whole, thirds=(low, high))


def _bears_no_weight(points: FloatArray, condyle: Condyle) -> NDArray[np.bool_]:
    """(n,): behind the boundary, or above the posterior end, where the condyle curves forwards (the latter is ours)."""
    beyond: NDArray[np.bool_] = (points[:, POSTERIOR] >= condyle.boundary) | (points[:, SUPERIOR] > condyle.end_height)
    return beyond


def _in_plane(direction: FloatArray, normal: FloatArray) -> FloatArray:
    """(3,): the direction within the plane, unit length."""
    flat = direction - (direction @ normal) * normal
    unit: FloatArray = flat / np.linalg.norm(flat)
    return unit


def _weighted_quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    """The value below which this share of the weight lies, half way between two values."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    k = min(int(np.searchsorted(reached, share * reached[-1])), len(values) - 2)
    return float(values[order[k]] + values[order[k + 1]]) / 2
