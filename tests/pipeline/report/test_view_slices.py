"""Files for the slice viewer are correct for any storage order of the voxels."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.anatomy import Side, Structure
from pipeline.grid import Grid
from pipeline.quantities import Method
from pipeline.report.view import write_view
from pipeline.report.view_slices import T2_STEP_MS, eight_bits, write_slices
from pipeline.types import AnalysisResult, RelaxationMap, Scan
from tests.support.report_phantom import MIDDLE_MM, phantom, stored_otherwise


def read(folder: Path, name: str, dtype: str = "u1") -> np.ndarray:
    return np.frombuffer(gzip.decompress((folder / f"{name}.bin.gz").read_bytes()), dtype=dtype)


def document(folder: Path) -> dict[str, Any]:
    return json.loads(gzip.decompress((folder / "slices.json.gz").read_bytes()))


def written(result: AnalysisResult, folder: Path) -> dict[str, Any]:
    write_slices(result, folder)
    return document(folder)


def picture(data: dict[str, Any], array: np.ndarray, name: str, at: tuple[int, ...]) -> np.ndarray:
    """(rows, columns) of a plane through voxel `at`, according to the document."""
    plane = next(plane for plane in data["planes"] if plane["name"] == name)
    down, right, normal = plane["down"], plane["right"], plane["normal"]
    volume = array.reshape(data["shape"]).transpose(normal, down["axis"], right["axis"])
    return volume[at[normal]][:: down["turn"], :: right["turn"]]


def test_voxels_are_stored_unchanged(tmp_path: Path) -> None:
    result = phantom()
    data = written(result, tmp_path)
    assert np.array_equal(read(tmp_path, "labels"), result.segmentation.labels.reshape(-1))
    assert np.array_equal(read(tmp_path, "subregions"), result.subregions.reshape(-1))
    shown = data["scan"]["offset"] + data["scan"]["step"] * read(tmp_path, "scan").astype(float)
    scan = result.scan.anatomical.reshape(-1)
    low, high = data["scan"]["offset"], data["scan"]["offset"] + 255 * data["scan"]["step"]
    inside = (scan >= low) & (scan <= high)
    assert inside.mean() > 0.998
    assert np.abs(shown - scan)[inside].max() <= 0.501 * data["scan"]["step"]
    index = np.array([[3, 50, 60]])
    assert np.array(data["affine"]) @ [*index[0], 1] == pytest.approx([*result.segmentation.grid.to_mm(index)[0], 1])


def test_edges_of_an_oblique_grid_have_the_right_letters(tmp_path: Path) -> None:
    data = written(phantom(), tmp_path)
    affine = np.array(data["affine"])
    for plane, down, right, normal in (("Sagittal", -3, 2, 1), ("Coronal", -3, 1, 2), ("Axial", 2, 1, 3)):
        found = next(entry for entry in data["planes"] if entry["name"] == plane)
        for key, expected in (("down", down), ("right", right)):
            step = affine[:3, found[key]["axis"]] * found[key]["turn"]
            assert np.argmax(np.abs(step)) == abs(expected) - 1
            assert step[abs(expected) - 1] * expected > 0
        assert np.argmax(np.abs(affine[:3, found["normal"]])) == normal - 1
        edges = "".join(found["letters"][edge][0] for edge in ("top", "right", "bottom", "left"))
        assert edges == {"Sagittal": "SPIA", "Coronal": "SLIR", "Axial": "ALPR"}[plane]
    assert data["tilt_deg"] == pytest.approx(16.0, abs=1.0)


def test_medial_is_the_patients_left_in_a_right_knee_and_right_in_a_left_knee(tmp_path: Path) -> None:
    result = phantom()
    other = replace(result, alignment=replace(result.alignment, side=Side.LEFT))
    for folder, knee, words in (
        ("right", result, {"right": "medial", "left": "lateral"}),
        ("left", other, {"right": "lateral", "left": "medial"}),
    ):
        data = written(knee, tmp_path / folder)
        assert [plane["words"] for plane in data["planes"]] == [{}, words, words]
        assert data["side"] == folder


@pytest.mark.parametrize(("order", "flipped"), [((2, 0, 1), (0,)), ((1, 2, 0), (1, 2)), ((0, 1, 2), (0, 1, 2))])
def test_pictures_do_not_depend_on_how_voxels_are_stored(
    tmp_path: Path, order: tuple[int, int, int], flipped: tuple[int, ...]
) -> None:
    result = phantom()
    turned = stored_otherwise(result, order, flipped)
    data, other = written(result, tmp_path / "one"), written(turned, tmp_path / "two")
    middle = MIDDLE_MM + np.array([4.0, 0.0, -16.0])
    here, there = (
        tuple(int(k) for k in np.rint(knee.segmentation.grid.to_index([middle])[0])) for knee in (result, turned)
    )
    for name in ("Sagittal", "Coronal", "Axial"):
        first = picture(data, read(tmp_path / "one", "labels"), name, here)
        second = picture(other, read(tmp_path / "two", "labels"), name, there)
        assert len(np.unique(first)) > 1
        assert np.array_equal(first, second)


def test_the_viewer_opens_on_cartilage(tmp_path: Path) -> None:
    result = phantom()
    data = written(result, tmp_path)
    assert result.segmentation.labels[tuple(data["start"])] == Structure.MEDIAL_TIBIAL_CARTILAGE


def test_every_structure_can_be_painted_and_missing_ones_are_marked(tmp_path: Path) -> None:
    result = phantom()
    labels = np.where(result.segmentation.labels == Structure.PATELLA, 0, result.segmentation.labels).astype(np.uint8)
    data = written(replace(result, segmentation=replace(result.segmentation, labels=labels)), tmp_path)
    found = {entry["key"]: entry["found"] for entry in data["structures"]}
    assert list(found) == [structure.key for structure in Structure]
    assert not found["patella"]
    assert not found["medial_meniscus"]
    assert found["patellar_cartilage"]


def test_labels_without_a_scan_are_supported(tmp_path: Path) -> None:
    data = written(replace(phantom(), scan=None), tmp_path)
    assert data["scan"] is None
    assert not (tmp_path / "scan.bin.gz").exists()
    assert read(tmp_path, "labels").any()


def test_t2_keeps_a_precision_of_10_microseconds_and_its_gaps(tmp_path: Path) -> None:
    result = phantom()
    labels, grid = result.segmentation.labels, result.segmentation.grid
    t2 = np.where(labels >= 4, np.random.default_rng(2).uniform(5, 499, labels.shape), np.nan).astype(np.float32)
    data = written(
        replace(result, t2=RelaxationMap(time_ms=t2, r2=t2 * 0 + 1, method=Method.MULTI_ECHO, grid=grid)), tmp_path
    )
    codes = read(tmp_path, "t2", "<u2").reshape(labels.shape)
    assert np.array_equal(codes == 0, np.isnan(t2))
    assert np.nanmax(np.abs(codes * data["t2"]["step_ms"] - t2)[codes > 0]) <= 0.51 * T2_STEP_MS


def test_a_scan_on_another_grid_is_shown_at_its_position(tmp_path: Path) -> None:
    result = phantom()
    grid = result.segmentation.grid
    fine = tuple(s * 0.8 for s in grid.spacing_mm)
    shape = (36, 150, 140)
    corner = grid.to_mm([[-2, -8, -8]])[0]
    other = Grid(shape=shape, spacing_mm=fine, origin_mm=corner, direction=grid.direction)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)
    height = (other.to_mm(index)[:, 2] - MIDDLE_MM[2]).reshape(shape).astype(np.float32)
    data = written(replace(result, scan=Scan(echoes=height[None], grid=other)), tmp_path)
    shown = data["scan"]["offset"] + data["scan"]["step"] * read(tmp_path, "scan").reshape(grid.shape).astype(float)
    at = np.array([[5, 40, 50], [12, 52, 48], [17, 70, 30]])
    expected = grid.to_mm(at)[:, 2] - MIDDLE_MM[2]
    assert shown[tuple(at.T)] == pytest.approx(expected, abs=0.6 * data["scan"]["step"] + 1e-3)


def test_an_image_of_one_value_and_one_below_zero_can_be_shown() -> None:
    codes, scale = eight_bits(np.full((4, 5, 6), 7.0, dtype=np.float32))
    assert scale["window"][1] > scale["window"][0]
    assert scale["offset"] + scale["step"] * int(codes[0, 0, 0]) == pytest.approx(7.0)
    image = np.linspace(-500, 100, 50 * 60 * 70, dtype=np.float32).reshape(50, 60, 70)
    codes, scale = eight_bits(image)
    assert np.abs(scale["offset"] + scale["step"] * codes[5:-5].astype(float) - image[5:-5]).max() < scale["step"]


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_view(phantom(), tmp_path / folder)
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {"slices.json.gz", "scan.bin.gz", "labels.bin.gz", "subregions.bin.gz"} <= names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
