"""The flags that an analysis would raise on a segmentation."""

from __future__ import annotations

from pipeline.alignment import align_knee
from pipeline.anatomy import Structure
from pipeline.measure import Findings, measure_knee
from pipeline.model_flags import model_flags
from pipeline.options import AnalysisOptions
from pipeline.quality import quality_flags
from pipeline.regions import split_compartments, subregions
from pipeline.segmentation.card import ModelCard
from pipeline.surface import bone_surfaces
from pipeline.thickness import thickness_of_bones
from pipeline.types import Segmentation


def raised(found: Segmentation, card: ModelCard) -> tuple[str, ...]:
    """Codes of all flags, before those of the same cause are left out. card: of the model.

    Raises ImplausibleAnatomy, EmptyStructure.
    """
    surfaces = bone_surfaces(found, (Structure.FEMUR,))
    alignment = align_knee(surfaces[0])
    knee = split_compartments(found, alignment)
    regions = subregions(knee, alignment)
    thickness = thickness_of_bones(surfaces, knee, regions, AnalysisOptions().cartilage_smoothing)
    rows = measure_knee(Findings(segmentation=knee, subregions=regions, thickness=thickness, t2_rows=()))
    flags = (*quality_flags(knee, regions, alignment, rows, stated_side=None), *model_flags(knee, card))
    return tuple(dict.fromkeys(flag.code.value for flag in flags))
