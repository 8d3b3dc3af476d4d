"""Menisci from a label map: thickness, coverage of the tibial plate, and extrusion.

All three use the axes of the tibial plateau (pipeline/plateau.py). The label is sampled in columns along the superior
axis; the quantities are those of Wirth et al. (Magn Reson Med 2010, doi 10.1002/mrm.22380), with the rays and the
middle tenth of pymskt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import ALL, MENISCUS_ON, Region, Structure
from pipeline.grid import FloatArray, Grid
from pipeline.parts import COMPUTED, Parts
from pipeline.plateau import MEDIAL, POSTERIOR, SUPERIOR, Plateau
from pipeline.quantities import (
    MENISCUS_COVERAGE,
    MENISCUS_EXTRUSION,
    MENISCUS_THICKNESS,
    Method,
    Quantity,
    Statistic,
)
from pipeline.types import Measurement, Segmentation

STEP_MM: Final = 0.3
"""Distance of the columns, and of the samples along them: below the voxel size of knee scans."""

ABOVE_MM: Final = 10.0
"""Length of the rays from the bone to the meniscus."""

MIDDLE_SHARE: Final = 0.1
"""Middle part of a plate's extent from front to back in which extrusion is measured."""

HIGH_PERCENTILE: Final = 99.5
"""Percentile that counts as the maximum, because a single voxel may be an error of the outline: of the area for the
thickness, of the volume for extrusion. The outer half per cent of a wedge 11 mm wide measures 0.03 mm."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """A meniscus as columns STEP_MM apart along the superior axis of the plateau.

    start_mm (2,): medial and posterior coordinate of column [0, 0]
    thickness_mm (i, j): length inside the meniscus; 0 where there is none
    low_mm, high_mm (i, j): ends of the part inside, along the superior axis; NaN where there is none
    """

    start_mm: FloatArray
    thickness_mm: FloatArray
    low_mm: FloatArray
    high_mm: FloatArray

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(i, j): where there is meniscus."""
        return np.asarray(self.thickness_mm > 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Extrusion:
    """How far a meniscus reaches beyond the outer edge of its plate, in the middle of the plate.

    edge_mm, reach_mm  outer edge of the plate and of the meniscus, mm outwards from the centre of both plates
    height_mm          of the middle of the outer end of the meniscus, mm along the superior axis
    middle_mm          position of the middle from front to back, mm along the posterior axis
    """

    edge_mm: float
    reach_mm: float
    height_mm: float
    middle_mm: float

    @property
    def mm(self) -> float:
        """Positive: extruded; negative: the meniscus ends inside the plate."""
        return self.reach_mm - self.edge_mm


def columns_of(meniscus: Structure, segmentation: Segmentation, plateau: Plateau, parts: Parts = COMPUTED) -> Columns:
    """The columns of a meniscus that is present. Samples are inside where the interpolated label is 0.5 or more."""
    box = segmentation.boxes[meniscus]
    return parts.value(_columns_of, segmentation.labels[box] == meniscus, segmentation.grid.part(box), plateau)


def _columns_of(inside: NDArray[np.bool_], grid: Grid, plateau: Plateau) -> Columns:
    mask = np.pad(inside.astype(np.float32), 1)
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in grid.shape], indexing="ij")).reshape(3, -1).T
    around = plateau.to_plateau(grid.to_mm(corners))
    low, high = around.min(axis=0), around.max(axis=0)
    shape = np.ceil((high - low) / STEP_MM).astype(np.int64)
    start = (low + high - (shape - 1) * STEP_MM) / 2
    # lattice index -> plateau -> LPS -> voxel index: all affine
    matrix = grid.affine
    to_index = np.linalg.inv(matrix[:3, :3])
    first = to_index @ (plateau.to_lps(start[None])[0] - matrix[:3, 3]) + 1  # 1: the padding
    field = ndimage.affine_transform(
        mask, to_index @ plateau.axes.T * STEP_MM, first, output_shape=tuple(shape), order=1, prefilter=False
    )
    reached = field >= 0.5
    count = reached.sum(axis=SUPERIOR)
    lowest = reached.argmax(axis=SUPERIOR)
    highest = shape[SUPERIOR] - 1 - reached[:, :, ::-1].argmax(axis=SUPERIOR)
    heights = start[SUPERIOR] + STEP_MM * np.arange(shape[SUPERIOR])
    return Columns(
        start_mm=start[:SUPERIOR],
        thickness_mm=count * STEP_MM,
        low_mm=np.where(count > 0, heights[lowest] - STEP_MM / 2, np.nan),
        high_mm=np.where(count > 0, heights[highest] + STEP_MM / 2, np.nan),
    )


def covered(columns: Columns, points_mm: FloatArray) -> NDArray[np.bool_]:
    """(n,): whether a ray of ABOVE_MM upwards from each point meets the meniscus.

    points_mm (n, 3): along the axes of the plateau
    """
    index = np.rint((points_mm[:, :SUPERIOR] - columns.start_mm) / STEP_MM).astype(np.int64)
    there = ((index >= 0) & (index < columns.thickness_mm.shape)).all(axis=1)
    met = np.zeros(len(points_mm), dtype=bool)
    i, j = index[there].T
    height = points_mm[there, SUPERIOR]
    met[there] = (columns.low_mm[i, j] <= height + ABOVE_MM) & (columns.high_mm[i, j] >= height)  # NaN: False
    return met


def extrusion_of(columns: Columns, plateau: Plateau, region: Region) -> Extrusion | None:
    """None if the plate or the meniscus is absent in the middle of the plate from front to back.

    The plate's edge is the median of its outline there, the reach of the meniscus the HIGH_PERCENTILE of its volume.
    """
    plate = plateau.points_mm[plateau.plate(region)]
    front, back = float(plate[:, POSTERIOR].min()), float(plate[:, POSTERIOR].max())
    middle, half = (front + back) / 2, MIDDLE_SHARE * (back - front) / 2
    centre = float(plate[:, MEDIAL].mean())
    outwards = float(np.sign(centre))
    outline = plateau.outline(region)
    outer = outline[(np.abs(outline[:, POSTERIOR] - middle) <= half) & (outwards * (outline[:, MEDIAL] - centre) > 0)]
    where = np.argwhere(columns.inside)
    across, along = (columns.start_mm + STEP_MM * where).T
    chosen = np.abs(along - middle) <= half
    if not len(outer) or not chosen.any():
        return None
    i, j = where[chosen].T
    outward = outwards * across[chosen]
    reach = _reach(outward, columns.thickness_mm[i, j])
    end = outward >= reach - STEP_MM
    heights = (columns.low_mm[i, j] + columns.high_mm[i, j])[end] / 2
    return Extrusion(
        edge_mm=float(np.median(outwards * outer[:, MEDIAL])),
        reach_mm=reach,
        height_mm=float(heights.mean()),
        middle_mm=middle,
    )


def _reach(outward: FloatArray, thickness_mm: FloatArray) -> float:
    """The HIGH_PERCENTILE of a volume along one axis. outward (n,): positions of its columns, thickness_mm (n,)."""
    lines, line = np.unique(outward, return_inverse=True)
    volume = np.cumsum(np.bincount(line, weights=thickness_mm))
    return float(np.interp(HIGH_PERCENTILE / 100 * volume[-1], volume, lines + STEP_MM / 2))


def measure_menisci(
    segmentation: Segmentation, plateau: Plateau | None, parts: Parts = COMPUTED
) -> tuple[Measurement, ...]:
    """Thickness, coverage and extrusion of every meniscus that is present; NaN without a plateau."""
    rows: list[Measurement] = []
    for meniscus, region in MENISCUS_ON.items():
        if meniscus in segmentation.boxes:
            rows += _rows(meniscus, region, segmentation, plateau, parts)
    return tuple(rows)


def _rows(
    meniscus: Structure, region: Region, segmentation: Segmentation, plateau: Plateau | None, parts: Parts
) -> list[Measurement]:
    mean = highest = coverage = extrusion = float("nan")
    n_columns = n_plate = n_end = 0
    if plateau is not None:
        columns = columns_of(meniscus, segmentation, plateau, parts)
        thickness = columns.thickness_mm[columns.inside]
        n_columns = len(thickness)
        if n_columns:
            mean, highest = float(thickness.mean()), float(np.percentile(thickness, HIGH_PERCENTILE))
        plate = plateau.plate(region)
        n_plate = int(plate.sum())
        areas = plateau.tibia.surface.vertex_areas_mm2[plate]
        coverage = 100.0 * float(areas[covered(columns, plateau.points_mm[plate])].sum() / areas.sum())
        found = extrusion_of(columns, plateau, region)
        if found is not None:
            extrusion, n_end = found.mm, n_plate

    def row(quantity: Quantity, statistic: Statistic, value: float, n: int) -> Measurement:
        return Measurement.of(
            quantity,
            method=Method.PLATEAU_AXES,
            structure=meniscus.key,
            region=ALL,
            statistic=statistic,
            value=value,
            n=n,
        )

    return [
        row(MENISCUS_THICKNESS, Statistic.MEAN, mean, n_columns),
        row(MENISCUS_THICKNESS, Statistic.MAX, highest, n_columns),
        row(MENISCUS_COVERAGE, Statistic.SHARE, coverage, n_plate),
        row(MENISCUS_EXTRUSION, Statistic.MAX, extrusion, n_end),
    ]
