"""Limits of a model, from its card, as tables and sentences."""

from __future__ import annotations

from dataclasses import asdict

import pandas as pd

from pipeline.segmentation.limits import ConfidenceFlag, ContrastFigures, ThickSlices

THICK_TITLES = {
    "slice_mm": "Slices (mm)",
    "bone_dice": "Dice, bones",
    "cartilage_dice": "Dice, cartilage",
    "thickness_rmse_mm": "ThC RMSE (mm)",
    "knees": "Knees",
}


def slices_table(thick: ThickSlices | None) -> pd.DataFrame:
    """Accuracy on thick slices, one line per slice thickness; empty if not measured."""
    rows = [asdict(row) for row in thick.rows] if thick else []
    return pd.DataFrame([{title: row[key] for key, title in THICK_TITLES.items()} for row in rows])


def slices_words(thick: ThickSlices | None) -> str:
    """Slice thickness up to which cartilage is usable; empty if not measured."""
    if thick is None:
        return ""
    limit = thick.usable_slice_mm
    usable = f"with slices of up to {limit:.2g} mm" if limit else "with none of the thick slices that were tried"
    return f"Cartilage is usable {usable}; beyond, results carry a flag. Measured on {thick.measured_on}."


CONTRAST_TITLES = {
    "name": "Sequence",
    "marrow_contrast": "Cartilage : marrow",
    "bone_dice": "Dice, bones",
    "cartilage_dice": "Dice, cartilage",
    "thickness_bias_mm": "ThC bias (mm)",
    "thickness_rmse_mm": "ThC RMSE (mm)",
    "usable": "Usable",
    "knees": "Knees",
}
CONTRAST_WORDS = (
    "Synthetic scans with voxels of up to 1 mm, rendered by another renderer than in training. Cartilage : marrow is "
    "the ratio of their signals. A scan is judged by the sequence whose ratio is closest; where that one is not "
    "usable, results carry a flag."
)


def contrasts_table(rows: tuple[ContrastFigures, ...]) -> pd.DataFrame:
    """Accuracy by sequence, one line each; empty if not measured."""
    return pd.DataFrame([{title: asdict(row)[key] for key, title in CONTRAST_TITLES.items()} for row in rows])


def confidence_words(rule: ConfidenceFlag | None) -> str:
    """Performance of the confidence flag; empty if the model has none."""
    if rule is None:
        return ""
    entropy = rule.most_entropy_bits
    surface = f", or the mean entropy near its surface above {entropy:.3f} bits" if entropy is not None else ""
    if not rule.discriminates:
        return (
            "The network's confidence does not tell bad cartilage outlines from good ones, and raises no flag: of "
            f"{rule.scans} synthetic scans, the best limit found {100 * rule.worst_caught:.0f} % of the tenth with the "
            f"worst outlines and {100 * rule.others_flagged:.0f} % of the others."
        )
    return (
        f"Results are flagged where the mean cartilage probability is below {rule.threshold:.3f}{surface} "
        "(uncalibrated). Of "
        f"{rule.scans} synthetic scans this flagged {100 * rule.worst_caught:.0f} % of the tenth with the worst "
        f"cartilage outlines and {100 * rule.others_flagged:.0f} % of the others; it was chosen on the "
        "same scans, so expect less on others."
    )
