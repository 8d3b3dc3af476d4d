"""Quality flags on outlines of a model: its measured performance, and bones that are not whole."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.anatomy import Structure, Tissue
from pipeline.flags import FlagCode, QualityFlag
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.confidence import cartilage_mean
from pipeline.segmentation.limits import SliceFigures, closest_contrast
from pipeline.types import Segmentation

INTERRUPTED_SHARE: Final = {Structure.FEMUR: 0.2, Structure.TIBIA: 0.1}
"""Share of the lines along the leg through a bone that leave it and enter it again. With a growth plate of 3 mm in the
sample scan, the network's outlines have 0.33 and more (femur), 0.11 and more (tibia); the 9 expert maps of the
validation have up to 0.14 and 0.06."""

GAP_MM: Final = 2.0
"""Shorter gaps along a line are steps of the voxels."""

_WORDS: Final = {Tissue.BONE: "bones", Tissue.CARTILAGE: "cartilage", Tissue.MENISCUS: "menisci"}
"""One line for all experimental structures of a tissue."""

ROUNDING_MM: Final = 0.01
"""Tolerance for spacings stored as float32."""


def model_flags(segmentation: Segmentation, model: ModelCard) -> tuple[QualityFlag, ...]:
    """`model`: card of the model that made the segmentation. Without measured limits, only the bones are checked."""
    return (
        *_slices_too_thick(segmentation, model),
        *_contrast_not_usable(segmentation, model),
        *_interrupted(segmentation),
        *_low_confidence(segmentation, model),
        *_experimental(segmentation, model),
    )


def _experimental(segmentation: Segmentation, model: ModelCard) -> list[QualityFlag]:
    return [
        QualityFlag(
            code=FlagCode.EXPERIMENTAL_STRUCTURE,
            structure=structure.key,
            reason=f"outlines of the {_WORDS[structure.tissue]} are experimental",
            message=f"{structure.title}: this model learned it from drawn shapes, and was not measured on real ones.",
        )
        for structure in model.experimental
        if structure in segmentation.boxes
    ]


def _interrupted(segmentation: Segmentation) -> list[QualityFlag]:
    shares = {bone: interrupted_share(segmentation, bone) for bone in INTERRUPTED_SHARE}
    return [
        QualityFlag(
            code=FlagCode.BONE_INTERRUPTED,
            structure=bone.key,
            reason=f"the outline of the {bone.key} has gaps",
            message=f"{100 * share:.0f} % of the lines along the leg through the {bone.key} leave its outline and "
            f"enter it again; expected at most {100 * INTERRUPTED_SHARE[bone]:.0f} %. An open growth plate, a fracture "
            "or an implant interrupts the outline; so does a scan unlike those the network has learned from.",
        )
        for bone, share in shares.items()
        if share > INTERRUPTED_SHARE[bone]
    ]


def interrupted_share(segmentation: Segmentation, bone: Structure) -> float:
    """Of the lines of voxels along the leg through the bone; 0 without the bone."""
    box = segmentation.boxes.get(bone)
    if box is None:
        return 0.0
    along = int(np.argmax(np.abs(segmentation.grid.affine[2, :3])))
    inside = np.moveaxis(segmentation.labels[box] == bone, along, 0)
    between = np.maximum.accumulate(inside) & np.maximum.accumulate(inside[::-1])[::-1]
    lines = inside.any(axis=0)
    gap_mm = (between & ~inside).sum(axis=0) * segmentation.grid.spacing_mm[along]
    return float((gap_mm[lines] >= GAP_MM).mean())


def _low_confidence(segmentation: Segmentation, model: ModelCard) -> list[QualityFlag]:
    rule, found = model.confidence_flag, cartilage_mean(segmentation.confidence)
    entropy = cartilage_mean(segmentation.surface_entropy_bits)
    if rule is None or not rule.discriminates or found is None or not rule.flags(found, entropy):
        return []
    surface = (
        f", and the mean entropy near its surface {entropy:.3f} bits; expected {rule.most_entropy_bits:.3f} or less"
        if rule.most_entropy_bits is not None and entropy is not None
        else ""
    )
    return [
        QualityFlag(
            code=FlagCode.LOW_CONFIDENCE,
            structure=structure,
            reason="the network is uncertain about the cartilage",
            message=f"The network's mean probability of cartilage is {found:.3f}; "
            f"expected {rule.threshold:.3f} or more{surface} (uncalibrated). Of {rule.scans} synthetic scans this "
            f"flags {100 * rule.worst_caught:.0f} % of the tenth with the worst outlines, and "
            f"{100 * rule.others_flagged:.0f} % of the others.",
        )
        for structure in _of_the_model(segmentation)
    ]


def _of_the_model(segmentation: Segmentation) -> list[str]:
    """The plates that no reader has corrected, or one empty name for all of the knee."""
    plates = [plate for plate in segmentation.boxes if plate.tissue is Tissue.CARTILAGE]
    if segmentation.edited.isdisjoint(plates):
        return [""]
    return [plate.key for plate in plates if plate not in segmentation.edited]


def _slices_too_thick(segmentation: Segmentation, model: ModelCard) -> list[QualityFlag]:
    thick, coarsest = model.thick_slices, max(segmentation.grid.spacing_mm)
    if (
        thick is None
        or coarsest <= thick.usable_slice_mm + ROUNDING_MM
        or coarsest < _thinnest(thick.rows) - ROUNDING_MM
    ):
        return []
    near = thick.at(coarsest)
    if near is None:
        return []
    limit = (
        f"up to {thick.usable_slice_mm:.2g} mm" if thick.usable_slice_mm else "at none of the tested slice thicknesses"
    )
    return [
        QualityFlag(
            code=FlagCode.CARTILAGE_NOT_USABLE,
            reason=f"slices of {coarsest:.2g} mm",
            message=f"Slices are {coarsest:.2g} mm thick; this network's cartilage is usable {limit}. On synthetic "
            f"scans with slices of {near.slice_mm:.2g} mm its overlap with the experts' cartilage was "
            f"{near.cartilage_dice:.2f} (Dice; bones {near.bone_dice:.2f}), and regional thickness had an error of "
            f"{near.thickness_rmse_mm:.2f} mm (RMSE).",
        )
    ]


def _contrast_not_usable(segmentation: Segmentation, model: ModelCard) -> list[QualityFlag]:
    contrast = segmentation.marrow_contrast
    near = None if contrast is None else closest_contrast(model.contrasts, contrast)
    if near is None or near.usable:
        return []
    return [
        QualityFlag(
            code=FlagCode.CARTILAGE_NOT_USABLE,
            reason=f"cartilage is about as dark beside marrow as in {near.name} scans",
            message=f"Cartilage has {contrast:.2f} times the signal of marrow in this scan, about as in {near.name} "
            f"({near.marrow_contrast:.2f}). On {near.knees} synthetic {near.name} scans regional thickness of this "
            f"network had an error of {near.thickness_rmse_mm:.2f} mm (RMSE; mean {near.thickness_bias_mm:+.2f} mm), "
            f"and its overlap with the experts' cartilage was {near.cartilage_dice:.2f} (Dice; bones "
            f"{near.bone_dice:.2f}).",
        )
    ]


def _thinnest(rows: tuple[SliceFigures, ...]) -> float:
    return min((row.slice_mm for row in rows), default=0.0)
