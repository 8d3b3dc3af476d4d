"""What the viewers show of a knee: all that is known before the last steps of the analysis."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.flags import QualityFlag
from pipeline.types import Alignment, LabelArray, Scan, Segmentation, T2Map, ThicknessMap


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewedKnee:
    """The fields of an AnalysisResult with these names."""

    scan: Scan | None
    segmentation: Segmentation
    subregions: LabelArray
    alignment: Alignment
    thickness: tuple[ThicknessMap, ...]
    t2: T2Map | None
    flags: tuple[QualityFlag, ...]
