"""Rows of one region of a plate: statistics on surfaces weighted by area, volumes from voxel counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import Region
from pipeline.grid import FloatArray
from pipeline.quantities import DAB, SPREAD, TAB, THC, THC_TAB, VOLUME, Method, Quantity, Statistic
from pipeline.types import Measurement, ThicknessMap


def region_rows(item: ThicknessMap, region: Region, inside: NDArray[np.bool_], areas: FloatArray) -> list[Measurement]:
    """ThC, ThCtAB (mean, std, median), tAB and dAB of one region. inside, areas (n,): its vertices, and mm2 of all."""
    covered = inside & (item.thickness_mm > 0)
    total, bare = float(areas[inside].sum()), float(areas[inside & ~covered].sum())

    def row(quantity: Quantity, statistic: Statistic, value: float, n: int) -> Measurement:
        return Measurement.of(
            quantity,
            method=item.method,
            structure=region.plate,
            region=region.name,
            statistic=statistic,
            value=value,
            n=n,
        )

    rows = []
    for quantity, where in ((THC, covered), (THC_TAB, inside)):
        n = int(where.sum())
        for statistic, value in weighted_statistics(item.thickness_mm[where], areas[where]).items():
            rows.append(row(quantity, statistic, value, n))
    n = int(inside.sum())
    rows.append(row(TAB, Statistic.TOTAL, total, n))
    rows.append(row(DAB, Statistic.SHARE, 100.0 * bare / total if total else np.nan, n))
    return rows


def weighted_statistics(values: FloatArray, weights: FloatArray) -> dict[Statistic, float]:
    """mean, std (of the population) and median of weighted values; NaN if there are none."""
    if not len(values) or weights.sum() <= 0:
        return dict.fromkeys(SPREAD, float("nan"))
    mean = float(np.average(values, weights=weights))
    std = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    median = float(values[order[int(np.searchsorted(share, share[-1] / 2))]])
    return {Statistic.MEAN: mean, Statistic.STD: std, Statistic.MEDIAN: median}


def volume_row(structure: str, region: str, n: int, voxel_mm3: float) -> Measurement:
    """Volume of n voxels of voxel_mm3 each."""
    return Measurement.of(
        VOLUME,
        method=Method.VOXEL_COUNT,
        structure=structure,
        region=region,
        statistic=Statistic.TOTAL,
        value=n * voxel_mm3,
        n=n,
    )
