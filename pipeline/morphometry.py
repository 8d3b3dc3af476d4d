"""Rows of the subregions, sums over a compartment, and how cartilage is distributed over every region.

All of them are taken from the primary thickness method. Names: Eckstein et al., Osteoarthritis and Cartilage 2006.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import PLATE_ON, REGION_SCHEME, SUBREGION_SCHEME, SUMS, Region
from pipeline.anatomy.subregions import CENTRAL, RegionSum
from pipeline.detectable import Detectable, denuded_percent
from pipeline.grid import FloatArray
from pipeline.quantities import (
    CAB,
    CV,
    EXTREME_SHARE,
    MAV,
    MIV,
    PRIMARY,
    THC,
    THC_TAB,
    THIN,
    THIN_MM,
    VC_TAB,
    Method,
    Quantity,
    Statistic,
)
from pipeline.rows import region_rows, volume_row
from pipeline.types import LabelArray, Measurement, Segmentation, ThicknessMap

SDC_PER_UNCERTAINTY: Final = math.sqrt(2.0)
"""A smallest detectable change is 1.96 sqrt(2) SD of repeats, an uncertainty 1.96 SD."""

_Part = tuple[Region, NDArray[np.bool_]]
"""A region, and which vertices of its bone are in it."""


def measure_morphometry(
    maps: Iterable[ThicknessMap],
    segmentation: Segmentation,
    subregions: LabelArray,
    divided: LabelArray,
    detectable: Detectable,
) -> tuple[Measurement, ...]:
    """Rows beside those of pipeline.measure: of subregions and sums, and the distribution in all regions.

    maps: divided, one per bone and method; subregions, divided (z, y, x) uint8: labels of anatomy.REGIONS and of
    anatomy.SUBREGION_SCHEME; detectable: the smallest detectable changes of mean thickness, where known.
    """
    primary = [item for item in maps if item.method is PRIMARY]
    basic = [row for item in primary for part in _regions(item) for row in _rows_of(item, part)]
    rows = [row for item in primary for part in _subregions(item) for row in _rows_of(item, part)]
    voxels = _voxels(subregions, REGION_SCHEME.regions) | _voxels(divided, SUBREGION_SCHEME.regions)
    voxel_mm3 = segmentation.grid.voxel_volume_mm3
    rows += [volume_row(region.plate, region.name, voxels[region], voxel_mm3) for region in SUBREGION_SCHEME.regions]
    for item in primary:
        for part in (*_regions(item), *_subregions(item)):
            rows += _distribution(item, part, voxels[part[0]] * voxel_mm3)
    sums = [row for place in SUMS for quantity in (THC_TAB, MIV) for row in _sum(place, quantity, [*basic, *rows])]
    rows += sums
    return (*rows, *_uncertainties([*basic, *rows], detectable))


def _regions(item: ThicknessMap) -> Iterator[_Part]:
    return _parts(item, REGION_SCHEME.regions, item.region)


def _subregions(item: ThicknessMap) -> Iterator[_Part]:
    return _parts(item, SUBREGION_SCHEME.regions, item.subregion)


def _parts(item: ThicknessMap, regions: Iterable[Region], labels: LabelArray) -> Iterator[_Part]:
    plate = PLATE_ON[item.surface.structure]
    for region in regions:
        if region.plate is plate:
            yield region, item.in_plate & np.isin(labels, region.numbers)


def _rows_of(item: ThicknessMap, part: _Part) -> list[Measurement]:
    return region_rows(item, *part, item.surface.vertex_areas_mm2)


def _voxels(labels: LabelArray, regions: Iterable[Region]) -> dict[Region, int]:
    counts = np.bincount(labels[labels > 0], minlength=256)
    return {region: int(counts[list(region.numbers)].sum()) for region in regions}


def _distribution(item: ThicknessMap, part: _Part, volume_mm3: float) -> list[Measurement]:
    """The rows of quantities.DISTRIBUTION of one region, without those of an outline (pipeline/plate_outline.py)."""
    region, inside = part
    thickness, areas = item.thickness_mm[inside], item.surface.vertex_areas_mm2[inside]
    total, n = float(areas.sum()), len(areas)

    def row(quantity: Quantity, value: float, method: Method = PRIMARY) -> Measurement:
        return _row(quantity, (region.plate, region.name), value if total > 0 else math.nan, n, method=method)

    mean = float(thickness @ areas) / total if total > 0 else math.nan
    spread = math.sqrt(float((thickness - mean) ** 2 @ areas) / total) if total > 0 else math.nan
    rows = [row(MAV, -extreme_mean(-thickness, areas))]
    if region.code and region.part.endswith(CENTRAL):
        rows.append(row(MIV, extreme_mean(thickness, areas)))
    return [
        *rows,
        row(CV, 100.0 * spread / mean if mean > 0 else math.nan),
        row(VC_TAB, volume_mm3 / total if total > 0 else math.nan, Method.VOXEL_COUNT),
        row(CAB, float(areas[thickness > 0].sum())),
        row(THIN, 100.0 * float(areas[thickness < THIN_MM].sum()) / total if total > 0 else math.nan),
    ]


def extreme_mean(values: FloatArray, weights: FloatArray) -> float:
    """Mean of the smallest values that have EXTREME_SHARE of the weight, the last one in part. NaN without any."""
    if not len(values) or weights.sum() <= 0:
        return math.nan
    order = np.argsort(values, kind="stable")
    wanted = EXTREME_SHARE * float(weights.sum())
    before = np.concatenate([[0.0], np.cumsum(weights[order])[:-1]])
    part = np.clip(wanted - before, 0.0, weights[order])
    return float(values[order] @ part / part.sum())


def _sum(place: RegionSum, quantity: Quantity, rows: Iterable[Measurement]) -> Iterator[Measurement]:
    """The main statistic of both terms, added; none where one of them has no such row."""
    keys = [(str(term.plate), term.name) for term in place.terms]
    found = {
        (row.structure, row.region): row
        for row in rows
        if row.quantity == quantity.id and row.statistic == quantity.main and (row.structure, row.region) in keys
    }
    if len(found) == len(keys):
        value, n = sum(row.value for row in found.values()), sum(row.n for row in found.values())
        yield _row(quantity, (place.plate, place.name), value, n)


def _uncertainties(rows: Sequence[Measurement], detectable: Detectable) -> Iterator[Measurement]:
    """Of every mean thickness whose repeatability is known."""
    worn = denuded_percent(rows)
    for row in rows:
        place = f"{row.structure}/{row.region}"
        known = detectable.mm(place, worn.get(place, 0.0))
        for quantity in (THC, THC_TAB):
            if known is not None and row.n and (row.quantity, row.statistic) == (quantity.id, quantity.main):
                value = known / SDC_PER_UNCERTAINTY
                yield _row(quantity, (row.structure, row.region), value, row.n, Statistic.UNCERTAINTY)


def _row(
    quantity: Quantity,
    place: tuple[str, str],
    value: float,
    n: int,
    statistic: Statistic | None = None,
    method: Method = PRIMARY,
) -> Measurement:
    return Measurement.of(
        quantity,
        method=method,
        structure=place[0],
        region=place[1],
        statistic=statistic or quantity.main,
        value=value,
        n=n,
    )
