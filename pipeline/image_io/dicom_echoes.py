"""Corrects echo times with jitter between slices, and applies Philips' private scaling of the values."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Final

from pipeline.image_io.dicom_files import Frame

ECHO_JITTER_MS: Final = 0.05
"""Maximum difference of the times of one echo between slices; two echoes of a knee sequence differ by at least 1 ms."""


def without_jitter(frames: list[Frame]) -> list[Frame]:
    """Frames of one stack with one echo time per echo: the lowest of those that differ only by jitter.

    Two times belong to one echo if they are close, have the same echo number, and no slice position has both.
    """
    places: defaultdict[tuple[float, int], set[tuple[float, ...]]] = defaultdict(set)
    for frame in frames:
        place = () if frame.position is None else tuple(round(float(x), 3) for x in frame.position)
        places[frame.echo].add(place)
    same: dict[tuple[float, int], tuple[float, int]] = {}
    for number in {echo[1] for echo in places}:
        times = sorted(echo[0] for echo in places if echo[1] == number)
        for earlier, later in pairwise(times):
            first = same.get((earlier, number), (earlier, number))
            if later - earlier <= ECHO_JITTER_MS and not places[first] & places[later, number]:
                same[later, number] = first
                places[first] |= places[later, number]
    return [replace(frame, echo=same[frame.echo]) if frame.echo in same else frame for frame in frames]


def with_true_scale(frames: list[Frame]) -> list[Frame]:
    """Frames with Philips' private scale applied, if it or the rescaling differs between images.

    Philips rescales each image to the full range of its words. Values comparable between images are
    (stored * RS + RI) / (RS * SS), with the public rescale slope RS and intercept RI and the private scale slope SS
    (2005,100E); Chenevert et al., Translational Oncology 2014, 7:65. If all images have the same scale, the stored
    values are comparable and are left unchanged.
    """
    scales = {(frame.slope, frame.private_scale) for frame in frames}
    if len(scales) < 2 or any(not frame.private_scale or not frame.slope for frame in frames):
        return frames
    return [
        replace(
            frame,
            slope=1.0 / frame.private_scale,
            intercept=frame.intercept / (frame.slope * frame.private_scale),
        )
        for frame in frames
        if frame.private_scale
    ]
