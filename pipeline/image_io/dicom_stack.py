"""Sorts one stack of frames into echoes and slices, and computes its grid."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

import numpy as np

from pipeline.errors import IncompleteSeries
from pipeline.grid import FloatArray, Grid
from pipeline.image_io.dicom_files import Frame
from pipeline.image_io.dicom_series import SAME_POSITION_MM, Stack
from pipeline.image_io.geometry import make_grid
from pipeline.image_io.voxels import check_echo_count

GAP_TOLERANCE: Final = 0.05
"""Maximum relative difference of slice gaps attributed to rounding (positions with one decimal)."""

SIDEWAYS_TOLERANCE_MM: Final = 0.2
"""Maximum distance of a slice origin from the straight line through all of them."""


def arrange(stack: Stack) -> tuple[list[list[Frame]], tuple[float, ...]]:
    """Frames [echo][slice], echoes by echo time, slices along the normal; and the echo times in ms.

    Raises IncompleteSeries (echoes with different numbers or positions of slices, duplicate slices), UnsupportedImage
    (too many echoes).
    """
    groups: defaultdict[tuple[float, int], list[Frame]] = defaultdict(list)
    for frame in stack.frames:
        groups[frame.echo].append(frame)
    keys = sorted(groups)
    check_echo_count(len(keys))
    normal = stack.normal
    echoes = [sorted(groups[key], key=lambda frame: float(_place(frame) @ normal)) for key in keys]
    if len({len(frames) for frames in echoes}) > 1:
        found = ", ".join(f"{len(frames)} at {key[0]:g} ms" for key, frames in zip(keys, echoes, strict=True))
        raise IncompleteSeries(
            f"Echoes have different numbers of slices ({found}); expected the same for each.",
            hint="Export the whole series again.",
        )
    for frames in echoes:
        _refuse_doubled(frames, normal)
    for frames in echoes[1:]:
        apart = max(float(np.abs(_place(a) - _place(b)).max()) for a, b in zip(echoes[0], frames, strict=True))
        if apart > SIDEWAYS_TOLERANCE_MM:
            raise IncompleteSeries(
                f"Echoes are up to {apart:.2f} mm apart; expected the same slice positions for each.",
                hint="Export the whole series again.",
            )
    times = tuple(key[0] for key in keys)
    return echoes, times if all(time > 0 for time in times) else ()


def stack_grid(frames: list[Frame]) -> Grid:
    """The grid of slices in order along their normal.

    Raises IncompleteSeries if gaps are unequal or a slice is displaced sideways.
    """
    first = frames[0]
    assert first.orientation is not None  # noqa: S101  # for mypy; a usable stack has geometry
    assert first.spacing_mm is not None  # noqa: S101  # for mypy; a usable stack has geometry
    places = np.array([_place(frame) for frame in frames])
    row, column = first.orientation[:3], first.orientation[3:]
    _check_gaps(places @ np.cross(row, column))
    step = (places[-1] - places[0]) / (len(places) - 1)
    line = places[0] + np.arange(len(places))[:, np.newaxis] * step
    aside = float(np.linalg.norm(places - line, axis=1).max())
    if aside > max(SIDEWAYS_TOLERANCE_MM, GAP_TOLERANCE * float(np.linalg.norm(step))):
        raise IncompleteSeries(
            f"A slice is displaced sideways by {aside:.2f} mm; expected a straight stack.",
            hint="Export the series again, without images of other series.",
        )
    steps = np.stack([row * first.spacing_mm[1], column * first.spacing_mm[0], step], axis=1)
    return make_grid((len(frames), first.rows, first.columns), steps, places[0])


def _place(frame: Frame) -> FloatArray:
    assert frame.position is not None  # noqa: S101  # for mypy; a usable stack has geometry
    return frame.position


def _refuse_doubled(frames: list[Frame], normal: FloatArray) -> None:
    heights = np.array([_place(frame) for frame in frames]) @ normal
    doubled = int((np.diff(heights) <= SAME_POSITION_MM).sum())
    if doubled:
        places = len(frames) - doubled
        raise IncompleteSeries(
            f"{len(frames)} images have {places} slice positions; expected one image per position and echo.",
            hint="Export one acquisition: no time points, no magnitude with phase images, no two reconstructions.",
            images=len(frames),
            positions=places,
        )


def _check_gaps(heights: FloatArray) -> None:
    """Raise IncompleteSeries if slices (sorted, mm along the normal) are not evenly spaced."""
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    if float(np.abs(gaps - usual).max()) <= GAP_TOLERANCE * usual + SAME_POSITION_MM:
        return
    largest, found = float(gaps.max()), len(heights)
    # the most common gap; each larger one contains round(gap / usual) - 1 missing slices
    missing = int(sum(n * (max(round(gap), 1) - 1) for gap, n in Counter(np.round(gaps / usual)).items()))
    if missing:
        raise IncompleteSeries(
            f"Slices are missing: found {found}, expected {found + missing} "
            f"(largest gap {largest:.2f} mm, usual gap {usual:.2f} mm).",
            hint="Export or upload the whole series again.",
            found=found,
            expected=found + missing,
        )
    raise IncompleteSeries(
        f"Slice gaps are unequal ({float(gaps.min()):.2f} to {largest:.2f} mm for {found} slices); expected one gap.",
        hint="Export one acquisition with evenly spaced slices.",
    )
