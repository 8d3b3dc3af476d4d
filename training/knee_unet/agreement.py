"""Agreement of a segmentation with an expert's: overlap, surface distance, volume, and thickness as the pipeline
measures it.
"""

from __future__ import annotations

from pipeline.alignment import align_knee
from pipeline.anatomy import BONES, CARTILAGE_OF, PLATE_ON, Structure
from pipeline.measure import measure_thickness
from pipeline.quantities import DAB, TAB, THC, THC_TAB
from pipeline.regions import split_compartments, subregions
from pipeline.surface import bone_surface
from pipeline.thickness import thickness_maps
from pipeline.types import Segmentation
from pipeline.validation.agreement import Agreement, agreement

MAIN_STATISTIC = {quantity.id: quantity.main for quantity in (THC, THC_TAB, TAB, DAB)}


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
