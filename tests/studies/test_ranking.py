"""The ranking puts knees that are wrong before those that only differ."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from pipeline.anatomy import Structure
from pipeline.flags import FlagCode
from pipeline.quantities import TAB, THC, THC_TAB, VOLUME, Method
from studies.ranking import Ranked, ranked

KNEES, BAD, FIRST = 1000, 20, 40
PLATES = {
    Structure.FEMORAL_CARTILAGE.key: ("all", "anterior", "medial_weight_bearing", "lateral_weight_bearing"),
    Structure.MEDIAL_TIBIAL_CARTILAGE.key: ("all", "medial"),
    Structure.LATERAL_TIBIAL_CARTILAGE.key: ("all", "lateral"),
    Structure.PATELLAR_CARTILAGE.key: ("all",),
}
MM = {"femoral_cartilage": 2.1, "medial_tibial_cartilage": 1.7, "lateral_tibial_cartilage": 2.2}
MM |= {"patellar_cartilage": 2.5}


def knees(seed: int) -> tuple[pd.DataFrame, dict[int, list[str]], set[int]]:
    """Figures of knees of many sizes and thicknesses, of which some are wrong in different ways.

    Sizes differ by 8 % (SD), thickness by 12 % between knees, 6 % between plates and 5 % between regions.
    """
    random = np.random.default_rng(seed)
    bad = set(random.choice(np.arange(1, KNEES + 1), BAD, replace=False).tolist())
    ways: Iterator[int] = iter(range(BAD))
    lines, flags = [], {}
    for row in range(1, KNEES + 1):
        way = next(ways) % 5 if row in bad else -1
        size, thick = random.normal(1.0, 0.08), random.lognormal(0.0, 0.12)
        scale = 1.35 if way == 0 else 1.0  # voxels of another size
        flags[row] = [FlagCode.SPACING_TOO_COARSE.value]  # all knees have it: it distinguishes none
        if way == 1:
            flags[row].append(next(code for code in FlagCode if code is not FlagCode.SPACING_TOO_COARSE).value)
        for plate, regions in PLATES.items():
            if way == 2 and plate == "patellar_cartilage":
                continue  # not found
            own = random.lognormal(0.0, 0.06) * (0.5 if way == 3 and plate == "medial_tibial_cartilage" else 1.0)
            own *= 0.6 if way == 1 and plate == "lateral_tibial_cartilage" else 1.0
            area = 800.0 * (size * scale) ** 2 * random.normal(1.0, 0.04)
            area *= 0.45 if way == 4 and plate == "femoral_cartilage" else 1.0  # half of it outside of the image
            for region in regions:
                mean = MM[plate] * thick * own * scale * random.normal(1.0, 0.05)
                share = 1.0 if region == "all" else 0.3
                lines += [
                    (row, THC.id, Method.UNION.value, plate, region, str(THC.main), mean),
                    (row, THC_TAB.id, Method.UNION.value, plate, region, str(THC_TAB.main), mean * 0.99),
                    (row, TAB.id, Method.UNION.value, plate, region, str(TAB.main), area * share),
                    (row, VOLUME.id, Method.VOXEL_COUNT.value, plate, region, str(VOLUME.main), mean * area * share),
                ]
    names = ["row", "quantity", "method", "structure", "region", "statistic", "value"]
    return pd.DataFrame(lines, columns=names), flags, bad


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_twenty_planted_bad_knees_are_among_the_first_forty_of_a_thousand(seed: int) -> None:
    measurements, flags, bad = knees(seed)
    found = ranked(measurements, flags)
    assert len(found) == KNEES
    assert bad <= {item.row for item in found[:FIRST]}
    assert all(item.reasons for item in found[:FIRST])
    shared = FlagCode.SPACING_TOO_COARSE.value
    assert not [item for item in found if shared in item.reasons]


def test_the_reasons_name_what_is_missing_and_what_is_far() -> None:
    measurements, flags, _ = knees(4)
    thin = (measurements.row == 5) & (measurements.structure == "femoral_cartilage") & (measurements.quantity == THC.id)
    measurements.loc[thin, "value"] *= 0.3
    lost = (measurements.row == 6) & (measurements.structure == "lateral_tibial_cartilage")
    reasons = {item.row: item.reasons for item in ranked(measurements[~lost], flags)}
    assert "lateral tibial cartilage is missing" in reasons[6]
    assert any(reason.startswith("ThC, ") and reason.endswith("SD below the median") for reason in reasons[5])


def test_few_knees_are_ranked_by_their_flags_alone() -> None:
    measurements, _, _ = knees(5)
    few = measurements[measurements.row <= 3]
    code = FlagCode.SPACING_TOO_COARSE.value
    found = ranked(few, {1: [], 2: [code], 3: []})
    assert [item.row for item in found] == [2, 1, 3]
    assert found[0].reasons == (code,)
    assert found[1] == Ranked(row=1, score=0.0, reasons=())
    assert ranked(few, {}) == []


def test_visits_whose_bones_do_not_fit_the_others_come_first() -> None:
    measurements, flags, bad = knees(6)
    random = np.random.default_rng(6)
    residuals = {row: random.normal(0.4, 0.05) for row in range(1, 101)}
    residuals[7] = 2.5
    found = ranked(measurements, flags, residuals)
    places = [item.row for item in found]
    assert places.index(7) < FIRST
    assert any(reason.startswith("registration to other visits") for reason in found[places.index(7)].reasons)
    without = {item.row: item for item in ranked(measurements, flags)}
    alone = [item for item in found if item.row > 100]
    assert alone == [without[item.row] for item in alone], "a knee with one visit lacks nothing"
    assert bad <= {item.row for item in found[: FIRST + 1]}
