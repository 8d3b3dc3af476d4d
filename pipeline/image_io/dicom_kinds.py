"""Splits a series with several images at the same position into parts, by the scanner's description.

Dixon series contain water, fat and both phases; other series magnitude and phase, repeated acquisitions, or trigger
times. Each part is a separate stack that the user can choose; none is preferred silently.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Final

import numpy as np

from pipeline.grid import FloatArray
from pipeline.image_io.dicom_files import Frame
from pipeline.image_io.geometry import MIN_SLICES

STACK_GAP: Final = 3.0
STACK_GAP_MM: Final = 20.0
"""A gap above both limits (the first in usual slice distances) separates two stacks if both could be a scan."""

SAME_PLACE_MM: Final = 0.01

_WORDS: Final = {
    "W": "water",
    "WATER": "water",
    "F": "fat",
    "FAT": "fat",
    "IP": "in phase",
    "IN_PHASE": "in phase",
    "OP": "out of phase",
    "OUT_PHASE": "out of phase",
    "OPP_PHASE": "out of phase",
    "M": "magnitude",
    "MAGNITUDE": "magnitude",
    "P": "phase",
    "PHASE": "phase",
    "PHASE MAP": "phase",
    "R": "real part",
    "REAL": "real part",
    "I": "imaginary part",
    "IMAGINARY": "imaginary part",
    "T2_STAR": "T2* map",
    "T2": "T2 map",
    "T1": "T1 map",
    "FF": "fat fraction",
    "FAT_FRACTION": "fat fraction",
}
"""Values of ImageType with a defined meaning; vendor-specific ones are identified by their position in the list."""

Key = Callable[[Frame], object]


def image_type_title(words: tuple[str, ...]) -> str:
    """A title such as `water`, from the most specific value of an image type; empty if none is known."""
    known = [_WORDS[word] for word in words[2:] if word in _WORDS]
    return known[-1] if known else ""


def parts_of(frames: list[Frame], normal: FloatArray | None) -> list[tuple[str, list[Frame]]]:
    """The parts of frames that share geometry, each with its title ("" if there is only one).

    normal  (3,) of the slices; None if the frames have no position

    Frames are split only if images of the same echo have the same position, or if two stacks are far apart.
    """
    if normal is None:
        return [("", frames)]
    found: list[tuple[str, list[Frame]]] = [("", frames)]
    for key, title in _KEYS:
        found = [part for described, group in found for part in _divided(described, group, normal, key, title)]
    return [part for described, group in found for part in _apart(described, group, normal)]


def _by_type(frame: Frame) -> str:
    return image_type_title(frame.image_type) or "\\".join(frame.image_type[2:])


_KEYS: Final[tuple[tuple[Key, str], ...]] = (
    (_by_type, "{}"),
    (lambda frame: frame.acquisition_number, "acquisition {}"),
    (lambda frame: frame.temporal_position, "time point {}"),
    (lambda frame: frame.trigger_time_ms, "trigger time {:g} ms"),
)


def _divided(
    described: str, frames: list[Frame], normal: FloatArray, key: Key, title: str
) -> list[tuple[str, list[Frame]]]:
    if not _collide(frames, normal):
        return [(described, frames)]
    groups: defaultdict[object, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[key(frame)].append(frame)
    if len(groups) < 2:
        return [(described, frames)]
    return [
        (", ".join(word for word in (described, title.format(value)) if word), group)
        for value, group in sorted(groups.items(), key=lambda item: str(item[0]))
    ]


def _collide(frames: list[Frame], normal: FloatArray) -> bool:
    """Whether two images of one echo have the same position."""
    places: defaultdict[tuple[float, int], list[float]] = defaultdict(list)
    for frame in frames:
        assert frame.position is not None  # noqa: S101  # for mypy; the normal is known
        places[frame.echo].append(float(frame.position @ normal))
    return any((np.diff(np.sort(heights)) <= SAME_PLACE_MM).any() for heights in places.values())


def _apart(described: str, frames: list[Frame], normal: FloatArray) -> list[tuple[str, list[Frame]]]:
    """Stacks that are far apart along their normal, such as one per knee; a single one if a part would be too small."""
    heights = np.array([frame.position for frame in frames], dtype=np.float64) @ normal
    distinct = np.unique(np.round(heights, 2))
    gaps = np.diff(distinct)
    if len(gaps) < 2 * MIN_SLICES - 1:
        return [(described, frames)]
    edges = distinct[:-1][gaps > max(STACK_GAP * float(np.median(gaps)), STACK_GAP_MM)] + SAME_PLACE_MM
    if not len(edges) or np.bincount(np.searchsorted(edges, distinct)).min() < MIN_SLICES:
        return [(described, frames)]
    number = np.searchsorted(edges, heights)
    groups = [[frame for frame, n in zip(frames, number, strict=True) if n == k] for k in range(len(edges) + 1)]
    return [
        (", ".join(word for word in (described, f"stack {k} of {len(groups)}") if word), group)
        for k, group in enumerate(groups, start=1)
    ]
