"""The network's answer that the checks see is that to the scan as its header states it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.scan_checks.subject import FirstAnswer, examine
from pipeline.types import Resources
from tests.pipeline.segmentation.test_chosen_knee import ByGreyValue, scan_of
from tests.support.knees import coarse_knee


def test_answers_to_other_orientations_are_not_kept() -> None:
    knee = coarse_knee()
    scan = scan_of(knee, slice(0, 0))
    part = replace(scan, echoes=scan.echoes[:, :9], grid=scan.grid.crop((0, 0, 0), (9, *scan.grid.shape[1:])))
    model = FirstAnswer(model=ByGreyValue())
    for seen in (scan, replace(scan, grid=scan.grid.turned("RPI")), part):
        model.segment(seen, Resources(), lambda _: None)
    assert model.answer is not None
    assert model.answer.grid == scan.grid


@pytest.mark.slow
def test_a_scan_is_examined_as_an_analysis_does_it() -> None:
    knee = coarse_knee()
    scan = scan_of(knee, slice(0, 0))
    seen = examine(scan, ByGreyValue(), (ByGreyValue(),), Resources())
    assert np.array_equal(seen.segmentation.labels == Structure.FEMUR, knee.labels == Structure.FEMUR)
    assert seen.alignment.side == "right"
    (other,) = seen.others.values()
    assert np.array_equal(other.labels, seen.segmentation.labels)
