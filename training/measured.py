"""A label map measured as an analysis measures it, without a scan."""

from __future__ import annotations

from pipeline.alignment import align_knee
from pipeline.anatomy import PLACES
from pipeline.measure import Findings, measure_knee
from pipeline.options import AnalysisOptions
from pipeline.plate_outline import with_worn_rims
from pipeline.quantities import DAB, PRIMARY, QUANTITIES, THC, THC_TAB
from pipeline.regions import split_compartments, subregions
from pipeline.subregions import divide_plates
from pipeline.surface import bone_surfaces
from pipeline.thickness import thickness_of_bones
from pipeline.types import Segmentation


def findings_of(knee: Segmentation) -> Findings:
    """Surfaces, regions of both schemes, and thickness, with the options of an analysis that states none.

    Raises ImplausibleAnatomy.
    """
    options = AnalysisOptions()
    surfaces = bone_surfaces(knee)
    alignment = align_knee(surfaces[0])
    knee = split_compartments(knee, alignment)
    regions = subregions(knee, alignment)
    maps = thickness_of_bones(surfaces, knee, regions, options.cartilage_smoothing)
    maps, divided = divide_plates(maps, knee, alignment, options.weight_bearing_share)
    maps = with_worn_rims(maps, alignment)
    return Findings(segmentation=knee, subregions=regions, thickness=maps, alignment=alignment, divided=divided)


def place_figures(knee: Segmentation) -> dict[str, dict[str, float]]:
    """The figures whose repeatability is measured: id of ThC, ThCtAB and dAB -> `structure/region` -> mean mm, or %.

    Raises ImplausibleAnatomy.
    """
    found: dict[str, dict[str, float]] = {quantity.id: {} for quantity in (THC, THC_TAB, DAB)}
    for row in measure_knee(findings_of(knee)):
        wanted = row.method == PRIMARY and row.quantity in found and (row.structure, row.region) in PLACES
        if wanted and row.statistic == QUANTITIES[row.quantity].main:
            found[row.quantity][f"{row.structure}/{row.region}"] = row.value
    return found
