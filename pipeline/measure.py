"""From maps to rows of the tidy table. Statistics on surfaces are weighted by area: vertices are not evenly spread.

ThC     thickness where cartilage is; ThCtAB the same over the total bone area, with denuded bone as 0;
tAB     total area of subchondral bone under the plate; dAB the denuded share of it
        (nomenclature: Eckstein et al., Osteoarthritis and Cartilage 2006, 14:974).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.anatomy import ALL, PLATES, REGIONS, Tissue
from pipeline.grid import FloatArray
from pipeline.types import LabelArray, Measurement, Segmentation, ThicknessMap


def measure_thickness(item: ThicknessMap) -> tuple[Measurement, ...]:
    """ThC, ThCtAB (mean, std, median), tAB and dAB of every region of one plate, and of the whole plate."""
    plate = PLATES[item.surface.structure]
    areas = item.surface.vertex_areas_mm2
    inside = np.isfinite(item.thickness_mm) & (item.region > 0)
    rows: list[Measurement] = []
    for region in REGIONS:
        if region.plate == plate and region.name != ALL:
            rows += _region_rows(item, plate, region.name, inside & (item.region == region.label), areas)
    return (*rows, *_region_rows(item, plate, ALL, inside, areas))


def _region_rows(
    item: ThicknessMap, plate: str, region: str, inside: NDArray[np.bool_], areas: FloatArray
) -> list[Measurement]:
    covered = inside & (item.thickness_mm > 0)
    total, bare = float(areas[inside].sum()), float(areas[inside & ~covered].sum())

    def row(quantity: str, statistic: str, value: float, unit: str, n: int) -> Measurement:
        return Measurement(
            quantity=quantity,
            method=item.method,
            structure=plate,
            region=region,
            statistic=statistic,
            value=value,
            unit=unit,
            n=n,
        )

    rows = []
    for quantity, where in (("ThC", covered), ("ThCtAB", inside)):
        n = int(where.sum())
        for statistic, value in weighted_statistics(item.thickness_mm[where], areas[where]).items():
            rows.append(row(quantity, statistic, value, "mm", n))
    n = int(inside.sum())
    rows.append(row("tAB", "total", total, "mm2", n))
    rows.append(row("dAB", "share", 100.0 * bare / total if total else np.nan, "%", n))
    return rows


def weighted_statistics(values: FloatArray, weights: FloatArray) -> dict[str, float]:
    """mean, std (of the population) and median of weighted values; NaN where there are none."""
    if not len(values) or weights.sum() <= 0:
        return dict.fromkeys(("mean", "std", "median"), float("nan"))
    mean = float(np.average(values, weights=weights))
    std = float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order])
    median = float(values[order[int(np.searchsorted(share, share[-1] / 2))]])
    return {"mean": mean, "std": std, "median": median}


def measure_volumes(segmentation: Segmentation, subregions: LabelArray) -> tuple[Measurement, ...]:
    """Volume (mm3, counted voxels) of every cartilage region and plate, and of the menisci where there are any."""
    voxel = segmentation.grid.voxel_volume_mm3
    counts = np.bincount(subregions[subregions > 0], minlength=256)
    rows = []
    for plate in PLATES.values():
        labels = {region.name: region.label for region in REGIONS if region.plate == plate}
        parts = {name: int(counts[label]) for name, label in labels.items() if name != ALL}
        parts[ALL] = sum(parts.values()) or int(counts[labels[ALL]] if ALL in labels else 0)
        rows += [_volume(plate, name, n, voxel) for name, n in parts.items()]
    menisci = {s: box for s, box in segmentation.boxes.items() if s.tissue is Tissue.MENISCUS}
    return (*rows, *(_volume(s.key, ALL, int((segmentation.labels[b] == s).sum()), voxel) for s, b in menisci.items()))


def _volume(structure: str, region: str, n: int, voxel_mm3: float) -> Measurement:
    return Measurement(
        quantity="volume",
        method="voxel_count",
        structure=structure,
        region=region,
        statistic="total",
        value=n * voxel_mm3,
        unit="mm3",
        n=n,
    )
