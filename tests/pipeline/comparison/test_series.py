"""Visits of one knee: known slopes, any order, and what is refused."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from bench.phantoms import ellipsoid
from pipeline.anatomy.subregions import CONDYLE
from pipeline.comparison.changes import LARGER, UNKNOWN, WITHIN
from pipeline.comparison.follow_folders import series_document, trends_csv
from pipeline.comparison.knee import Knee
from pipeline.comparison.reproducibility import Reproducibility
from pipeline.comparison.series import Series, Trend, Visit, follow
from pipeline.comparison.series_scene import write_series_scene
from pipeline.comparison.visits import years_of
from pipeline.errors import NotComparable
from pipeline.quantities import THC_MATCHED
from tests.pipeline.comparison.test_comparison import AXES_MM, phantom_knee
from tests.support.report_phantom import THICK_SLICES
from tests.support.scene_file import read_scene

pytestmark = pytest.mark.slow

NOTHING_KNOWN = Reproducibility()
YEARS = (2019.5, 2020.5, 2021.7, 2023.5)
SLOPE_MM = -0.12
"""Per year; from 2.5 mm."""


@lru_cache(maxsize=1)
def visits() -> tuple[Visit, ...]:
    """A phantom that loses cartilage evenly, each time in another pose and on another grid."""
    found = []
    for number, years in enumerate(YEARS):
        thickness = 2.5 + SLOPE_MM * (years - YEARS[0])
        off = Rotation.from_euler("xyz", (number * 2.0, -number, number), degrees=True)
        found.append(Visit(knee=phantom_knee(ellipsoid(AXES_MM, thickness, seed=11 + number), off), years=years))
    return tuple(found)


@lru_cache(maxsize=1)
def followed() -> Series:
    return follow(visits(), NOTHING_KNOWN)


def trend_of(series: Series, quantity: str, region: str = "all") -> Trend:
    return next(trend for trend in series.trends if (trend.quantity, trend.region) == (quantity, region))


def with_values(*values: float) -> list[Visit]:
    """The same phantom at every visit, with made-up means of ThC."""
    knee = visits()[0].knee
    row = next(row for row in knee.measurements if (row.quantity, row.region, row.statistic) == ("ThC", "all", "mean"))
    return [
        Visit(knee=replace(knee, measurements=(replace(row, value=value),)), years=float(number))
        for number, value in enumerate(values)
    ]


def test_a_steady_loss_is_found_within_10_um_a_year() -> None:
    for quantity in (THC_MATCHED.id, "ThC", "ThCtAB"):
        trend = trend_of(followed(), quantity)
        assert trend.slope == pytest.approx(SLOPE_MM, abs=0.010)
        assert trend.error < 0.010
    assert len(trend_of(followed(), THC_MATCHED.id).values) == 4


def test_points_are_followed_one_by_one() -> None:
    (bone,) = followed().bones
    everywhere = np.isfinite(bone.thickness_mm).all(axis=0)
    assert everywhere.sum() > 0.8 * np.isfinite(bone.first.thickness_mm).sum()
    loss = bone.thickness_mm[0] - bone.thickness_mm[3]
    assert np.median(loss[everywhere]) == pytest.approx(-SLOPE_MM * 4, abs=0.03)


def test_subregions_of_the_earliest_visit_are_followed() -> None:
    first = visits()[0]
    (item,) = first.knee.maps
    subregion = np.where(item.region > 0, CONDYLE[0]["central"].label, 0).astype(np.uint8)
    divided = replace(first.knee, maps=(replace(item, subregion=subregion),))
    series = follow((replace(first, knee=divided), *visits()[1:]), NOTHING_KNOWN)
    assert trend_of(series, THC_MATCHED.id, "ccMF").values == trend_of(series, THC_MATCHED.id).values
    assert trend_of(series, THC_MATCHED.id, "pMF").slope is None
    assert not [trend for trend in followed().trends if trend.region == "ccMF"]


def test_the_order_in_which_visits_are_given_changes_nothing() -> None:
    one, other = followed(), follow([visits()[k] for k in (2, 0, 3, 1)], NOTHING_KNOWN)
    assert other.years == one.years == pytest.approx((0.0, 1.0, 2.2, 4.0))
    assert other.trends == one.trends
    assert np.array_equal(other.bones[0].thickness_mm, one.bones[0].thickness_mm, equal_nan=True)


def test_the_line_is_that_of_least_squares() -> None:
    values = (2.0, 1.9, 2.05, 1.7, 1.6)
    trend = trend_of(follow(with_values(*values), NOTHING_KNOWN), "ThC")
    (slope, _), covariance = np.polyfit(range(5), values, 1, cov=True)
    assert trend.slope == pytest.approx(slope)
    assert trend.error == pytest.approx(math.sqrt(covariance[0, 0]))
    assert (trend.expected, trend.verdict) == (None, UNKNOWN)


@pytest.mark.parametrize(("per_year", "verdict"), [(-0.05, WITHIN), (-0.12, LARGER), (0.12, LARGER)])
def test_a_slope_is_judged_by_the_repeatability_of_one_measurement(per_year: float, verdict: str) -> None:
    known = Reproducibility(regions={"femoral_cartilage/all": {"sdc_mm": 0.277}})  # SD 0.1 mm
    trend = trend_of(follow(with_values(*(2.0 + per_year * year for year in range(4))), known), "ThC")
    assert trend.expected == pytest.approx(0.1 / math.sqrt(5.0), rel=0.01)
    assert trend.verdict == verdict


def test_a_missing_value_is_left_out_and_two_values_have_no_line() -> None:
    trend = trend_of(follow(with_values(2.0, float("nan"), 1.8, 1.7), NOTHING_KNOWN), "ThC")
    assert trend.values == (2.0, None, 1.8, 1.7)
    assert trend.slope == pytest.approx(-0.1)
    short = trend_of(follow(with_values(2.0, float("nan"), 1.8), NOTHING_KNOWN), "ThC")
    assert (short.slope, short.error, short.verdict) == (None, None, UNKNOWN)


def test_another_model_at_a_visit_is_named() -> None:
    given = with_values(2.0, 1.9, 1.8)
    other = replace(given[2].knee, model=replace(given[2].knee.model, id="given:oai"))
    assert follow(given, NOTHING_KNOWN).warnings == ()
    (text,) = follow([*given[:2], replace(given[2], knee=other)], NOTHING_KNOWN).warnings
    assert "two different models" in text


def test_a_visit_that_must_not_be_used_leaves_no_verdict() -> None:
    known = Reproducibility(regions={"femoral_cartilage/all": {"sdc_mm": 0.01}})
    given = with_values(2.0, 1.9, 1.8)
    given[1] = replace(given[1], knee=replace(given[1].knee, flags=(THICK_SLICES,)))
    trend = trend_of(follow(given, known), "ThC")
    assert (trend.use, trend.flag, trend.verdict) == ("no", "CARTILAGE_NOT_USABLE", UNKNOWN)


def test_the_table_has_a_column_for_every_visit_and_the_document_its_trends() -> None:
    rows = list(csv.DictReader(io.StringIO(trends_csv(followed()))))
    row = next(row for row in rows if (row["quantity"], row["region"]) == (THC_MATCHED.id, "all"))
    trend = trend_of(followed(), THC_MATCHED.id)
    columns = ["year_0.000", "year_1.000", "year_2.200", "year_4.000"]
    assert [float(row[name]) for name in columns] == pytest.approx(trend.values, abs=1e-6)
    assert float(row["slope_per_year"]) == pytest.approx(trend.slope, abs=1e-6)
    assert (row["expected_error"], row["verdict"], row["use"]) == ("", UNKNOWN, "yes")
    document = series_document(followed())
    assert document["years"] == pytest.approx([0.0, 1.0, 2.2, 4.0])
    assert len(document["trends"]) == len(rows)
    assert [len(bone["matrix"]) for bone in document["registration"]] == [3]


def test_the_scene_steps_through_the_thickness_at_the_visits_on_the_first_bone(tmp_path: Path) -> None:
    path = tmp_path / "view" / "scene.bin"
    write_series_scene(path, followed())
    header, meshes = read_scene(path)
    steps = [channel for channel in header["channels"] if channel.get("steps")]
    assert [step["title"] for step in steps] == [f"Visit {k + 1}, year {YEARS[k] - YEARS[0]:.2f}" for k in range(4)]
    assert len({step["steps"] for step in steps}) == 1
    (mesh,) = meshes.values()
    (bone,) = followed().bones
    drawn = [mesh.channels[step["name"]] for step in steps]
    for values, known in zip(drawn, bone.thickness_mm, strict=True):
        assert np.nanmean(values) == pytest.approx(np.nanmean(known), abs=1e-3)
    assert np.nanmedian(mesh.channels["change"]) == pytest.approx(4 * SLOPE_MM, abs=0.03)


def mirrored(visit: Visit) -> Visit:
    return replace(visit, knee=visit.knee.mirrored())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: visits()[:2], "2 visits were given; expected at least 3"),
        (lambda: [*visits()[:3], replace(visits()[3], years=YEARS[0])], "the same time"),
        (lambda: [*visits()[:3], replace(visits()[3], years=math.nan)], "not a number"),
        (lambda: [*visits()[:3], replace(visits()[3], years=2222.0)], "202 years apart"),
        (lambda: [*visits()[:3], mirrored(visits()[3])], "left and right"),
    ],
)
def test_what_is_no_series_is_refused(given, message: str) -> None:
    with pytest.raises(NotComparable, match=message):
        follow(given(), NOTHING_KNOWN)


@pytest.mark.parametrize(
    ("times", "gaps"),
    [
        (("2019-07-02", "20200701", " 2023-07-02 "), (365 / 365.25, 4.0)),
        (("2019.5", "2020.5", "1e3"), (1.0, -1019.5)),
    ],
)
def test_times_are_dates_or_years(times: tuple[str, ...], gaps: tuple[float, float]) -> None:
    first, *later = years_of(times)
    assert [time - first for time in later] == pytest.approx(gaps, abs=1e-9)


def test_a_bone_that_a_visit_lacks_is_named() -> None:
    def without_bones(knee: Knee) -> Knee:
        return replace(knee, maps=())

    given = [visits()[0], visits()[1], replace(visits()[2], knee=without_bones(visits()[2].knee))]
    with pytest.raises(NotComparable, match="Femur: not segmented in all visits"):
        follow(given, NOTHING_KNOWN)
