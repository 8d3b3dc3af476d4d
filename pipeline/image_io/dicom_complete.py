"""Images that are missing where positions alone do not show it: at the ends, every second slice, a whole echo."""

from __future__ import annotations

from typing import Final

import numpy as np

from pipeline.errors import IncompleteSeries
from pipeline.image_io.dicom_files import Frame
from pipeline.image_io.dicom_series import Stack

_MULTIPLE_TOLERANCE: Final = 0.02
"""Relative difference between a gap and a multiple of the gap that the header promises, for both to be the same."""

_LARGEST_MULTIPLE: Final = 4


def completeness_warnings(stack: Stack, frames: list[Frame]) -> tuple[str, ...]:
    """What the header says about images that are not there; `frames` are all images of the stack's series.

    One sign alone is a warning, for exports renumber images and keep counts of what they were made from. Raises
    IncompleteSeries for two signs, for an echo between others, and for parts of one object that was split.
    """
    _refuse_lost_parts(frames)
    _refuse_lost_echoes(stack)
    count = _count(stack, frames)
    signs = [sign for sign in (_numbering(frames), count, _gap(stack)) if sign]
    if signs == [count] and _counts_other_images(frames):
        return ()
    if len(signs) > 1:
        raise IncompleteSeries(
            f"Slices are missing: {'; '.join(signs)}.", hint="Export or upload the whole series again.", signs=signs
        )
    return tuple(f"Slices may be missing: {sign}." for sign in signs)


def _refuse_lost_parts(frames: list[Frame]) -> None:
    found = {frame.part[0] for frame in frames if frame.part[1] > 1}
    expected = max((frame.part[1] for frame in frames), default=0)
    if found and len(found) < expected:
        raise IncompleteSeries(
            f"The image was split over {expected} files, of which {len(found)} are there; expected all.",
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
    """A sign in the images' numbers: they should be 1 to n, or 0 to n - 1."""
    numbers = {frame.image_number for frame in frames}
    if len({frame.path for frame in frames}) < len(frames) or len(numbers) < len(frames) or min(numbers) < 0:
        return ""  # several frames a file, copies, or no numbers of their own
    if max(numbers) - min(numbers) == len(numbers) - 1 and min(numbers) <= 1:
        return ""
    return f"{len(numbers)} images are numbered from {min(numbers)} to {max(numbers)}"


def _count(stack: Stack, frames: list[Frame]) -> str:
    """A sign in the number of images of the acquisition; echoes that are a series each share one number."""
    promised = max(frame.promised for frame in frames)
    found = len({(frame.instance or frame.path, frame.number) for frame in frames})
    if promised <= found or (stack.echoes == 1 and stack.first.echo[1] > 1):
        return ""
    return f"the header counts {promised} images in the acquisition, found {found}"


def _counts_other_images(frames: list[Frame]) -> bool:
    """Whether the count is a multiple of what is there: the acquisition's other echoes or reconstructions count too."""
    found = len({(frame.instance or frame.path, frame.number) for frame in frames})
    return max(frame.promised for frame in frames) % found == 0


def _gap(stack: Stack) -> str:
    """A sign in the distance between slices: twice (three, four times) what the header promises."""
    promised = stack.first.slice_gap_mm
    gaps = np.diff(np.sort(stack.heights_mm()))
    gaps = gaps[gaps > _MULTIPLE_TOLERANCE]
    if promised is None or promised <= 0 or not len(gaps):
        return ""
    found = float(np.median(gaps))
    thickness = stack.first.thickness_mm
    if thickness and abs(found - promised - thickness) <= _MULTIPLE_TOLERANCE * found:
        return ""  # the header holds the gap between the slices' edges, not between their centres
    times = found / promised
    if not 2 <= round(times) <= _LARGEST_MULTIPLE or abs(times - round(times)) > _MULTIPLE_TOLERANCE * times:
        return ""
    return f"slices lie {found:.2f} mm apart, the header says {promised:.2f} mm"
