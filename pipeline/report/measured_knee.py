"""The part of a result that maps, pictures and viewers show: it is complete before the last steps of the analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pipeline.flags import QualityFlag
from pipeline.types import Alignment, LabelArray, RelaxationMap, Scan, Segmentation, ThicknessMap


class Shown(Protocol):
    """A MeasuredKnee or a whole AnalysisResult."""

    @property
    def scan(self) -> Scan | None: ...
    @property
    def segmentation(self) -> Segmentation: ...
    @property
    def subregions(self) -> LabelArray: ...
    @property
    def divided(self) -> LabelArray: ...
    @property
    def alignment(self) -> Alignment: ...
    @property
    def thickness(self) -> tuple[ThicknessMap, ...]: ...
    @property
    def t2(self) -> RelaxationMap | None: ...
    @property
    def flags(self) -> tuple[QualityFlag, ...]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredKnee:
    """Fields as in AnalysisResult."""

    scan: Scan | None
    segmentation: Segmentation
    subregions: LabelArray
    divided: LabelArray
    alignment: Alignment
    thickness: tuple[ThicknessMap, ...]
    t2: RelaxationMap | None
    flags: tuple[QualityFlag, ...]
