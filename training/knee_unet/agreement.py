"""Agreement of a segmentation with an expert's: overlap, surface distance, volume, and thickness as the pipeline
measures it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.alignment import align_knee
from pipeline.anatomy import BONES, CARTILAGE_OF, PLATE_ON, Structure
from pipeline.measure import measure_thickness
from pipeline.quantities import DAB, TAB, THC, THC_TAB
from pipeline.regions import split_compartments, subregions
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps
from pipeline.types import Segmentation

Mask = NDArray[np.bool_]
MAIN_STATISTIC = {quantity.id: quantity.main for quantity in (THC, THC_TAB, TAB, DAB)}


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement for one structure of one knee. Distances in mm, volume difference in percent of the expert's."""

    dice: float
    mean_surface_distance_mm: float
    hausdorff95_mm: float
    volume_bias_percent: float


def parts() -> dict[str, tuple[Structure, ...]]:
    """The compared parts: each bone, and each bone's cartilage as one plate (medial and lateral tibia together)."""
    found: dict[str, tuple[Structure, ...]] = {}
    for bone in BONES:
        found[bone.key] = (bone,)
        found[PLATE_ON[bone].value] = CARTILAGE_OF[bone]
    return found


def compare(found: Segmentation, truth: Segmentation) -> dict[str, Agreement]:
    """Agreement of every part in the truth, by name."""
    result = {}
    for name, structures in parts().items():
        true, ours = truth.mask(*structures), found.mask(*structures)
        if true.any():
            result[name] = agreement(ours, true, truth.grid.spacing_mm)
    return result


def agreement(ours: Mask, true: Mask, spacing_mm: tuple[float, float, float]) -> Agreement:
    """Agreement of two masks (z, y, x) on one grid; distances are infinite if ours is empty."""
    both, ours_count, true_count = (int(np.count_nonzero(m)) for m in (ours & true, ours, true))
    distances = surface_distances(ours, true, spacing_mm) if ours_count else None
    return Agreement(
        dice=2.0 * both / (ours_count + true_count),
        mean_surface_distance_mm=np.inf if distances is None else float(distances.mean()),
        hausdorff95_mm=np.inf if distances is None else float(np.quantile(distances, 0.95)),
        volume_bias_percent=100.0 * (ours_count / true_count - 1.0),
    )


def surface_distances(a: Mask, b: Mask, spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Distances (mm) from the boundary voxels of each mask to the other's boundary, without the image edge."""
    box = ndimage.find_objects((a | b).view(np.uint8))[0]
    box = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    a, b = a[box], b[box]
    edges = [mask & ~ndimage.binary_erosion(mask, border_value=1) for mask in (a, b)]
    to_a, to_b = (ndimage.distance_transform_edt(~edge, sampling=spacing_mm) for edge in edges)
    return np.concatenate([to_b[edges[0]], to_a[edges[1]]])


def region_means(segmentation: Segmentation) -> dict[str, float]:
    """Mean ThC (mm, union) of every region, as an analysis reports it; keys such as
    `femoral_cartilage/medial_weight_bearing`.
    """
    return region_values(segmentation)[THC.id]


def region_values(segmentation: Segmentation) -> dict[str, dict[str, float]]:
    """Main statistic of every quantity of thickness (union) in every region: quantity -> region -> value."""
    alignment = align_knee(bone_surface(segmentation, Structure.FEMUR))
    knee = split_compartments(segmentation, alignment)
    regions = subregions(knee, alignment)
    values: dict[str, dict[str, float]] = {quantity: {} for quantity in MAIN_STATISTIC}
    for bone in BONES:
        if bone in knee.boxes:
            union, _ = thickness_maps(bone_surface(knee, bone), knee, regions, 0.0)
            for row in measure_thickness(union):
                if row.statistic == MAIN_STATISTIC[row.quantity]:
                    values[row.quantity][f"{row.structure}/{row.region}"] = row.value
    return values
