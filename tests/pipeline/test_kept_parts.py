"""A part is taken from an earlier run only if everything that decides it is the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.grid import Grid
from pipeline.kept_parts import KeptParts
from pipeline.part_codec import UnknownValue, packed, unpacked
from pipeline.product import arrays_and_json
from pipeline.quantities import Method
from pipeline.types import Surface, ThicknessMap
from pipeline.workspace import Workspace

GRID = Grid(shape=(2, 3, 4), spacing_mm=(1.5, 0.1 + 0.2, 0.4), origin_mm=np.ones(3), direction=np.eye(3))


def doubled(values: np.ndarray, by: float = 2.0) -> np.ndarray:
    return values * by


def wider(grid: Grid, by: int) -> Grid:
    return grid.extended(((by, by), (0, 0), (0, 0)))


def write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_nothing(path: Path) -> None:
    pass


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    found = Workspace(tmp_path)
    found.create()
    return found


def parts(workspace: Workspace, version: int = 1) -> KeptParts:
    return KeptParts(workspace, "step", version)


def test_a_value_is_kept_bit_by_bit_and_taken_again(workspace: Workspace) -> None:
    values = np.array([0.1, np.nan, -0.0, 1e-300])
    first, second = parts(workspace), parts(workspace)
    assert first.value(doubled, values).tobytes() == second.value(doubled, values.copy()).tobytes()
    assert (first.computed, first.reused, second.computed, second.reused) == (["doubled"], [], [], ["doubled"])
    grid = [kept.value(wider, GRID, 2) for kept in (first, second)]
    assert grid[0].spacing_mm == grid[1].spacing_mm == GRID.spacing_mm
    assert (grid[0].affine == grid[1].affine).all()


@pytest.mark.parametrize(
    "other",
    [
        (np.array([1.0, 2.0]), 3.0),
        (np.array([1.0, np.nextafter(2.0, 3.0)]), 2.0),
        (np.array([1.0, 2.0], dtype=np.float32), 2.0),
        (np.array([[1.0, 2.0]]), 2.0),
        (np.array([1, 2]), 2.0),
        (np.array([1.0, 2.0]), 2),
    ],
    ids=["argument", "last_bit", "precision", "shape", "integers", "type"],
)
def test_another_argument_is_computed(workspace: Workspace, other: tuple[np.ndarray, float]) -> None:
    parts(workspace).value(doubled, np.array([1.0, 2.0]), 2.0)
    again = parts(workspace)
    assert np.array_equal(again.value(doubled, *other), other[0] * other[1])
    assert again.computed == ["doubled"]


def test_another_order_in_memory_is_computed_because_sums_may_differ(workspace: Workspace) -> None:
    values = np.arange(6.0).reshape(2, 3)
    parts(workspace).value(doubled, values)
    again = parts(workspace)
    assert again.value(doubled, np.asfortranarray(values)).flags.c_contiguous
    assert again.computed == ["doubled"]


def test_another_version_of_the_step_is_computed(workspace: Workspace) -> None:
    parts(workspace).value(doubled, np.ones(2))
    again = parts(workspace, version=2)
    again.value(doubled, np.ones(2))
    assert again.computed == ["doubled"]


@pytest.mark.parametrize("damage", ["cut", "changed", "missing"])
def test_a_damaged_part_is_computed_again_and_another_link_to_it_is_left_alone(
    workspace: Workspace, tmp_path: Path, damage: str
) -> None:
    parts(workspace).value(doubled, np.ones(50))
    parts(workspace).file(write_text, tmp_path / "one.txt", "content")
    links = []
    for path in workspace.work_dir.iterdir():
        if path.suffix != ".json":
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.unlink()
            if damage != "missing":
                path.write_bytes(content[:-9] if damage == "cut" else content)
                links.append((path.read_bytes(), tmp_path / path.name))
                links[-1][1].hardlink_to(path)
    again = parts(workspace)
    assert (again.value(doubled, np.ones(50)) == 2.0).all()
    again.file(write_text, tmp_path / "two.txt", "content")
    assert (tmp_path / "two.txt").read_text() == "content"
    assert again.computed == ["doubled", "write_text"]
    assert all(link.read_bytes() == content for content, link in links)
    third = parts(workspace)
    third.value(doubled, np.ones(50))
    third.file(write_text, tmp_path / "three.txt", "content")
    assert third.reused == ["doubled", "write_text"]


def test_a_file_is_linked_and_one_that_is_not_made_stays_missing(workspace: Workspace, tmp_path: Path) -> None:
    for number in range(2):
        kept = parts(workspace)
        kept.file(write_text, tmp_path / f"{number}.txt", "content")
        kept.file(write_nothing, tmp_path / f"{number}.none")
        assert (kept.reused if number else kept.computed) == ["write_text", "write_nothing"]
    assert (tmp_path / "0.txt").samefile(tmp_path / "1.txt")
    assert not list(tmp_path.glob("*.none"))


def test_parts_that_a_run_did_not_use_are_removed_and_those_of_other_steps_stay(workspace: Workspace) -> None:
    KeptParts(workspace, "other", 1).value(doubled, np.ones(3))
    parts(workspace).value(doubled, np.ones(2))
    again = parts(workspace)
    again.value(doubled, np.zeros(2))
    again.forget_unused()
    last = parts(workspace)
    last.value(doubled, np.zeros(2))
    last.value(doubled, np.ones(2))
    assert (last.reused, last.computed) == (["doubled"], ["doubled"])
    other = KeptParts(workspace, "other", 1)
    other.value(doubled, np.ones(3))
    assert other.reused == ["doubled"]


def test_a_function_that_can_read_more_than_its_arguments_is_refused(workspace: Workspace) -> None:
    factor = 2.0

    def inner(values: np.ndarray) -> np.ndarray:
        return values * factor

    for function in (inner, lambda values: values):
        with pytest.raises(ValueError, match="expected a function of a module"):
            parts(workspace).value(function, np.ones(2))


def test_a_product_links_the_array_of_a_part(workspace: Workspace) -> None:
    product = arrays_and_json("made", lambda array: ({}, {"a": array}), lambda kept: kept.array("a"))
    values = parts(workspace).value(doubled, np.ones(5))
    product.of(values).save(workspace)
    (part,) = workspace.work_dir.glob("part.*.npy")
    assert (workspace.work_dir / "made.a.npy").samefile(part)
    assert not values.flags.writeable
    product.of(values[:3]).save(workspace)
    assert len(product.load(workspace)) == 3


def test_values_of_the_pipeline_come_back_and_others_are_refused() -> None:
    surface = Surface(
        points_mm=np.zeros((3, 3)),
        faces=np.array([[0, 1, 2]]),
        normals=np.ones((3, 3)),
        vertex_areas_mm2=np.ones(3),
        structure=Structure.TIBIA,
    )
    given = ThicknessMap(
        surface=surface, thickness_mm=np.arange(3.0), region=np.zeros(3, np.uint8), method=Method.UNION
    )
    found = unpacked(*packed((given, {"a": [1, None, True]}, (2.5, "x"))))
    assert found[0].surface.structure is Structure.TIBIA
    assert found[0].method is Method.UNION
    assert found[0].thickness_mm is given.thickness_mm
    assert found[1:] == ({"a": [1, None, True]}, (2.5, "x"))

    @dataclass(frozen=True)
    class Foreign:
        value: object

    for value in (object(), {1, 2}, b"bytes", Path("x"), np.array([object()])):
        with pytest.raises(UnknownValue):
            packed(value)
    with pytest.raises(ValueError, match="not a class of the pipeline"):
        unpacked(*packed(Foreign(1)))
