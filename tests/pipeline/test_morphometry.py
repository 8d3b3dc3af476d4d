"""Rows of subregions, sums over a compartment, distribution and uncertainty, on made-up plates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.anatomy import PLACES, SUMS, Side, Structure
from pipeline.anatomy.subregions import CMF, CONDYLE, TIBIA
from pipeline.detectable import Detectable, denuded_percent
from pipeline.flags import FlagCode, QualityFlag, Use
from pipeline.grid import Grid
from pipeline.measure import Findings, measure_knee
from pipeline.morphometry import extreme_mean
from pipeline.oai_variables import OAI_VARIABLES
from pipeline.quantities import DAB, DISTRIBUTION, PRIMARY, THC, THC_TAB, Method
from pipeline.report.tables import oai_csv
from pipeline.types import Measurement, Segmentation, Surface, ThicknessMap

AREA_MM2 = 2.0


def plate(bone: Structure, parts: dict[tuple[int, int], list[float]]) -> ThicknessMap:
    """(region, subregion) -> thickness (mm) at vertices that stand for AREA_MM2 each."""
    rows = [(value, *key) for key, values in parts.items() for value in values]
    n = len(rows)
    surface = Surface(
        points_mm=np.zeros((n, 3)),
        faces=np.zeros((0, 3), dtype=np.int64),
        normals=np.zeros((n, 3)),
        vertex_areas_mm2=np.full(n, AREA_MM2),
        structure=bone,
    )
    return ThicknessMap(
        surface=surface,
        thickness_mm=np.array([row[0] for row in rows]),
        region=np.array([row[1] for row in rows], dtype=np.uint8),
        subregion=np.array([row[2] for row in rows], dtype=np.uint8),
        method=Method.UNION,
    )


CENTRAL_TIBIA = [1.0, 2.0, 3.0, 4.0]
CENTRAL_FEMUR = [0.0, 2.0]


def rows_of(detectable: Detectable | None = None) -> tuple[Measurement, ...]:
    labels = np.zeros((4, 4, 4), dtype=np.uint8)
    labels[0, 0, :3] = Structure.MEDIAL_TIBIAL_CARTILAGE
    divided = np.where(labels > 0, TIBIA[0]["central"].label, 0).astype(np.uint8)
    grid = Grid(shape=(4, 4, 4), spacing_mm=(1.0, 2.0, 2.0), origin_mm=np.zeros(3), direction=np.eye(3))
    maps = (
        plate(
            Structure.TIBIA,
            {(5, TIBIA[0]["central"].label): CENTRAL_TIBIA, (5, TIBIA[0]["anterior"].label): [1.0, 1.0]},
        ),
        plate(
            Structure.FEMUR,
            {(12, CONDYLE[0]["central"].label): CENTRAL_FEMUR, (12, CONDYLE[0]["external"].label): [1.0, 3.0]},
        ),
    )
    return measure_knee(
        Findings(
            segmentation=Segmentation(labels=labels, grid=grid, model_id="x"),
            subregions=labels,
            divided=divided,
            thickness=maps,
            detectable=detectable or Detectable(),
        )
    )


def values(rows: tuple[Measurement, ...]) -> dict[tuple[str, str, str], float]:
    return {(row.quantity, row.region, row.statistic): row.value for row in rows}


def test_a_subregion_has_the_rows_of_a_region() -> None:
    found = values(rows_of())
    assert found["ThCtAB", "cMT", "mean"] == 2.5
    assert found["tAB", "cMT", "total"] == 8.0
    assert found["ThCtAB", "cMF", "mean"] == 1.5
    assert found["ThC", "cMF", "mean"] == 2.0
    assert found["dAB", "ccMF", "share"] == 50.0
    assert found["volume", "cMT", "total"] == 12.0
    assert math.isnan(found["ThC", "eMT", "mean"])


def test_compartments_are_sums_of_mean_thickness() -> None:
    found = values(rows_of())
    assert found["ThCtAB", "MFTC", "mean"] == pytest.approx(2.0 + 1.5)
    assert found["ThCtAB", "cMFTC", "mean"] == pytest.approx(2.5 + 1.0)
    assert found["Miv", "cMFTC", "mean"] == pytest.approx(1.0 + 0.0)
    assert math.isnan(found["ThCtAB", "LFTC", "mean"]), "a term was not measured"
    assert [place.name for place in SUMS] == ["MFTC", "cMFTC", "LFTC", "cLFTC"]


def test_the_distribution_of_a_region() -> None:
    found = values(rows_of())
    assert found["Mav", "cMT", "mean"] == 4.0
    assert found["Miv", "cMT", "mean"] == 1.0
    assert ("Miv", "aMT", "mean") not in found
    assert ("Miv", "medial", "mean") not in found
    assert found["ThCtAB_CV", "cMT", "total"] == pytest.approx(100 * math.sqrt(1.25) / 2.5)
    assert found["VCtAB", "cMT", "total"] == pytest.approx(12.0 / 8.0)
    assert found["cAB", "ccMF", "total"] == 2.0
    assert found["thin_area", "cMT", "share"] == 25.0
    assert found["thin_area", "ccMF", "share"] == 50.0
    assert found["thin_area", "medial", "share"] == 50.0


def test_the_extreme_is_the_mean_of_one_percent_of_the_area() -> None:
    assert extreme_mean(np.arange(1000.0), np.ones(1000)) == pytest.approx(4.5)
    assert extreme_mean(np.array([1.0, 9.0]), np.array([0.005, 0.995])) == pytest.approx(5.0)
    assert math.isnan(extreme_mean(np.zeros(0), np.zeros(0)))


def test_a_mean_has_an_uncertainty_where_repeatability_is_known() -> None:
    places = {"tibial_cartilage/medial": 0.14, "tibial_cartilage/lateral": 0.14}
    known = values(rows_of(Detectable(places_mm=places)))
    for quantity in (THC, THC_TAB):
        assert known[quantity.id, "medial", "uncertainty"] == pytest.approx(0.14 / math.sqrt(2))
        assert (quantity.id, "lateral", "uncertainty") not in known, "there is no mean"
    assert not [row for row in rows_of() if row.statistic == "uncertainty"]


def test_the_uncertainty_of_a_worn_region_grows_with_its_denuded_bone() -> None:
    place = "femoral_cartilage/medial_weight_bearing"
    rows = values(rows_of(Detectable(places_mm={place: 0.03}, per_percent_mm=0.004)))
    denuded = rows[DAB.id, "medial_weight_bearing", "share"]
    assert denuded > 10
    expected = math.hypot(0.03, 0.004 * denuded) / math.sqrt(2)
    assert rows[THC_TAB.id, "medial_weight_bearing", "uncertainty"] == pytest.approx(expected)


def test_denuded_bone_of_a_sum_is_that_of_its_terms_as_independent_errors() -> None:
    def share(structure: str, region: str, percent: float) -> Measurement:
        return Measurement.of(
            DAB, method=PRIMARY, structure=structure, region=region, statistic=DAB.main, value=percent, n=1
        )

    first = [share("femoral_cartilage", "cMF", 4.0), share("tibial_cartilage", "medial", 1.0)]
    second = [share("tibial_cartilage", "medial", 3.0)]
    found = denuded_percent(first, second)
    assert found["tibial_cartilage/medial"] == 3.0
    assert found["femorotibial_cartilage/MFTC"] == 5.0
    assert found["femorotibial_cartilage/LFTC"] == 0.0


def test_rows_of_regions_stay_first_and_as_they_are_without_subregions() -> None:
    rows = rows_of()
    names = {place.name for place in PLACES.values() if getattr(place, "code", "") or place in SUMS}
    added = {quantity.id for quantity in DISTRIBUTION}
    first = next(index for index, row in enumerate(rows) if row.region in names)
    assert not [row for row in rows[:first] if row.quantity in added]
    assert all(row.region in names or row.quantity in added for row in rows[first:])


def test_variables_have_the_names_of_the_oai() -> None:
    named = {row.oai_variable: row for row in rows_of() if row.oai_variable}
    places = {
        "WMTMTH": "medial",
        "CMTMTH": "cMT",
        "BMFMTH": "cMF",
        "CBMFMTH": "ccMF",
        "WLTMTH": "lateral",
        "CLTMTH": "cLT",
        "BLFMTH": "cLF",
        "CBLFMTH": "ccLF",
        "WMTFMTH": "MFTC",
        "BMTFMTH": "cMFTC",
    }
    assert {name: named[name].region for name in places} == places
    assert {named[name].quantity for name in places} == {"ThCtAB"}
    assert (named["CMTMAT"].quantity, named["WMTVCL"].quantity, named["EBMFPD"].quantity) == ("Miv", "volume", "dAB")
    assert len(set(OAI_VARIABLES.values())) == len(OAI_VARIABLES)


def test_the_wide_table_has_one_row_and_leaves_out_what_must_not_be_used() -> None:
    banned = [row.judged([]) for row in rows_of()]
    header, line = (text.split(",") for text in oai_csv(banned, Side.LEFT).splitlines())
    found = dict(zip(header, line, strict=True))
    assert found["SIDE"] == "2"
    assert found["CMTMTH"] == "2.500000"
    assert found["WLTMTH"] == ""
    flag = QualityFlag(code=FlagCode.WRONG_VOXEL_SIZE, reason="stretched", message="stretched")
    header, line = (
        text.split(",") for text in oai_csv([row.judged([flag]) for row in banned], Side.RIGHT).splitlines()
    )
    assert dict(zip(header, line, strict=True)) | {"SIDE": ""} == dict.fromkeys(header, "")


def test_a_flag_on_a_region_holds_for_the_subregions_in_it_and_their_sums() -> None:
    flag = QualityFlag(
        code=FlagCode.CUT_BY_FIELD_OF_VIEW,
        reason="cut",
        message="cut",
        structure=Structure.FEMORAL_CARTILAGE.key,
        regions=("medial_weight_bearing", "all"),
    )
    plate_name = CMF.plate.value
    assert flag.use_of("tAB", plate_name, "ccMF") is Use.NO
    assert flag.use_of("ThC", plate_name, "cMF") is Use.CAUTION
    assert flag.use_of("tAB", plate_name, "ccLF") is Use.YES
    assert flag.use_of("ThCtAB", "femorotibial_cartilage", "MFTC") is Use.CAUTION
    assert flag.use_of("ThCtAB", "femorotibial_cartilage", "LFTC") is Use.YES
