"""Menisci of known size: rings with a wedge-shaped cross-section on two flat plates, in random poses."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from bench.plateau_phantom import LATERAL, MEDIAL, alignment, plateau_phantom, tibia_of
from pipeline.anatomy import Side, Structure
from pipeline.measure import Findings, measure_knee
from pipeline.types import Segmentation

DISCS = {Structure.MEDIAL_MENISCUS: MEDIAL, Structure.LATERAL_MENISCUS: LATERAL}


@lru_cache(maxsize=4)
def phantom(side: Side, seed: int) -> Segmentation:
    return plateau_phantom(MEDIAL, LATERAL, side, seed)


def rows_of(segmentation: Segmentation, side: Side) -> dict[tuple[str, str, str], float]:
    found = Findings(
        segmentation=segmentation,
        subregions=np.zeros_like(segmentation.labels),
        thickness=(tibia_of(segmentation),),
        alignment=alignment(side),
    )
    return {(row.structure, row.quantity, row.statistic): row.value for row in measure_knee(found)}


@pytest.mark.parametrize(("side", "seed"), [(Side.RIGHT, 1), (Side.RIGHT, 2), (Side.LEFT, 3), (Side.LEFT, 4)])
def test_menisci_of_known_size_are_measured_in_any_pose_and_side(side: Side, seed: int) -> None:
    rows = rows_of(phantom(side, seed), side)
    for meniscus, disc in DISCS.items():
        wedge = disc.meniscus
        found = {(quantity, statistic): v for (place, quantity, statistic), v in rows.items() if place == meniscus.key}
        assert found["volume", "total"] == pytest.approx(wedge.volume_mm3, rel=0.02)
        assert found["meniscus_coverage", "share"] == pytest.approx(disc.coverage_percent, abs=2.0)
        assert found["meniscus_extrusion", "max"] == pytest.approx(disc.extrusion_mm, abs=0.2)
        assert found["meniscus_thickness", "mean"] == pytest.approx(wedge.volume_mm3 / wedge.area_mm2, rel=0.04)
        assert found["meniscus_thickness", "max"] == pytest.approx(wedge.high_mm, abs=0.3)


def test_menisci_without_both_tibial_plates_have_a_volume_alone() -> None:
    knee = phantom(Side.RIGHT, 1)
    labels = np.where(knee.mask(Structure.LATERAL_TIBIAL_CARTILAGE), np.uint8(0), knee.labels)
    rows = rows_of(replace(knee, labels=labels), Side.RIGHT)
    for meniscus in DISCS:
        assert rows[meniscus.key, "volume", "total"] > 0
        assert math.isnan(rows[meniscus.key, "meniscus_coverage", "share"])
        assert math.isnan(rows[meniscus.key, "meniscus_extrusion", "max"])


def test_a_stray_voxel_far_outside_hardly_changes_the_extrusion() -> None:
    knee = phantom(Side.RIGHT, 2)
    before = rows_of(knee, Side.RIGHT)
    z, y, x = np.rint(knee.grid.to_index([[46.0, 0.0, 4.0]])[0]).astype(int)
    labels = knee.labels.copy()
    labels[z, y, x] = Structure.MEDIAL_MENISCUS
    after = rows_of(replace(knee, labels=labels), Side.RIGHT)
    place = (Structure.MEDIAL_MENISCUS.key, "meniscus_extrusion", "max")
    assert after[place] == pytest.approx(before[place], abs=0.1)


def test_a_knee_without_menisci_has_no_rows_of_them() -> None:
    knee = phantom(Side.RIGHT, 1)
    labels = np.where(knee.mask(*DISCS), np.uint8(0), knee.labels)
    assert not {structure for structure, _, _ in rows_of(replace(knee, labels=labels), Side.RIGHT)} & {
        meniscus.key for meniscus in DISCS
    }
