"""Detects missing images that positions alone do not show: at the ends, every second slice, a whole echo."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.errors import IncompleteSeries
from pipeline.image_io.dicom_files import Frame
from pipeline.image_io.dicom_series import Stack

_MULTIPLE_TOLERANCE: Final = 0.02
"""Relative tolerance for a gap to equal a multiple of the slice distance in the header."""

_LARGEST_MULTIPLE: Final = 4


def completeness_warnings(stack: Stack, frames: list[Frame]) -> tuple[str, ...]:
    """Warnings about missing images according to the header; `frames` are all images of the stack's series.  A single
    indication is only a warning, because exports renumber images and keep counts of the original series. Raises
    IncompleteSeries for two indications, for a missing middle echo, and for missing parts of a split object.
    """
    _refuse_lost_parts(frames)
    _refuse_lost_echoes(stack)
    numbering = _numbering(frames)
    count = _count(stack, frames)
    signs = [sign for sign in (numbering, count, _gap(stack, numbered_through=not numbering)) if sign]
    if len(signs) > 1:
        raise IncompleteSeries(
            f"Slices are missing: {'; '.join(signs)}.", hint="Export or upload the whole series again.", signs=signs
        )
    if count:
        return (
            f"{count[0].upper()}{count[1:]}: no slice is missing between the first and the last; slices beyond them, "
            "or another echo or series, may be missing.",
        )
    return tuple(f"Slices may be missing: {sign}." for sign in signs)


def _refuse_lost_parts(frames: list[Frame]) -> None:
    found = {frame.part[0] for frame in frames if frame.part[1] > 1}
    expected = max((frame.part[1] for frame in frames), default=0)
    if found and len(found) < expected:
        raise IncompleteSeries(
            f"The image was split over {expected} files, of which {len(found)} were found; expected all.",
            hint="Export or upload the whole series again.",
        )


def _refuse_lost_echoes(stack: Stack) -> None:
    numbers = sorted({frame.echo[1] for frame in stack.frames})
    if len(numbers) < 2 or numbers[0] < 1 or numbers[-1] - numbers[0] == len(numbers) - 1:
        return
    found = ", ".join(str(number) for number in numbers[:16])
    raise IncompleteSeries(
        f"An echo is missing: found echoes {found}; expected all of {numbers[0]} to {numbers[-1]}.",
        hint="Export or upload all echoes of the series.",
    )


def _numbering(frames: list[Frame]) -> str:
    """An indication from the image numbers, which should be 1 to n or 0 to n - 1; empty if there is none."""
    numbers = {frame.image_number for frame in frames}
    if len({frame.path for frame in frames}) < len(frames) or len(numbers) < len(frames) or min(numbers) < 0:
        return ""  # several frames per file, copies, or no image numbers
    if max(numbers) - min(numbers) == len(numbers) - 1 and min(numbers) <= 1:
        return ""
    return f"{len(numbers)} images are numbered from {min(numbers)} to {max(numbers)}"


def _count(stack: Stack, frames: list[Frame]) -> str:
    """An indication from the number of images in the acquisition; separate series per echo share one number."""
    promised = max(frame.promised for frame in frames)
    found = len({(frame.instance or frame.path, frame.number) for frame in frames})
    if promised <= found or (stack.echoes == 1 and stack.first.echo[1] > 1):
        return ""
    return f"the header counts {promised} images in the acquisition, found {found}"


def _gap(stack: Stack, *, numbered_through: bool) -> str:
    """An indication from the slice distance: twice (three, four times) the distance in the header.

    numbered_through: no image number is missing; only then the header may mean the gap between slice edges
    """
    promised = stack.first.slice_gap_mm
    gaps = np.diff(np.sort(stack.heights_mm()))
    gaps = gaps[gaps > _MULTIPLE_TOLERANCE]
    if promised is None or promised <= 0 or not len(gaps):
        return ""
    found = float(np.median(gaps))
    thickness = stack.first.thickness_mm
    if numbered_through and thickness and abs(found - promised - thickness) <= _MULTIPLE_TOLERANCE * found:
        return ""
    times = found / promised
    if not 2 <= round(times) <= _LARGEST_MULTIPLE or abs(times - round(times)) > _MULTIPLE_TOLERANCE * times:
        return ""
    return f"slices are {found:.2f} mm apart, the header says {promised:.2f} mm"
