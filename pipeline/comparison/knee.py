"""The data of one analysis that a comparison uses, and its mirror image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline.anatomy import Side, Structure
from pipeline.flags import QualityFlag
from pipeline.grid import FloatArray, Grid
from pipeline.segmentation.identity import ModelIdentity
from pipeline.types import Alignment, Measurement, Surface, ThicknessMap

MIRROR: Final[FloatArray] = np.diag([-1.0, 1.0, 1.0, 1.0])
"""(4, 4) matrix that swaps left and right in LPS."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Knee:
    """One finished analysis.

    maps        one per bone, by the primary thickness method, LPS mm
    flags       what they say about the measurements
    model       the segmentation model; options: those of the analysis
    grid        of the label map; unchanged in a mirrored knee
    edited      structures that a reader has corrected
    """

    maps: tuple[ThicknessMap, ...]
    alignment: Alignment
    measurements: tuple[Measurement, ...]
    flags: tuple[QualityFlag, ...]
    model: ModelIdentity
    options: dict[str, object]
    grid: Grid
    edited: frozenset[Structure] = frozenset()

    @property
    def side(self) -> Side:
        return self.alignment.side

    def mirrored(self) -> Knee:
        """The same knee converted to the other side: surfaces and alignment; the measurements are unchanged."""
        alignment = replace(self.alignment, matrix=self.alignment.matrix @ MIRROR, side=self.side.other)
        maps = tuple(replace(item, surface=_mirrored(item.surface)) for item in self.maps)
        return replace(self, maps=maps, alignment=alignment)


def _mirrored(surface: Surface) -> Surface:
    flip = np.array([-1.0, 1.0, 1.0])
    return replace(
        surface,
        points_mm=surface.points_mm * flip,
        normals=surface.normals * flip,
        faces=np.ascontiguousarray(surface.faces[:, ::-1]),
    )
