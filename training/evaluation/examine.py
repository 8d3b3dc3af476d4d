"""One scan of one knee: segmented by the pipeline and compared with its truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.anatomy import BONES, Plate, Structure
from pipeline.errors import KneeError
from pipeline.quantities import DAB, THC
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.confidence import cartilage_mean
from pipeline.types import Scan, Segmentation
from training.evaluation.flags import raised
from training.evaluation.scan import Rendered
from training.generator.materials import MENISCI, PLATES
from training.generator.space import box_around
from training.knee_unet.agreement import compare, region_values

Mask = NDArray[np.bool_]
DEEP_MM: Final = 3.0
"""Voxels of a bone further than this from its surface are unmistakable."""
PATELLAR_THAT_IS_FLUID: Final = "patellar_cartilage_that_is_fluid"
FLUID_IN_CARTILAGE: Final = "fluid_labelled_cartilage"
MENISCI_TOGETHER: Final = "menisci"
MENISCUS_IN_CARTILAGE: Final = "meniscus_labelled_cartilage"
PROBABILITY: Final = "cartilage_probability"
ENTROPY_BITS: Final = "cartilage_entropy_bits"
MARROW_CONTRAST: Final = "marrow_contrast"


class Group(StrEnum):
    """Figures of one knee: group -> name -> value. Names are structures, plates or regions unless stated otherwise.

    errors are ours minus the truth's; percent of voxels
    """

    DICE = "dice"
    VOLUME = "volume_error_percent"
    THC = "thc_error_mm"
    DAB = "dab_error_points"
    FLUID = "fluid_percent"
    MENISCUS = "meniscus_percent"
    MISSING = "missing_in_bone_mm3"
    HOLES = "holes_in_bone_mm3"
    PIECES = "pieces_of_bone"
    CONFIDENCE = "confidence"
    CONTRAST = "contrast"


Values = dict[str, dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Examined:
    """Result for one knee in one condition.

    failed  why the scan could not be segmented or measured; "" if it could
    flags   codes of all flags, also of those that another one implies (flags.py)
    """

    knee: str
    condition: str
    seconds: float
    failed: str = ""
    values: Values = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def examine(
    knee: str, condition: str, rendered: Rendered, segment: Callable[[Scan], Segmentation], card: ModelCard
) -> Examined:
    """Segment and compare; errors of the pipeline are a result too. seconds: of the segmentation."""
    begun = time.perf_counter()
    try:
        found = segment(rendered.scan)
        seconds = time.perf_counter() - begun
        values = compared(found, rendered)
        flags = raised(found, card)
    except KneeError as error:
        return Examined(
            knee=knee, condition=condition, seconds=time.perf_counter() - begun, failed=f"{error.code}: {error.message}"
        )
    return Examined(knee=knee, condition=condition, seconds=round(seconds, 2), values=values, flags=flags)


def compared(found: Segmentation, rendered: Rendered) -> Values:
    """Every figure that this truth allows. Raises KneeError if the outlines cannot be measured."""
    truth = rendered.truth
    agreements = compare(found, truth)
    menisci = {}
    if truth.mask(*MENISCI).any() and found.mask(*MENISCI).any():  # a model without menisci has no Dice of 0
        menisci = {MENISCI_TOGETHER: _dice(found.mask(*MENISCI), truth.mask(*MENISCI))}
    ours, true = region_values(found), region_values(rendered.drawn)
    values = {
        Group.DICE.value: {name: one.dice for name, one in agreements.items()} | menisci,
        Group.VOLUME.value: {name: one.volume_bias_percent for name, one in agreements.items() if name in tuple(Plate)},
        Group.THC.value: _errors(ours[THC.id], true[THC.id]),
        Group.DAB.value: _errors(ours[DAB.id], true[DAB.id]),
        Group.FLUID.value: {} if rendered.fluid is None else fluid_figures(found, rendered.fluid),
        Group.MENISCUS.value: meniscus_figures(found, truth),
    }
    values[Group.CONFIDENCE.value] = {
        name: value
        for name, value in (
            (PROBABILITY, cartilage_mean(found.confidence)),
            (ENTROPY_BITS, cartilage_mean(found.surface_entropy_bits)),
        )
        if value is not None
    }
    if found.marrow_contrast is not None:
        values[Group.CONTRAST.value] = {MARROW_CONTRAST: found.marrow_contrast}
    return values | bone_figures(found, truth)


def fluid_figures(found: Segmentation, fluid: Mask) -> dict[str, float]:
    """Percent of the patellar cartilage found that is fluid, and percent of the fluid that is labelled cartilage."""
    patellar, cartilage = found.mask(Structure.PATELLAR_CARTILAGE), found.mask(*PLATES)
    return {
        PATELLAR_THAT_IS_FLUID: _percent(patellar & fluid, patellar),
        FLUID_IN_CARTILAGE: _percent(cartilage & fluid, fluid),
    }


def meniscus_figures(found: Segmentation, truth: Segmentation) -> dict[str, float]:
    """Percent of the menisci that is labelled cartilage; empty if the truth has no menisci."""
    menisci = truth.mask(*MENISCI)
    return {MENISCUS_IN_CARTILAGE: _percent(found.mask(*PLATES) & menisci, menisci)} if menisci.any() else {}


def bone_figures(found: Segmentation, truth: Segmentation) -> Values:
    """Per bone of the truth: mm3 of it deeper than DEEP_MM and not labelled as this bone; enclosed holes; pieces."""
    missing, holes, pieces = {}, {}, {}
    voxel_mm3 = truth.grid.voxel_volume_mm3
    for bone in BONES:
        ours, true = found.labels == bone, truth.labels == bone
        box = box_around(true, 1)
        if box is None:
            continue
        # a shaft that the border of the image cuts has no surface there
        deep = ndimage.distance_transform_edt(true[box], sampling=truth.grid.spacing_mm) > DEEP_MM
        missing[bone.key] = float(np.count_nonzero(deep & ~ours[box])) * voxel_mm3
        place = found.boxes.get(bone)
        inner = ours[place] if place is not None else ours[:0]
        holes[bone.key] = float(np.count_nonzero(ndimage.binary_fill_holes(inner) & ~inner)) * voxel_mm3
        pieces[bone.key] = float(ndimage.label(inner)[1])
    return {Group.MISSING.value: missing, Group.HOLES.value: holes, Group.PIECES.value: pieces}


def _errors(ours: dict[str, float], true: dict[str, float]) -> dict[str, float]:
    pairs = {name: ours[name] - value for name, value in true.items() if name in ours}
    return {name: error for name, error in pairs.items() if np.isfinite(error)}


def _percent(part: Mask, whole: Mask) -> float:
    """NaN-free: 0 if the whole is empty."""
    total = np.count_nonzero(whole)
    return 100.0 * float(np.count_nonzero(part)) / total if total else 0.0


def _dice(ours: Mask, true: Mask) -> float:
    total = np.count_nonzero(ours) + np.count_nonzero(true)
    return 2.0 * float(np.count_nonzero(ours & true)) / total if total else 0.0
