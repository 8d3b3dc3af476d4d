"""The picture of the extrusion shows the measured distance, on the right side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.plateau_phantom import Disc, Wedge, alignment, plateau_phantom, tibia_of
from pipeline.anatomy import Side, Structure
from pipeline.report.extrusion import LINE, LINE_PX, PX_PER_MM, write_extrusion
from pipeline.report.measured_knee import MeasuredKnee

MEDIAL = Disc(radius_mm=17.0, meniscus=Wedge(inner_mm=8.0, outer_mm=20.5))
LATERAL = Disc(radius_mm=15.0, meniscus=Wedge(inner_mm=6.5, outer_mm=16.5))


def knee_of(side: Side) -> MeasuredKnee:
    segmentation = plateau_phantom(MEDIAL, LATERAL, side, 1)
    return MeasuredKnee(
        scan=None,
        segmentation=segmentation,
        subregions=np.zeros_like(segmentation.labels),
        divided=np.zeros_like(segmentation.labels),
        alignment=alignment(side),
        thickness=(tibia_of(segmentation),),
        t2=None,
        flags=(),
    )


def line_widths(path: Path) -> list[float]:
    """Distance (mm) between the two vertical lines, of the left and the right section."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    high = (np.abs(pixels - LINE).max(axis=2) < 40).sum(axis=0) > 4 * PX_PER_MM
    columns, middle = np.flatnonzero(high), pixels.shape[1] / 2
    halves = columns[columns < middle], columns[columns >= middle]
    return [(half.max() - half.min() + 1 - LINE_PX) / PX_PER_MM for half in halves]


@pytest.mark.parametrize("side", list(Side))
def test_the_lines_are_as_far_apart_as_the_meniscus_is_extruded(side: Side, tmp_path: Path) -> None:
    assert write_extrusion(knee_of(side), tmp_path / "picture.png")
    truth = [LATERAL.extrusion_mm, MEDIAL.extrusion_mm]  # the patient's left, medial of a right knee, is on the right
    assert line_widths(tmp_path / "picture.png") == pytest.approx(truth if side is Side.RIGHT else truth[::-1], abs=0.3)


def test_a_knee_without_menisci_has_no_picture(tmp_path: Path) -> None:
    knee = knee_of(Side.RIGHT)
    menisci = knee.segmentation.mask(Structure.MEDIAL_MENISCUS, Structure.LATERAL_MENISCUS)
    labels = np.where(menisci, np.uint8(0), knee.segmentation.labels)
    assert not write_extrusion(
        replace(knee, segmentation=replace(knee.segmentation, labels=labels)), tmp_path / "x.png"
    )
    assert not list(tmp_path.iterdir())
