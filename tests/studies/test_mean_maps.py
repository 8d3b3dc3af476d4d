"""Mean maps and differences of groups: known mean, SD and t, and what does not contribute."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pipeline.anatomy import Structure
from pipeline.flat_maps.reference import reference_plate
from pipeline.report.flat_maps import MAPPED
from pipeline.results_tree import FLAT_MAP, RESULTS
from studies.check import Check
from studies.manifest import read_manifest
from studies.maps.groups import MUST_NOT_BE_USED, NO_MAP, NO_QUANTITY, OTHER_EXAMINATION, group_of
from studies.maps.names import ARRAYS, BONES, FILES, LEFT_OUT, PICTURE, SCENE, TABLES
from studies.maps.request import FIGURES, MapRequest
from studies.maps.results import write_maps
from studies.maps.statistics import LEAST_KNEES, Accumulator, difference_of
from studies.row_state import RowState
from studies.rules import CheckedRow
from studies.store import AnalysisRecord
from studies.tables.rows import StudyRow, StudyState

LOSS_MM = 0.4


def test_every_quantity_of_flat_maps_can_be_mapped() -> None:
    assert list(FIGURES) == [item.name for item in MAPPED]


def added(values: np.ndarray) -> Accumulator:
    accumulator = Accumulator(values.shape[1])
    for line in values:
        accumulator.add(line)
    return accumulator


def test_mean_and_sd_are_those_of_the_knees_that_have_a_value() -> None:
    values = np.random.default_rng(1).normal(2.0, 0.5, (30, 40)) + 1000
    values[np.random.default_rng(2).random(values.shape) < 0.3] = np.nan
    values[:, 0] = np.nan
    values[1:, 1] = np.nan
    values[0, 1] = 7.0
    found = added(values).result()
    assert found.knees == 30
    assert np.array_equal(found.n, np.isfinite(values).sum(axis=0))
    assert np.allclose(found.mean[1:], np.nanmean(values[:, 1:], axis=0))
    assert np.allclose(found.sd[2:], np.nanstd(values[:, 2:], axis=0, ddof=1))
    assert np.isnan([found.mean[0], found.sd[0], found.sd[1]]).all()
    with pytest.raises(ValueError, match="expected 40 values"):
        added(values[:, :40]).add(np.zeros(3))


def test_t_and_degrees_of_freedom_are_those_of_welch() -> None:
    random = np.random.default_rng(3)
    first, second = random.normal(2.0, 0.5, (9, 50)), random.normal(2.3, 1.1, (5, 50))
    first[LEAST_KNEES - 1 :, 0] = np.nan
    first[:, 1], second[:, 1] = 1.0, 2.0
    found = difference_of(added(first).result(), added(second).result())
    expected = stats.ttest_ind(first[:, 2:], second[:, 2:], equal_var=False)
    assert np.allclose(found.t[2:], expected.statistic)
    assert np.allclose(found.degrees_of_freedom[2:], expected.df)
    assert np.allclose(found.difference[2:], first[:, 2:].mean(axis=0) - second[:, 2:].mean(axis=0))
    assert np.isnan([found.difference[0], found.t[0], found.t[1], found.degrees_of_freedom[1]]).all()
    assert found.difference[1] == -1.0


@pytest.fixture
def state(tmp_path: Path) -> StudyState:
    """Twelve knees with known maps: cases have lost cartilage of the medial femur; and four that have none."""
    lines = [f"{row}.nrrd,S{row:02d},V00,{'case' if row % 2 else 'control'}" for row in range(12)]
    lines += ["12.nrrd,S00,V00,control", "13.nrrd,S13,V00,case", "14.nrrd,S14,V00,case", "15.nrrd,S15,V01,case"]
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(["labels,subject,visit,group", *lines]) + "\n", encoding="utf-8")
    read = read_manifest(manifest)
    checked = tuple(CheckedRow(row=row, header=None, findings=(), years=None) for row in read.rows)
    rows = []
    for index, row in enumerate(checked):
        record = AnalysisRecord(
            address=f"{index:024d}", side="right", model={}, flags=(), warnings=(), versions={}, inputs={}
        )
        folder = tmp_path / "store" / record.address
        folder.mkdir(parents=True)
        flags = [{"code": "WRONG_VOXEL_SIZE", "message": "", "reason": "", "structure": ""}] if index == 13 else []
        RESULTS.at(folder).write_text(json.dumps({"flags": flags}), encoding="utf-8")
        for bone in () if index == 14 else BONES:
            there = reference_plate(bone)
            values = there.thickness_mm + 0.1 * (index // 2 - 2.5)
            if index % 2 and bone is Structure.FEMUR:
                values = values - LOSS_MM * (there.surface.points_mm[:, 0] > 0)
            np.savez(FLAT_MAP.target(folder, bone=bone.key), reference_thickness_mm=values)
        rows.append(StudyRow(checked=row, state=RowState.COMPLETE, record=record))
    check = Check(rows=checked, further=read.further, notes=(), accepted=frozenset())
    return StudyState(check=check, store=tmp_path / "store", rows=tuple(rows))


REQUEST = MapRequest(figure="thickness_mm", visit="V00", column="group", first="case", second="control")


def test_a_group_has_the_known_mean_sd_and_number_and_names_what_is_left_out(state: StudyState) -> None:
    case, control = (group_of(state, REQUEST, value) for value in REQUEST.groups)
    plate = np.isfinite(reference_plate(Structure.FEMUR).thickness_mm)
    medial = reference_plate(Structure.FEMUR).surface.points_mm[:, 0] > 0
    femur = control.maps[Structure.FEMUR]
    assert np.allclose(femur.mean[plate], reference_plate(Structure.FEMUR).thickness_mm[plate])
    assert np.allclose(femur.sd[plate], np.std(0.1 * np.arange(6), ddof=1))
    assert set(femur.n[plate]) == {6}
    assert set(femur.n[~plate]) == {0}
    both = difference_of(case.maps[Structure.FEMUR], femur)
    assert np.allclose(both.difference[plate & medial], -LOSS_MM)
    assert np.allclose(both.difference[plate & ~medial], 0.0)
    assert {(item.row, item.bone, item.reason) for item in control.left_out} == {(14, "", OTHER_EXAMINATION)}
    assert {(item.subject, item.bone, item.reason) for item in case.left_out} == {
        *(("S13", bone.key, MUST_NOT_BE_USED) for bone in BONES),
        *(("S14", bone.key, NO_MAP) for bone in BONES),
    }
    assert (len(case.rows), case.subjects, case.maps[Structure.FEMUR].knees) == (8, 8, 6)
    everybody = group_of(state, replace(REQUEST, visit="", column=""), "")
    assert (everybody.title, everybody.maps[Structure.FEMUR].knees) == ("All knees", 13)
    t2 = group_of(state, replace(REQUEST, figure="t2_deep_ms"), "control")
    assert {item.reason for item in t2.left_out} == {NO_QUANTITY, OTHER_EXAMINATION}


def test_the_files_of_a_map_have_its_values_and_the_same_bytes_each_time(state: StudyState, tmp_path: Path) -> None:
    groups = [group_of(state, REQUEST, value) for value in REQUEST.groups]
    for name in ("a", "b"):
        write_maps(REQUEST, groups, tmp_path / name)
    names = {*FILES, SCENE}
    assert {path.name for path in (tmp_path / "a").iterdir()} == names
    for name in names - {*ARRAYS.values()}:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    with np.load(tmp_path / "a" / ARRAYS[Structure.FEMUR]) as arrays:
        assert np.nanmin(arrays["difference"]) == pytest.approx(-LOSS_MM, abs=1e-6)
        plate = arrays["first_n"] > 0
        lines = (tmp_path / "a" / TABLES[Structure.FEMUR]).read_text(encoding="utf-8").splitlines()
        assert len(lines) == plate.sum() + 1
        assert ",difference,t,degrees_of_freedom,first_mean,first_sd,first_n,second_mean" in lines[0]
    assert "S14" in (tmp_path / "a" / LEFT_OUT).read_text(encoding="utf-8")
    header = gzip.decompress((tmp_path / "a" / SCENE).read_bytes())[:20000]
    assert b"not corrected for multiple comparisons" in header
    assert (tmp_path / "a" / PICTURE).stat().st_size > 10_000
