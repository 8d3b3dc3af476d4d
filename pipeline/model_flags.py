"""Quality flags from the measured performance of the model: its confidence, and the slice thickness of the scan."""

from __future__ import annotations

from typing import Final

from pipeline.flags import FlagCode, QualityFlag
from pipeline.segmentation.card import ModelCard
from pipeline.segmentation.confidence import cartilage_mean
from pipeline.segmentation.limits import SliceFigures
from pipeline.types import Segmentation

ROUNDING_MM: Final = 0.01
"""Tolerance for spacings stored as float32."""


def model_flags(segmentation: Segmentation, model: ModelCard) -> tuple[QualityFlag, ...]:
    """`model`: card of the model that made the segmentation. Without measured limits there are no flags."""
    return (*_cartilage_not_usable(segmentation, model), *_low_confidence(segmentation, model))


def _low_confidence(segmentation: Segmentation, model: ModelCard) -> list[QualityFlag]:
    rule, found = model.confidence_flag, cartilage_mean(segmentation.confidence)
    entropy = cartilage_mean(segmentation.surface_entropy_bits)
    if rule is None or found is None or not rule.flags(found, entropy):
        return []
    surface = (
        f", and the mean entropy near its surface {entropy:.3f} bits; expected {rule.most_entropy_bits:.3f} or less"
        if rule.most_entropy_bits is not None and entropy is not None
        else ""
    )
    return [
        QualityFlag(
            code=FlagCode.LOW_CONFIDENCE,
            reason="the network is uncertain about the cartilage",
            message=f"The network's mean probability of cartilage is {found:.3f}; "
            f"expected {rule.threshold:.3f} or more{surface} (uncalibrated). Of {rule.scans} synthetic scans this "
            f"flags {100 * rule.worst_caught:.0f} % of the tenth with the worst outlines, and "
            f"{100 * rule.others_flagged:.0f} % of the others.",
        )
    ]


def _cartilage_not_usable(segmentation: Segmentation, model: ModelCard) -> list[QualityFlag]:
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


def _thinnest(rows: tuple[SliceFigures, ...]) -> float:
    return min((row.slice_mm for row in rows), default=0.0)
