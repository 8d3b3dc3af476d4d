"""Files of flat maps: what they hold, that it is the knee's own area and thickness, and the same bytes every time."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.anatomy import ALL, BONES, PLATE_ON, Side, Structure
from pipeline.flags import FlagCode, QualityFlag
from pipeline.grid import Grid
from pipeline.measure import measure_thickness
from pipeline.quantities import TAB, THC_TAB, Method, Statistic
from pipeline.report.flat_maps import write_flat_maps
from pipeline.report.measured_knee import MeasuredKnee
from pipeline.types import RelaxationMap, Segmentation
from tests.support.flat_plates import alignment, reference_bone_map

T2_MS = 42.0
DENUDED_MM2 = 30.0
THICK_SLICES = QualityFlag(
    code=FlagCode.CARTILAGE_NOT_USABLE, reason="slices of 4 mm", message="Slices are 4 mm thick; expected less."
)


def knee(*, flags: tuple[QualityFlag, ...] = (), t2: bool = True) -> MeasuredKnee:
    """The reference knee with a denuded spot on the femur, and one T2 everywhere in voxels of 2 mm."""
    maps = {bone: reference_bone_map(bone) for bone in BONES}
    femur = maps[Structure.FEMUR]
    far = np.linalg.norm(femur.surface.points_mm - femur.surface.points_mm[femur.in_plate].mean(axis=0), axis=1)
    order = np.argsort(np.where(femur.in_plate, far, np.inf))
    spot = order[np.cumsum(femur.surface.vertex_areas_mm2[order]) < DENUDED_MM2]
    thickness = femur.thickness_mm.copy()
    thickness[spot] = 0.0
    maps[Structure.FEMUR] = replace(femur, thickness_mm=thickness)
    grid = Grid(shape=(76, 58, 57), spacing_mm=(2.0, 2.0, 2.0), origin_mm=[-56.0, -70.0, -84.0], direction=np.eye(3))
    plate = np.full(grid.shape, PLATE_ON[Structure.FEMUR].labels[0], dtype=np.uint8)
    values = np.full(grid.shape, T2_MS, dtype=np.float32)
    return MeasuredKnee(
        scan=None,
        segmentation=Segmentation(labels=np.ones(grid.shape, dtype=np.uint8), grid=grid, model_id="made_up"),
        subregions=plate,
        divided=plate,
        alignment=alignment(np.eye(4), Side.RIGHT),
        thickness=tuple(maps.values()),
        t2=RelaxationMap(time_ms=values, r2=np.ones_like(values), method=Method.MULTI_ECHO, grid=grid) if t2 else None,
        flags=flags,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = tmp_path_factory.mktemp("maps")
    write_flat_maps(knee(), files)
    return files / "maps"


def arrays(folder: Path, bone: Structure) -> Mapping[str, Any]:
    with np.load(folder / f"{bone.key}_map.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def table(folder: Path, bone: Structure) -> list[dict[str, str]]:
    with (folder / f"{bone.key}_map.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("bone", BONES, ids=lambda bone: bone.key)
def test_area_and_thickness_over_the_map_are_those_of_the_results(folder: Path, bone: Structure) -> None:
    item = next(found for found in knee(t2=False).thickness if found.surface.structure is bone)
    rows = {(row.quantity, row.region, row.statistic): row.value for row in measure_thickness(item)}
    stored = arrays(folder, bone)
    area = stored["area_mm2"].astype(float)
    assert area.sum() == pytest.approx(rows[TAB.id, ALL, Statistic.TOTAL], rel=1e-4)
    mean = np.nansum(area * stored["thickness_mm"]) / area.sum()
    assert mean == pytest.approx(rows[THC_TAB.id, ALL, Statistic.MEAN], rel=1e-4)
    assert float(stored["outside_mm2"]) == pytest.approx(0.0, abs=1e-6)
    lines = table(folder, bone)
    assert sum(float(line["area_mm2"]) for line in lines) == pytest.approx(area.sum(), rel=1e-3)
    assert len(lines) == (area > 0).sum()


def test_the_table_names_axes_and_regions(folder: Path) -> None:
    femur, tibia, patella = (table(folder, bone) for bone in BONES)
    assert list(femur[0]) == [
        *("medial_mm", "anterior_deg", "area_mm2", "thickness_mm", "t2_deep_ms", "t2_superficial_ms"),
        *("region", "subregion"),
    ]
    assert list(tibia[0])[:2] == ["medial_mm", "anterior_mm"]
    assert list(patella[0])[:2] == ["medial_mm", "superior_mm"]
    assert {line["region"] for line in tibia} == {"medial", "lateral"}
    assert {"cMT", "eMT", "iMT", "aMT", "pMT"} <= {line["subregion"] for line in tibia}
    assert {line["region"] for line in patella} == {ALL}
    lateral = [float(line["medial_mm"]) for line in tibia if line["region"] == "lateral"]
    assert max(lateral) < min(float(line["medial_mm"]) for line in tibia if line["region"] == "medial")


def test_t2_is_there_where_it_was_measured_and_empty_elsewhere(folder: Path) -> None:
    stored = arrays(folder, Structure.FEMUR)
    for name in ("t2_deep_ms", "t2_superficial_ms"):
        known = np.isfinite(stored[name])
        assert known.sum() > 0.8 * (stored["area_mm2"] > 0).sum()
        assert stored[name][known] == pytest.approx(T2_MS, abs=0.01)
    assert np.isnan(arrays(folder, Structure.TIBIA)["t2_deep_ms"]).all()  # no voxel belongs to its plate
    assert {line["t2_deep_ms"] for line in table(folder, Structure.TIBIA)} == {""}


def test_maps_of_all_knees_have_the_same_cells_and_vertices(folder: Path) -> None:
    for bone in BONES:
        stored = arrays(folder, bone)
        up = next(name for name in stored if name.startswith(("anterior", "superior")))
        shape = len(stored[up]), len(stored["medial_mm"])
        for name in ("area_mm2", "thickness_mm", "region", "subregion", "vertex"):
            assert stored[name].shape == shape
        m = len(stored["reference_points_mm"])
        for name in ("reference_vertex", "reference_thickness_mm", "reference_region", "reference_t2_deep_ms"):
            assert len(stored[name]) == m
        assert np.allclose(stored["medial_mm"], -stored["medial_mm"][::-1])


def test_the_vertex_of_a_cell_is_a_row_of_the_bones_surface(folder: Path) -> None:
    stored = arrays(folder, Structure.PATELLA)
    item = next(found for found in knee(t2=False).thickness if found.surface.structure is Structure.PATELLA)
    rows, columns = np.nonzero(stored["vertex"] >= 0)
    points = item.surface.points_mm[stored["vertex"][rows, columns]]
    whole = stored["reference_to_map"] @ stored["lps_to_reference"]
    there = points @ whole[:3, :3].T + whole[:3, 3]
    assert np.abs(there[:, 0] - stored["medial_mm"][columns]).max() < 1.5
    assert np.abs(there[:, 1] - stored["superior_mm"][rows]).max() < 1.5


def test_without_t2_there_are_no_columns_of_it(tmp_path: Path) -> None:
    write_flat_maps(knee(t2=False), tmp_path)
    assert not [name for name in arrays(tmp_path / "maps", Structure.FEMUR) if "t2" in name]
    picture = Image.open(tmp_path / "maps" / "flat_maps.png")
    assert picture.width > picture.height


def test_the_same_knee_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_flat_maps(knee(), tmp_path)
    for path in folder.iterdir():
        assert (tmp_path / "maps" / path.name).read_bytes() == path.read_bytes(), path.name


def test_thickness_that_must_not_be_used_is_grey(tmp_path: Path) -> None:
    write_flat_maps(knee(flags=(THICK_SLICES,), t2=False), tmp_path)
    pixels = np.asarray(Image.open(tmp_path / "maps" / "flat_maps.png")).reshape(-1, 4).astype(int)
    shown = pixels[pixels[:, 3] == 255]
    assert np.abs(shown[:, 0] - shown[:, 2]).max() < 60


def test_a_knee_that_does_not_fit_has_no_maps(tmp_path: Path) -> None:
    found = knee(t2=False)
    patella = next(item for item in found.thickness if item.surface.structure is Structure.PATELLA)
    long = replace(patella, surface=replace(patella.surface, points_mm=patella.surface.points_mm * [1.0, 2.2, 1.0]))
    write_flat_maps(replace(found, thickness=(long,)), tmp_path)
    assert not list(tmp_path.rglob("*"))
