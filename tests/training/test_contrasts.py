"""Figures by sequence for the card of a model: from the conditions that are whole sequences."""

from __future__ import annotations

from training.evaluation.conditions import CONDITIONS
from training.evaluation.contrasts import contrast_figures
from training.evaluation.examine import Examined
from training.evaluation.table import Row

BY_ID = {condition.id: condition for condition in CONDITIONS}


def knee(name: str, condition: str, *, contrast: float, dice: float, error_mm: float) -> Examined:
    values = {
        "dice": {"femur": 0.98, "femoral_cartilage": dice, "patellar_cartilage": dice - 0.02},
        "thc_error_mm": {"femoral_cartilage/all": error_mm, "patellar_cartilage/all": -error_mm},
        "contrast": {"marrow_contrast": contrast},
    }
    return Examined(knee=name, condition=condition, seconds=1.0, values=values)


def row(condition: str, *knees: Examined) -> Row:
    return Row(condition=BY_ID[condition], knees=list(knees))


def test_every_sequence_with_thin_voxels_has_one_line_and_other_conditions_have_none() -> None:
    rows = [row(one.id, knee("a", one.id, contrast=1.0, dice=0.9, error_mm=0.1)) for one in CONDITIONS]
    assert [line.name for line in contrast_figures(rows)] == ["DESS", "PD-FS", "T2-FS", "T1", "PD", "3D TSE"]


def test_the_line_has_means_over_knees_and_the_limits_of_thick_slices() -> None:
    a, b = (knee(name, "t1", contrast=c, dice=0.82, error_mm=0.3) for name, c in (("a", 0.2), ("b", 0.8)))
    c = knee("c", "pd", contrast=0.5, dice=0.82, error_mm=0.25)
    t1, pd = contrast_figures([row("t1", a, b), row("pd", c)])
    assert (t1.knees, t1.marrow_contrast, t1.bone_dice, t1.cartilage_dice) == (2, 0.4, 0.98, 0.81)
    assert (t1.thickness_bias_mm, t1.thickness_rmse_mm, t1.usable) == (0.0, 0.3, False)
    assert (pd.thickness_rmse_mm, pd.usable) == (0.25, True)


def test_scans_that_were_refused_are_left_out() -> None:
    refused = Examined(knee="b", condition="t1", seconds=1.0, failed="NO_KNEE: none")
    found = contrast_figures([row("t1", knee("a", "t1", contrast=0.4, dice=0.9, error_mm=0.1), refused)])
    assert [line.knees for line in found] == [1]
    assert contrast_figures([row("t1", refused)]) == []
