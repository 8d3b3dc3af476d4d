"""Slices of one series: sorted into echoes and a grid, or refused with the reason."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import IncompleteSeries, UnreadableImage, UnsupportedImage
from pipeline.grid import FloatArray, Grid
from pipeline.image_io.dicom_files import Frame, read_frames
from pipeline.image_io.dicom_series import Stack
from pipeline.image_io.dicom_stack import arrange, stack_grid
from pipeline.image_io.geometry import extent_warnings, make_grid
from pipeline.planes import slice_plane
from tests.support.image_io_writers import make_phantom, write_dicom

ROW, COLUMN = np.array([0.0, 1, 0]), np.array([0.0, 0, -1])
NORMAL = np.cross(ROW, COLUMN)


@lru_cache(maxsize=1)
def any_frame() -> Frame:
    """A slice of a file."""
    with tempfile.TemporaryDirectory() as folder:
        (found,) = read_frames(next(write_dicom(make_phantom(1), Path(folder)).iterdir()))
        return found


def frame(position: FloatArray, echo: tuple[float, int] = (10.0, 1)) -> Frame:
    """A slice of 40 x 30 pixels of 0.5 x 0.4 mm."""
    return replace(
        any_frame(),
        position=np.asarray(position, dtype=float),
        orientation=np.concatenate([ROW, COLUMN]),
        spacing_mm=np.array([0.5, 0.4]),
        echo=echo,
        rows=40,
        columns=30,
    )


def slices(gap_mm: float, count: int = 12, echo: tuple[float, int] = (10.0, 1)) -> list[Frame]:
    return [frame(5.0 * ROW + k * gap_mm * NORMAL, echo) for k in range(count)]


def moved(frames: list[Frame], number: int, shift: FloatArray) -> list[Frame]:
    """With one slice at another position."""
    position = frames[number].position
    assert position is not None
    return [frame(position + shift, item.echo) if k == number else item for k, item in enumerate(frames)]


def test_slices_are_sorted_along_their_normal_and_echoes_by_time() -> None:
    frames = slices(3.0, echo=(30.0, 2))[::-1] + slices(3.0, echo=(10.0, 1))[::-1]
    echoes, times = arrange(Stack(frames=frames))
    assert times == (10.0, 30.0)
    for echo, time in zip(echoes, times, strict=True):
        assert [item.echo[0] for item in echo] == [time] * 12
        assert [float(item.position @ NORMAL) for item in echo] == pytest.approx([3.0 * k for k in range(12)])
    unknown = slices(3.0, echo=(0.0, 1)) + slices(3.0, echo=(10.0, 2))
    assert arrange(Stack(frames=unknown))[1] == (), "one of the times is not known"


def test_the_grid_of_a_stack_has_its_spacing_and_direction() -> None:
    grid = stack_grid(slices(3.0))
    assert grid.shape == (12, 40, 30)
    assert grid.spacing_mm == pytest.approx((3.0, 0.5, 0.4))
    assert grid.to_mm([[0, 0, 0]])[0] == pytest.approx(5.0 * ROW)
    assert grid.to_mm([[2, 3, 4]])[0] == pytest.approx(5.0 * ROW + 6.0 * NORMAL + 1.5 * COLUMN + 1.6 * ROW)


def test_echoes_have_the_same_slices() -> None:
    first, second = slices(3.0), slices(3.0, echo=(30.0, 2))
    with pytest.raises(IncompleteSeries, match="12 at 10 ms, 11 at 30 ms"):
        arrange(Stack(frames=first + second[:-1]))
    arrange(Stack(frames=first + moved(second, 4, 0.19 * ROW)))
    with pytest.raises(IncompleteSeries, match=r"0\.21 mm apart"):
        arrange(Stack(frames=first + moved(second, 4, 0.21 * ROW)))
    third = moved(slices(3.0, echo=(50.0, 3)), 4, 0.3 * COLUMN)
    with pytest.raises(IncompleteSeries, match=r"0\.30 mm apart"):
        arrange(Stack(frames=first + moved(second, 4, 0.15 * COLUMN) + third))


def test_two_slices_at_one_position_are_refused() -> None:
    frames = slices(3.0)
    with pytest.raises(IncompleteSeries, match="14 images have 12 slice positions"):
        arrange(Stack(frames=[*frames, frame(5.0 * ROW), frame(5.0 * ROW)]))


@pytest.mark.parametrize(("gap_mm", "tolerance_mm"), [(3.0, 0.2), (8.0, 0.4)])
def test_a_slice_beside_the_line_is_refused(gap_mm: float, tolerance_mm: float) -> None:
    stack_grid(moved(slices(gap_mm), 5, (tolerance_mm - 0.02) * ROW))
    with pytest.raises(IncompleteSeries, match="sideways"):
        stack_grid(moved(slices(gap_mm), 5, (tolerance_mm + 0.02) * ROW))


def test_missing_slices_are_counted_and_uneven_gaps_refused() -> None:
    frames = slices(3.0, count=20)
    with pytest.raises(IncompleteSeries, match="found 17, expected 20") as caught:
        stack_grid([item for k, item in enumerate(frames) if k not in (4, 5, 11)])
    assert (caught.value.facts["found"], caught.value.facts["expected"]) == (17, 20)
    assert "largest gap 9.00 mm, usual gap 3.00 mm" in caught.value.message
    stack_grid(moved(frames, 6, 0.15 * NORMAL))
    with pytest.raises(IncompleteSeries, match=r"unequal \(2\.80 to 3\.20 mm for 20 slices\)"):
        stack_grid(moved(frames, 6, 0.2 * NORMAL))


def grid_of(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int] = (20, 20, 20)) -> Grid:
    """Columns of the direction: x runs to posterior, y to inferior, z to right."""
    direction = np.stack([ROW, COLUMN, NORMAL], axis=1)
    return Grid(shape=shape, spacing_mm=spacing_mm, origin_mm=np.zeros(3), direction=direction)


@pytest.mark.parametrize(
    ("spacing_mm", "plane"),
    [
        ((3.0, 0.5, 0.5), "sagittal"),
        ((0.5, 3.0, 0.5), "axial"),
        ((0.5, 0.5, 3.0), "coronal"),
        ((0.5, 0.5001, 0.5), "sagittal"),
    ],
)
def test_the_plane_of_the_slices_is_across_the_largest_spacing(
    spacing_mm: tuple[float, float, float], plane: str
) -> None:
    assert slice_plane(grid_of(spacing_mm)) == plane


def test_an_unusual_field_of_view_gives_a_warning() -> None:
    assert extent_warnings(grid_of((2.5, 2.5, 17.5))) == ()
    for spacing in ((2.4, 5.0, 5.0), (5.0, 5.0, 17.6)):
        (text,) = extent_warnings(grid_of(spacing))
        assert "usually covers 50 to 350 mm" in text


STEPS = np.diag([0.5, 0.4, 3.0])


@pytest.mark.parametrize(
    ("steps", "shape", "error", "words"),
    [
        (STEPS * np.nan, (10, 10, 10), UnreadableImage, "not a number"),
        (np.diag([0.04, 1, 1]), (10, 10, 10), UnsupportedImage, "0.04 x 1 x 1 mm"),
        (np.diag([1, 1, 10.1]), (10, 10, 10), UnsupportedImage, "0.05 to 10 mm"),
        (STEPS, (1, 10, 10), UnsupportedImage, "not three-dimensional"),
        (STEPS, (10, 10), UnsupportedImage, "not three-dimensional"),
        (STEPS, (10, 9, 10), UnsupportedImage, "has 9 slices"),
        (STEPS + np.outer([0.002, 0, 0], [0, 1, 0]), (10, 10, 10), UnsupportedImage, "cosine of 0.005"),
    ],
)
def test_a_geometry_that_no_knee_has_is_refused(
    steps: FloatArray, shape: tuple[int, ...], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make_grid(shape, np.asarray(steps, dtype=float), np.zeros(3))


def test_small_errors_of_the_angles_are_corrected() -> None:
    sheared = STEPS + np.outer([0.0004, 0, 0], [0, 1, 0])
    grid = make_grid((10, 12, 14), sheared, np.array([1.0, 2, 3]))
    assert grid.direction @ grid.direction.T == pytest.approx(np.eye(3), abs=1e-12)
    assert grid.direction == pytest.approx(np.eye(3), abs=1e-3)
    assert grid.spacing_mm == pytest.approx((3.0, 0.4, 0.5), rel=1e-5)
    with pytest.raises(UnreadableImage):
        make_grid((10, 10, 10), STEPS, np.array([0, np.inf, 0]))
