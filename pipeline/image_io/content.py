"""Rejects scans without an MR image: empty ones, and label maps."""

from __future__ import annotations

from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import EmptyImage, UnsupportedImage
from pipeline.image_io.source import Source
from pipeline.types import Scan

MOST_LABELS: Final = 32
"""A label map of a knee has fewer different values, an MR image of 8 bits has more."""

HIGHEST_LABEL: Final = 255

CONSTANT_SHARE: Final = 0.5
"""Minimum share of the voxels above the lowest value whose neighbours along all axes have the same value, for a label
map; noise and partial volume leave few such voxels in an MR image."""

LEAST_LABELLED: Final = 1000
"""Fewer voxels above the lowest value are too few to judge."""


ROUNDING: Final = 0.01
"""Maximum distance of a label from a whole number that is attributed to the value scaling of the file."""

SEND_AS_LABELS: Final = (
    "Send it as a label map, alone or with its scan: drop it on the page, field `labels` of POST /upload, or --labels "
    "FILE on the command line."
)


def require_content(scan: Scan) -> None:
    """Raise EmptyImage if every voxel of every echo has the same value, UnsupportedImage for a label map."""
    low, high = float(scan.echoes.min()), float(scan.echoes.max())
    if low == high:
        raise EmptyImage(
            f"Image is empty: all {scan.echoes.size:,} voxels have the value {low:g}; expected an MR image of a knee.",
            hint="Check the export: the voxels may have been lost.",
            value=low,
        )
    values = label_values(scan.echoes[0]) if len(scan.echoes) == 1 else ()
    if values:
        raise UnsupportedImage(
            f"This looks like a label map: it holds {len(values)} different whole numbers in large constant areas; "
            "expected an MR image of a knee.",
            hint=SEND_AS_LABELS,
            values=list(values),
        )


def holds_labels(source: Source) -> bool:
    """Whether a scan that has not been read is a label map, by its voxels; needs one byte of memory per voxel.

    The first values that cannot be labels end the reading.
    """
    if source.shape[source.echo_axis] != 1:
        return False
    labels = np.zeros(prod(source.shape), dtype=np.uint8)
    found: set[int] = set()
    for start, values in source.pieces:
        low, high = values.min(), values.max()
        if not (low >= -ROUNDING and high <= HIGHEST_LABEL + ROUNDING):  # also if it is no number
            return False
        whole = np.rint(values)
        if np.abs(values - whole).max() > ROUNDING:
            return False
        labels[start : start + values.size] = whole
        found |= set(np.flatnonzero(np.bincount(labels[start : start + values.size], minlength=1)).tolist())
        if len(found) > MOST_LABELS:
            return False
    stored = np.moveaxis(labels.reshape(source.shape), source.echo_axis, 0)
    return bool(label_values(stored[0]))


def label_values(image: NDArray[np.floating] | NDArray[np.integer]) -> tuple[int, ...]:
    """The values of an image (z, y, x) that looks like a label map: few whole numbers from 0, in large constant areas.

    Empty for any other image.
    """
    if image.min() != 0 or image.max() > HIGHEST_LABEL:
        return ()
    sample = np.unique(image[image.shape[0] // 2])  # quick: an MR slice holds many values
    if len(sample) > MOST_LABELS:
        return ()
    values = np.unique(image)
    if not 2 <= len(values) <= MOST_LABELS or not np.array_equal(values, np.rint(values)):
        return ()
    inner = image[1:-1, 1:-1, 1:-1]
    same = inner > 0
    labelled = int(same.sum())
    for axis in range(3):
        for shift in (0, 2):
            place = [slice(1, -1)] * 3
            place[axis] = slice(shift, image.shape[axis] - 2 + shift)
            same &= image[tuple(place)] == inner
    constant = labelled >= LEAST_LABELLED and int(same.sum()) >= CONSTANT_SHARE * labelled
    return tuple(int(value) for value in values) if constant else ()
